"""sites.toml: what is in it counts, and what is wrong with it is said with line and key."""

import os

import pytest

from ingest.sites.document import SITES_BYTES_MAX, Invalid, parse, read
from ingest.sites.goals import Goal
from ingest.sites.site import KEYS
from tests.processes import PROJECT

HASH = "ab" * 32
GOAL = "\n[[a.goals]]\nname = 'x'\n"
FUNNEL = "\n[[a.funnels]]\nname = 'x'\n"
SEGMENT = "\n[[a.segments]]\nname = 'x'\n"
EXAMPLE = PROJECT / "sites.example.toml"


def wrong(text):
    with pytest.raises(Invalid) as refused:
        parse(text.encode())
    return str(refused.value)


def test_the_example_explains_every_key_and_is_as_it_says():
    sites = read(str(EXAMPLE))
    blog, docs = sites.by_id["blog"], sites.by_id["docs"]
    text = EXAMPLE.read_text()
    assert [key for key in KEYS if f"\n{key} = " not in text and f"[blog.{key}]" not in text] == []
    assert sites.by_name["phc_x"] is sites.by_name["blog"] is blog
    assert blog.goals[0] == Goal(
        name="Signup", event="signup", props={"plan": "pro"}, revenue="amount"
    )
    assert blog.funnels[0].steps == ("Pricing", "Signup")
    assert blog.columns_left_out[:2] == ("user_id", "referrer")
    assert set(sites.readable) == set(blog.readers) and sites.public == {"docs"}
    assert docs.keys == () and sites.keys == set(blog.keys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[blog]\n\nhots = []", "line 3: blog.hots: there is no such key; there is hosts, aliases"),
        ("[example.com]\nhosts = []", 'A site whose name has a dot is written ["example.com"]'),
        ('hosts = ["a.example"]', "line 1: hosts: a site is a table"),
        ("[a]\nsite_id = 'b'", "line 2: a.site_id: the name of the table is the site_id"),
        ('[a]\nhosts = ["b", 3]', "line 2: a.hosts[1]: Expected `str`, got `int`"),
        ('[a]\nhosts = [\n  "https://b",\n]', "line 2: a.hosts[0]: 'https://b' is no host"),
        ('[a]\naliases = ["b"]\n\n[b]', "line 2: a.aliases[0]: 'b' is the name of 'b' already"),
        ('[a]\naliases = ["x"]\n[b]\naliases = ["x"]', "line 4: b.aliases[0]: 'x' is the name of"),
        ("[a]\ntime_zone = 'Berlin'", "line 2: a.time_zone: 'Berlin' is no IANA time zone"),
        ("[a]\nwithout = ['event_id']", "'event_id' cannot be left out; there is sources, path"),
        ("[a]\nretention_days = 0", "line 2: a.retention_days: Expected `int` >= 1"),
        (GOAL + "page = '/'" + GOAL + "event = 'e'", "line 6: a.goals[1].name: there are two"),
        (GOAL + "pages = '/'", "line 4: a.goals[0].pages: there is no such key; there is name"),
        (GOAL, "line 2: a.goals[0]: a goal needs one of event, page and scroll"),
        (FUNNEL + "steps = ['p', 'q']", "line 4: a.funnels[0].steps[0]: there is no goal 'p'"),
        (SEGMENT + "filters = [[1]]", 'line 4: a.segments[0].filters: a filter is a list as ["is"'),
        (f"[{'x' * 65}]", "length <= 64 for a site_id"),
        ('["a\\u0000"]', "line 1: 'a\\x00': a name has printable characters alone"),
        ("[a]\nx = 1\nx = 2", "line 3: Cannot overwrite a value"),
        ('[a]\nx = "', "line 2: Unterminated string"),
        ("[a]\nx = " + "[" * 5000, "line 1: something is nested without end"),
        ("[a]\nretention_days = " + "9" * 30, "line 2: a.retention_days: Expected"),
    ],
)
def test_what_is_wrong_is_said_with_line_key_and_what_there_is_instead(text, said):
    assert said in wrong(text)


def test_a_token_that_stands_where_its_hash_belongs_is_not_repeated():
    for key in ("keys", "readers"):
        said = wrong(f'[a]\n{key} = ["{HASH}", "my-secret-token"]')
        assert f"a.{key}[1]: this is no SHA-256" in said and "secret-token" not in said


def test_bytes_that_are_no_text_are_refused_with_their_line():
    with pytest.raises(Invalid, match="line 3: this is not UTF-8"):
        parse(b"[a]\n# \xc3\xa4\n# \xff")


def test_a_line_is_found_whatever_stands_around_it():
    """Arrays over lines, text with brackets, tables of tables, comments and dotted keys."""
    text = '\n# [x]\n[a]\nhosts = [\n "b",  # ]\n\n]\ngoals = [{name = """]\n[x]""", page = "/"}]\n'
    text += "\n[b]\n[[b.goals]]\nname = 'one'\nevent = 'e'\n# x\n[[b.goals]]\nname = 'two'\n"
    assert "line 20: b.goals[1].evnt" in wrong(text + "\n\nevnt = 'x'")
    assert "line 19: b.goals[1].props: Expected" in wrong(text + "\nprops.k = [1]")


@pytest.mark.parametrize("size", [SITES_BYTES_MAX + 1, SITES_BYTES_MAX // 4])
def test_a_huge_file_costs_no_more_than_its_limit(tmp_path, size):
    path = tmp_path / "sites.toml"
    path.write_bytes(b"[a]\nhosts = [" + b"\n" * size + b"3]")
    with pytest.raises(Invalid):
        read(str(path))


def test_a_file_without_an_end_and_a_folder_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in ("/dev/zero", str(tmp_path / "fifo")):
        with pytest.raises(Invalid, match="no regular file"):
            read(path)
    with pytest.raises(OSError, match="directory"):
        read(str(tmp_path))
