"""Who may read: every path, for every kind of reader, about every kind of site."""

import json
from urllib.parse import urlencode

import httpx2
import pytest

from ingest.sites.tokens import hash_of, new_token
from report.app import RESOURCES
from report.http.page import PATHS as PAGES
from tests.processes import running, wait_for
from tests.report.holding import Folder, asking, event

OPERATOR = "the operator's"
TOKENS = {"private": new_token(), "acme": new_token()}
SITES = f"""
[private]
readers = ["{hash_of(TOKENS["private"].encode())}"]
[public]
public = true
[acme]
readers = ["{hash_of(TOKENS["acme"].encode())}", "{hash_of(b"another")}"]
[silent]
"""
# private and public have events, and so has one that sites.toml does not know; silent has none
ASKED = ("private", "public", "forgotten", "silent", "unknown")
WITH_EVENTS = ("private", "public", "forgotten", "acme")

#                 private public forgotten silent unknown   of no site: /sites ledger openapi ready
READERS = {
    "nobody":     (401,    200,   401,      401,   401,                 401,   401,   401,   200),
    "a stranger": (401,    401,   401,      401,   401,                 401,   401,   401,   200),
    "its reader": (200,    200,   403,      403,   403,                 200,   403,   200,   200),
    "another's":  (403,    200,   403,      403,   403,                 200,   403,   200,   200),
    "operator":   (200,    200,   200,      200,   200,                 200,   200,   200,   200),
}  # fmt: skip
TOKEN = {
    "a stranger": new_token(),
    "its reader": TOKENS["private"],
    "another's": TOKENS["acme"],
    "operator": OPERATOR,
}

# What each path is asked with, beside the site; every path is in one of the two tables
QUESTIONS = {
    "query": {"metrics": ["visitors"]},
    "funnel": {"steps": [["is", "event:page", ["/secret"]], ["is", "event:name", ["signup"]]]},
    "retention": {"interval": "day"},
    "journeys": {"from": "/secret"},
}
OF_A_SITE = {
    "/stats": "",
    "/stats/timeseries": "&interval=day&date=2025-11-12",
    "/stats/breakdown": "&by=path",
    "/stats/live": "",
    "/robots": "",
    "/export": "",
    "/sites": "",
    **dict.fromkeys((path for name in QUESTIONS for path in (f"/{name}", f"/api/v2/{name}")), ""),
    "/api/v1/stats/aggregate": "",
    "/api/v1/stats/timeseries": "",
    "/api/v1/stats/breakdown": "&property=event:page",
    "/api/v1/stats/realtime/visitors": "",
}


def url_of(path, site):
    if question := QUESTIONS.get(path.rpartition("/")[2]):
        asked = {"site_id": site, "date_range": ["2025-11-11", "2025-11-12"]} | question
        return f"{path}?" + urlencode({"query": json.dumps(asked)})
    return f"{path}?site_id={site}{OF_A_SITE[path]}"


OF_NO_SITE = {
    "/sites": 5,
    "/ledger": 6,
    "/metrics": 6,
    "/nothing": 6,
    "/openapi.json": 7,
    "/ready": 8,
    "/health": 8,
    "/": 8,
    "/dashboard/main.js": 8,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("data"))
    folder.holds(*(event(site_id=site, path="/secret") for site in WITH_EVENTS))
    folder.holds(*(event(site_id=site, user_id="ann") for site in WITH_EVENTS), where="open")
    (folder.path / "sites.toml").write_text(SITES)
    return folder


@pytest.fixture(scope="module")
def client(folder):
    sites = str(folder.path / "sites.toml")
    with asking(folder.path, token=OPERATOR, sites=sites) as client:
        yield client


def shows(reader):
    return {"authorization": f"Bearer {TOKEN[reader]}"} if reader in TOKEN else {}


def status(answer):
    """404 is what a path that is not there answers to who may ask it."""
    return 200 if answer.status_code == 404 else answer.status_code


def test_every_path_is_in_the_table():
    paths = {resource.path for resource in RESOURCES}
    assert paths == (OF_A_SITE.keys() | OF_NO_SITE.keys()) - {"/nothing"} - set(PAGES)


@pytest.mark.parametrize("reader", READERS)
def test_who_may_read_which_site(client, reader):
    for path in OF_A_SITE:
        refusals = set()
        for site, expected in zip(ASKED, READERS[reader], strict=False):
            url = url_of(path, site)
            known = client.get(url, headers=shows("operator"))  # now the answer is remembered
            told = client.get(url, headers=shows(reader))
            assert status(told) == expected, f"{reader}: {url}"
            tag = {"if-none-match": known.headers.get("etag", "*")}
            again = client.get(url, headers=shows(reader) | tag)
            if expected == 200:
                assert (
                    sorted(told.content) == sorted(known.content)
                    or "live" in path
                    or "real" in path
                )
                assert again.status_code in (200, 304)
            else:
                head = client.head(url, headers=shows(reader))
                assert (again.content, head.status_code) == (told.content, expected)
                refusals.add((told.content, tuple(sorted(told.headers.items()))))
        assert len(refusals) <= 1, f"{reader} can tell them apart: {refusals}"


def test_a_question_about_several_sites_is_for_who_may_read_all_of_them(client):
    def asked(reader, **more):
        question = {"metrics": ["visitors"], "date_range": ["2025-11-11", "2025-11-12"]} | more
        return client.post("/query", json=question, headers=shows(reader))

    both = ["public", "private"]
    assert asked("its reader", site_id=both).status_code == 200
    assert asked("another's", site_id=both).status_code == 403
    assert asked("another's", site_id="private", metrics=["x"]).status_code == 403
    goal = {"filters": [["is", "event:goal", ["x"]]]}
    for site in ("private", "nobody"):  # a refusal would tell of its goals
        assert "there" not in asked("another's", site_id=site, **goal).text


@pytest.mark.parametrize("reader", READERS)
def test_who_may_read_what_is_of_no_site(client, reader):
    for path, column in OF_NO_SITE.items():
        told = client.get(path, headers=shows(reader))
        assert status(told) == READERS[reader][column], f"{reader}: {path}"
        if status(told) != 200:
            assert not any(site in told.text for site in (*ASKED, *WITH_EVENTS))


def test_a_reader_is_told_of_its_own_sites_alone(client):
    def listed(reader):
        told = client.get("/sites", headers=shows(reader))
        rows = [row["site_id"] for row in told.json()["rows"]]
        assert told.json()["total"] == len(rows)
        return set(rows), told.headers["etag"]

    (everything, tag), (own, own_tag) = listed("operator"), listed("its reader")
    (others, others_tag) = listed("another's")
    assert (everything, own, others) == (set(WITH_EVENTS), {"private"}, {"acme"})
    assert len({tag, own_tag, others_tag}) == 3
    for known in (tag, others_tag):
        headers = shows("its reader") | {"if-none-match": known}
        assert client.get("/sites", headers=headers).status_code == 200


def test_what_happens_to_other_sites_shows_in_no_tag_of_a_reader(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / "sites.toml").write_text(SITES)
    for site in ("private", "acme"):
        folder.holds(event(site_id=site))
    questions = ["/sites", *(url_of(path, "private") for path in OF_A_SITE)]

    def tags(client, reader):
        told = {url: client.get(url, headers=shows(reader)) for url in questions}
        assert {each.status_code for each in told.values()} == {200}
        return {url: each.headers.get("etag") for url, each in told.items()}

    with asking(tmp_path, token=OPERATOR, sites=str(tmp_path / "sites.toml")) as client:
        operators, readers = tags(client, "operator"), tags(client, "its reader")
        folder.holds(event(site_id="acme"), where="closed")
        folder.holds(event(site_id="acme"))
        assert tags(client, "operator") != operators
        assert tags(client, "its reader") == readers
        for url, tag in readers.items():
            asked = shows("its reader") | {"if-none-match": tag or "*"}
            expected = 304 if tag else 200
            assert client.get(url, headers=asked).status_code == expected
        folder.holds(event(site_id="private"))
        after = tags(client, "its reader")
        assert all(after[url] != readers[url] for url in ("/sites", "/stats?site_id=private"))


def test_only_who_shows_the_token_itself_is_its_reader(client):
    token, hashed = TOKENS["private"], hash_of(TOKENS["private"].encode())
    for wrong in (token[:-1], token + "x", token.lower(), hashed, "", "another "):
        headers = {"authorization": f"Bearer {wrong}"}
        assert client.get("/stats?site_id=private", headers=headers).status_code == 401
    for wrong in (f"bearer {token}", f"Basic {token}", token, "Bearer", "\xff"):
        headers = {b"authorization": wrong.encode("latin-1")}
        assert client.get("/stats?site_id=private", headers=headers).status_code == 401
    assert client.get(f"/stats?site_id=private&token={token}").status_code == 400
    several = "/stats?site_id=public&site_id=private"
    assert client.get(several).status_code == 400


def test_a_refusal_looks_at_nothing(folder, client):
    """So it takes as long for a site that there is as for one that there is not."""
    events = folder.path / "lake" / "events"
    events.rename(folder.path / "away")
    try:
        events.write_text("in its place")
        private = "/stats?site_id=private&date=2025-11-11"
        assert client.get(private, headers=shows("its reader")).status_code == 503
        for site in ASKED:
            asked = f"/stats?site_id={site}&date=2025-11-11"
            expected = 503 if site == "public" else 403
            assert client.get(asked, headers=shows("another's")).status_code == expected
            assert client.get(asked, headers=shows("a stranger")).status_code == 401
    finally:
        events.unlink()
        (folder.path / "away").rename(events)


def test_the_days_of_a_site_are_those_of_its_time_zone_unless_a_question_says_others(tmp_path):
    folder = Folder(tmp_path)
    folder.holds(event("2025-11-11T23:30:00Z"))  # half past midnight in Berlin
    for path, zone in (("berlin", "time_zone = 'Europe/Berlin'"), ("utc", "")):
        (tmp_path / path).write_text(f"[blog]\n{zone}\n")

    def views(client, date, **more):
        asked = {"site_id": "blog", "date": date} | more
        told = client.get("/stats", params=asked, headers=shows("operator"))
        exported = client.get("/export", params=asked, headers=shows("operator"))
        assert (told.json()["total_views"] == 1) == (exported.text.count("\n") == 1)
        return told.json()["total_views"], told.headers["etag"]

    with asking(tmp_path, token=OPERATOR, sites=str(tmp_path / "utc")) as client:
        (utc, tag), (later, _) = views(client, "2025-11-11"), views(client, "2025-11-12")
        assert (utc, later) == (1, 0)
    with asking(tmp_path, token=OPERATOR, sites=str(tmp_path / "berlin")) as client:
        (before, other_tag), (day, _) = views(client, "2025-11-11"), views(client, "2025-11-12")
        assert (before, day) == (0, 1) and tag != other_tag
        assert views(client, "2025-11-11", tz="UTC")[0] == 1


def test_without_a_public_site_nobody_is_told_anything_at_the_door(tmp_path):
    (tmp_path / "spool").mkdir()
    sites = tmp_path / "sites.toml"
    sites.write_text("[private]\n")
    with asking(tmp_path, token=OPERATOR, sites=str(sites)) as client:
        for path in OF_A_SITE:
            assert client.get(path).status_code == 401  # before it says what a question lacks


def test_a_token_is_withdrawn_without_a_restart_and_never_logged(folder):
    sites = folder.path / "other.toml"
    sites.write_text(SITES)
    with running("report", folder.path, token="x", sites=sites) as report:
        url = report.url + "/stats?site_id=private"
        assert httpx2.get(url, headers=shows("its reader")).status_code == 200
        sites.write_text(SITES.replace(hash_of(TOKENS["private"].encode()), "0" * 64))
        refused = lambda: httpx2.get(url, headers=shows("its reader")).status_code == 401  # noqa: E731
        wait_for(refused, "the token to be forgotten")
        sites.write_text("[private")
        wait_for(lambda: "sites" in httpx2.get(report.url + "/ready").json(), "the mistake")
        told = httpx2.get(report.url + "/ready").json()
        assert told["status"] == "ready" and told["sites"].startswith("line 1 is wrong")
        assert refused()
        report.stop()
        assert not any(token in report.log.read_text() for token in TOKENS.values())
