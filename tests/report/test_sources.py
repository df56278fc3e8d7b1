"""Sources and channels: a table of cases, and SQL against counting by hand."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report.terms import channels, sources
from tests.processes import PROJECT
from tests.report.holding import Folder, asking, event, figures
from tests.report.origins import KNOWN, Origin, Said, origin

GOLDEN = Path(__file__).parents[1] / "golden"
TABLE = Path(__file__).with_name("origins.txt").read_text(encoding="utf-8").splitlines()


def cases():
    for line in TABLE:
        if line and not line.startswith("#"):
            fields = [None if field == "-" else field for field in line.split(" | ")]
            yield Said("blog", "www.example.com", *fields[:5]), Origin(*fields[5:])


CASES = list(cases())


@pytest.fixture(scope="module")
def database():
    with duckdb.connect(config={"threads": 1}) as database:
        sources.define(database)
        yield database


def origins(database, said):
    """What the SQL says of each of them, in their order."""
    columns = ", ".join(f"unnest(${name}::VARCHAR[]) AS {name}" for name in Said._fields)
    bound = dict(zip(Said._fields, map(list, zip(*said, strict=True)), strict=True))
    rows = database.execute(
        f"SELECT {sources.SOURCE}, {sources.CHANNEL} FROM"
        f" (SELECT unnest(range({len(said)})) AS nth, {columns}) ORDER BY nth",
        bound,
    ).fetchall()
    return [Origin(*row) for row in rows]


def test_every_case_of_the_table_has_its_source_and_its_channel(database):
    found = origins(database, [said for said, _ in CASES])
    assert [
        (said, expected, said_sql)
        for (said, expected), said_sql in zip(CASES, found, strict=True)
        if said_sql != expected
    ] == []


def test_the_table_has_every_channel_every_category_and_every_click():
    assert len(CASES) >= 150
    assert {expected.channel for _, expected in CASES} == set(channels.NAMES)
    assert len(channels.NAMES) == 18 + 2
    assert {said.click_id for said, _ in CASES} > set(sources.CLICKS)
    assert all(len(name) <= 16 for name in sources.CLICKS)


def test_counting_by_hand_says_the_same_of_the_table():
    assert [origin(said) for said, _ in CASES] == [expected for _, expected in CASES]


def texts(column):
    """What the table has there, with pieces of it put together anew."""
    seen = sorted({getattr(said, column) or "" for said, _ in CASES})
    keys = st.sampled_from(sorted(KNOWN)).map(lambda key: key.replace("*", "co.uk"))
    hosts = st.tuples(
        st.sampled_from(["", "http://", "https://www.", "android-app://", "http://a.b@", "ftp://"]),
        st.sampled_from(["", "m.", "x.y.z."]),
        keys,
        st.sampled_from(["", ":80", "/", ".", "?a", ".example"]),
    ).map("".join)
    letters = st.text(" aIl_-.:/@[]#?üİ\t'\"%$", max_size=12)
    return st.none() | st.sampled_from(seen) | hosts | letters


SAYINGS = st.builds(
    Said,
    site_id=st.sampled_from(["blog", "example.com", "www.example.org"]),
    hostname=st.sampled_from([None, "", "www.example.com", "EXAMPLE.org:80", "x.com"]),
    **{name: texts(name) for name in Said._fields[2:]},
)


@settings(max_examples=10, deadline=None)
@given(st.lists(SAYINGS, min_size=20, max_size=60))
def test_duckdb_agrees_with_counting_by_hand(database, said):
    assert origins(database, said) == [origin(each) for each in said]


def test_a_site_without_hostnames_is_its_own_host_where_its_name_is_one(database):
    said = Said("example.com", None, "https://www.example.com/a")
    assert origins(database, [said, said._replace(site_id="blog")]) == [
        Origin(None, "Direct"),
        Origin("example.com", "Referral"),
    ]


def test_a_referrer_of_a_thousand_labels_costs_no_more_than_one_of_eight(database):
    hostile = [Said(referrer="http://" + "a." * 1_000 + f"{n}.example/") for n in range(500)]
    database.execute("SET memory_limit = '100MB'")
    assert {channel for _, channel in origins(database, hostile)} == {"Referral"}


def test_a_source_is_looked_up_for_distinct_values_and_not_for_rows(database):
    rows = "(SELECT 'blog' AS site_id, 'example.com' AS hostname, NULL::VARCHAR AS utm_source,"
    rows += " NULL::VARCHAR AS click_id, 'https://h' || (n % 100) || '.example/' AS referrer"
    rows += " FROM range(50_000) each(n))"
    database.execute("PRAGMA enable_profiling = 'no_output'")
    database.execute(f"SELECT {sources.SOURCE}, count(*) FROM {rows} GROUP BY ALL").fetchall()
    profile = json.loads(database.get_profiling_information(format="json"))
    database.execute("PRAGMA disable_profiling")
    keys = [each["intermediate_rows"] for each in operators(profile) if each["type"] == "UNNEST"]
    assert 0 < sum(keys) < 2_000


def operators(profile):
    waiting = profile["operator"]
    while waiting:
        operator = waiting.pop()
        yield operator
        waiting += operator.get("children", [])


@pytest.mark.parametrize("name", ["by_hand.tsv", "sources.tsv", "spam.txt"])
def test_every_list_says_where_it_is_from(name):
    head = (sources.LISTS / name).read_text(encoding="utf-8")[:400]
    assert head.startswith("#")
    assert name == "by_hand.tsv" or ("matomo-org/" in head and "2026-" in head)
    assert name == "by_hand.tsv" or ("CC0" in head or "public domain" in head)


def test_a_name_has_one_spelling_and_one_category():
    named = {(source.name, source.category) for source in KNOWN.values()}
    names = sorted(name.lower() for name, _ in named)
    assert [name for name in names if names.count(name) > 1] == []


def test_every_key_can_be_met():
    for key, source in KNOWN.items():
        assert key == key.lower() and len(key.split(".")) <= sources.LABELS_MAX, key
        assert source.name and source.category in {
            *("search", "social", "video", "shopping", "email", "ai", "spam", "other")
        }


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The cases are in the lake, in a closed segment, and in an open one."""
    folder = Folder(tmp_path_factory.mktemp("data"))
    for n, where in enumerate(("lake", "closed", "open")):
        said = [each._asdict() for each, _ in CASES[n::3] if each.click_id in CLICKS_OR_NONE]
        folder.holds(*(event(**each) for each in said), where=where)
    with asking(folder.path) as client:
        yield client


CLICKS_OR_NONE = {None, *sources.CLICKS}
HELD = [expected for said, expected in CASES if said.click_id in CLICKS_OR_NONE]


@pytest.mark.parametrize("by", Origin._fields)
def test_a_site_is_broken_down_by_sources_and_by_channels(client, by):
    told = figures(client, "/stats/breakdown", site_id="blog", by=by, limit=1000)
    counted = Counter(getattr(expected, by) for expected in HELD)
    assert {row["value"]: row["views"] for row in told["rows"]} == counted


@pytest.mark.parametrize("given", [{"source": "Google"}, {"channel": "Email"}, {"source": ""}])
def test_a_source_or_a_channel_is_a_filter(client, given):
    [(by, value)] = given.items()
    counted = sum(getattr(expected, by) == (value or None) for expected in HELD)
    assert figures(client, "/stats", site_id="blog", **given)["total_views"] == counted > 0


@pytest.mark.parametrize("version", sorted(path.name for path in GOLDEN.iterdir()))
def test_what_was_stored_before_there_were_sources_has_them(version, tmp_path):
    shutil.copytree(GOLDEN / version / "data", tmp_path / "data")
    with asking(tmp_path / "data") as client:
        hosts = figures(client, "/stats/breakdown", site_id="blog", by="referrer_host", limit=99)
        told = figures(client, "/stats/breakdown", site_id="blog", by="source", limit=99)
    counted: Counter[str | None] = Counter()
    for row in hosts["rows"]:
        counted[origin(Said(referrer=f"https://{row['value'] or ''}/")).source] += row["views"]
    assert {row["value"]: row["views"] for row in told["rows"]} == counted
    assert len(counted) > 1


def test_a_line_more_in_a_list_makes_another_tag_of_the_same_question(client, tmp_path):
    for stage in ("ingest", "compactor", "report"):
        shutil.copytree(PROJECT / stage, tmp_path / stage)
    with (tmp_path / "report/terms/lists/by_hand.tsv").open("a") as file:
        file.write("search\tAnother\tanother.example\n")
    ask = "from report.terms import sources; print(sources.identity().hex())"
    other = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True)
    assert bytes.fromhex(other.stdout.decode()) != sources.identity()
    asked = client.get("/stats?site_id=blog&source=Google")
    again = client.get(asked.url, headers={"If-None-Match": asked.headers["etag"]})
    assert again.status_code == 304
