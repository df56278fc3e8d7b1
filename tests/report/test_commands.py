"""report sites, report token, and what a start says of sites.toml."""

import re
import subprocess
import sys

import pytest

from ingest.sites.tokens import hash_of
from tests.processes import PROJECT, clean_environment

EXAMPLE = PROJECT / "sites.example.toml"


def report(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "report", *arguments],
        cwd=PROJECT,
        env=clean_environment() | settings,
        capture_output=True,
        text=True,
    )


def test_sites_shows_what_is_in_force(tmp_path):
    told = report("sites", FOOTFALL_SITES=str(EXAMPLE)).stdout
    assert re.search(
        r"^blog\n  hosts +example.com, \*.example.com\n  aliases +phc_x, 1$", told, re.M
    )
    assert re.search(r"^  goals +Signup, Pricing, Read to the end$", told, re.M)
    assert re.search(r"^docs\n  hosts +docs.example.com\n  public +true$", told, re.M)
    assert "every site_id is taken" in report("sites").stdout
    (tmp_path / "sites.toml").write_text("[blog]\nhots = []\n")
    wrong = report("sites", FOOTFALL_SITES=str(tmp_path / "sites.toml"))
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "line 2: blog.hots: there is no such key; there is hosts" in wrong.stderr


def test_token_makes_another_one_each_time_with_its_hash_and_link():
    made = [dict(line.split()[:2] for line in report("token").stdout.splitlines()[:3])
            for _ in range(2)]  # fmt: skip
    for each in made:
        assert hash_of(each["token"].encode()) == each["sha256"]
        assert each["link"] == f"/?site_id=SITE#token={each['token']}"
    assert made[0]["token"] != made[1]["token"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"FOOTFALL_SITES": str(EXAMPLE)}, "without a REPORT_TOKEN everybody reads everything"),
        ({"FOOTFALL_SITES": "/nowhere/sites.toml"}, "sites.toml: No such file or directory"),
        ({"FOOTFALL_SITE": str(EXAMPLE)}, "unknown field `FOOTFALL_SITE`"),
    ],
)
def test_a_start_that_would_leave_open_what_is_meant_to_be_shut_is_refused(
    tmp_path, settings, said
):
    done = report(DATA_DIR=str(tmp_path), **settings)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and said in done.stderr
