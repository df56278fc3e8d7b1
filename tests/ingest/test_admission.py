"""Who may write: by host, by key, and by nothing else, on every path that takes events."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.secret import import_secret
from ingest.sites.tokens import hash_of, new_token
from tests.processes import PROJECT, clean_environment, running, wait_for

KEY, OTHER_KEY = new_token(), new_token()
SITES = f"""
[blog]
hosts = ["example.com", "*.example.org", "münchen.example", "LOCALHOST"]
aliases = ["phc_x"]
keys = ["{hash_of(KEY.encode())}"]
user_id_needs_key = true

[shop]
hosts = ["*"]
keys = ["{hash_of(OTHER_KEY.encode())}"]
without = ["sources", "country", "language", "user_id"]

[server]
keys = ["{hash_of(KEY.encode())}"]
"""
LONG_AGO = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
YESTERDAY = (datetime.now(UTC) - timedelta(hours=23)).isoformat()
YEARS_AGO = "1999-12-31T00:00:00Z"
PAGE = {"origin": "https://example.com"}


@pytest.fixture(scope="module")
def ingest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    sites = folder / "sites.toml"
    sites.write_text(SITES)
    with running("ingest", folder, sites=sites) as ingest:
        ingest.folder, ingest.sites = folder, sites
        yield ingest


def event(site_id="blog", **fields):
    return {"site_id": site_id, "event_type": "page_view"} | fields


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def refusal(answer):
    """The code of what was refused, or None; of an event, and of a batch of one."""
    if answer.status_code == 202:
        return None
    told = answer.json()
    return told["errors"][0]["code"] if "errors" in told else told["code"]


# The same through the fast path, through the app (that header sends it there), and in a batch
WAYS = {
    "event": ("/event", {}),
    "app": ("/event", {"content-encoding": "identity"}),
    "events": ("/events", {}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("headers", "fields", "code"),
    [
        (PAGE, {}, None),
        ({"origin": "HTTPS://EXAMPLE.com:8443"}, {}, None),
        ({"origin": "https://example.com."}, {}, None),
        ({"origin": "http://localhost:3000"}, {}, None),
        ({"origin": "https://a.b.example.org"}, {}, None),
        ({"origin": "https://xn--mnchen-3ya.example"}, {}, None),
        ({"origin": "https://example.org"}, {}, "foreign_host"),  # the pattern is of those below
        ({"origin": "https://evil-example.org"}, {}, "foreign_host"),
        ({"origin": "https://example.com.evil.example"}, {}, "foreign_host"),
        ({"origin": "https://*.example.org"}, {}, None),  # such a page has no visitors
        ({"origin": "null"}, {"hostname": "example.com"}, "foreign_host"),
        ({"origin": ""}, {"hostname": "example.com"}, "foreign_host"),
        ({"origin": "https://["}, {}, "foreign_host"),
        ({"origin": f"https://{'a' * 250}.example.org"}, {}, "foreign_host"),
        ({"origin": "https://evil.example"}, {"hostname": "example.com"}, "foreign_host"),
        ({}, {"hostname": "example.com"}, None),
        ({}, {"hostname": "MÜNCHEN.example."}, None),
        ({}, {"hostname": "evil.example"}, "foreign_host"),
        ({}, {"hostname": "a" * 253}, "foreign_host"),
        ({}, {"hostname": "\N{SNOWMAN}" * 253}, "foreign_host"),
        ({}, {}, "foreign_host"),
        (bearer(KEY), {}, None),
        (bearer(KEY) | {"origin": "https://evil.example"}, {}, None),
        (bearer(OTHER_KEY) | PAGE, {}, "unknown_key"),
        ({"authorization": "Bearer"}, {}, "foreign_host"),  # it shows none
        (bearer("x"), {}, "unknown_key"),
        (bearer(hash_of(KEY.encode())), {}, "unknown_key"),
        ({"authorization": "Basic YTpi"} | PAGE, {}, None),
        (PAGE, {"user_id": "ann"}, "key_needed"),
        (PAGE, {"user_id": "d:0123456789abcdef"}, "key_needed"),
        (bearer(KEY), {"user_id": "ann"}, None),
        (PAGE, {"timestamp": YESTERDAY}, None),
        (PAGE, {"timestamp": LONG_AGO}, "key_needed"),
        (bearer(KEY), {"timestamp": LONG_AGO}, None),
        (PAGE, {"site_id": "phc_x"}, None),
        (PAGE, {"site_id": "Blog"}, "unknown_site"),
        (PAGE, {"site_id": "phc_x", "user_id": "ann"}, "key_needed"),
        ({}, {"site_id": "shop", "user_id": "ann"}, None),
        ({"origin": "https://any.example"}, {"site_id": "shop", "user_id": "ann"}, None),
        (PAGE, {"site_id": "server"}, "key_needed"),
        (bearer(KEY), {"site_id": "server"}, None),
    ],
)
def test_who_may_write(ingest, way, headers, fields, code):
    path, more = WAYS[way]
    body = orjson.dumps(event(**fields))
    answer = httpx2.post(ingest.url + path, content=body, headers=headers | more)
    assert refusal(answer) == code
    if code in ("key_needed", "unknown_key") and path == "/event":
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"


def test_an_event_of_a_batch_has_its_own_sites_word(ingest):
    batch = [event(), event("shop", user_id="u"), event("nope"), event(user_id="u"), {}, event()]
    told = httpx2.post(ingest.url + "/events?visitor=daily", json=batch, headers=PAGE).json()
    codes = {each["index"]: each["code"] for each in told["errors"]}
    assert codes == {2: "unknown_site", 3: "key_needed", 4: "invalid_event"}
    assert told["accepted"] == 3  # though they are completed twice, once all at once


def test_a_key_brings_history_with_a_batch_and_so_does_an_importer(ingest):
    old = [event(timestamp=YEARS_AGO)]
    importer = import_secret(ingest.folder).token
    for headers in (bearer(KEY), bearer(importer)):
        assert httpx2.post(ingest.url + "/events", json=old, headers=headers).status_code == 202
    unkeyed = [event("server", timestamp=YEARS_AGO), event("shop", timestamp=YEARS_AGO)]
    told = httpx2.post(ingest.url + "/events", json=unkeyed, headers=bearer(KEY)).json()
    assert [each["code"] for each in told["errors"]] == ["unknown_key"]


def test_an_importer_elsewhere_brings_history_with_a_key_of_the_site(ingest, tmp_path):
    log, key = tmp_path / "access.log", tmp_path / "key"
    log.write_text('9.9.9.9 - - [17/May/2005:10:00:03 +0000] "GET /old HTTP/1.1" 200 5\n')
    key.write_text(f"{KEY}\n")
    command = [sys.executable, "-m", "ingest.importers", log, "--site", "blog"]
    ran = [
        subprocess.run(
            [*command, "--url", ingest.url, *more],
            cwd=PROJECT,
            env=clean_environment() | {"DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        for more in ([], ["--key-file", key], ["--key-file", log.parent])
    ]
    assert [each.returncode for each in ran] == [1, 0, 2]
    assert "unknown_key" in ran[0].stderr  # another installation's secret is no key here
    assert "1 sent" in ran[1].stdout and KEY not in ran[1].stdout + ran[1].stderr
    assert "--key-file: cannot be read" in ran[2].stderr


def test_what_a_site_goes_without_is_stored_nowhere(ingest):
    marks = {"referrer": "https://r.example/", "utm_source": "mark", "click_id": "gclid"}
    headers = {"origin": "https://s.example", "accept-language": "de"}
    for path in ("/event", "/events"):
        for visitor in ("", "?visitor=daily"):
            sent = event("shop", path="/kept", time_zone="Europe/Berlin", user_id="mark") | marks
            url = f"{ingest.url}{path}{visitor}"
            assert httpx2.post(url, content=orjson.dumps(sent), headers=headers).status_code == 202
    lines = [orjson.loads(line) for line in stored(ingest) if b"/kept" in line]
    assert len(lines) == 4
    kept = {"site_id", "event_type", "path", "timestamp", "received_at"}
    assert all(line.keys() - {"browser", "os", "device", "bot"} == kept for line in lines)


def stored(ingest):
    files = [path.read_bytes() for path in (ingest.folder / "spool").iterdir()]
    return b"".join(files).splitlines()


def test_an_alias_is_stored_as_the_site_that_it_stands_for(ingest):
    sent = event("phc_x", path="/by-alias")
    answer = httpx2.post(ingest.url + "/event?visitor=daily", json=sent, headers=PAGE)
    same = httpx2.post(
        ingest.url + "/event?visitor=daily", json=event(path="/by-alias"), headers=PAGE
    )
    assert (answer.status_code, same.status_code) == (202, 202)
    lines = [orjson.loads(line) for line in stored(ingest) if b"/by-alias" in line]
    assert {line["site_id"] for line in lines} == {"blog"}
    assert len({line["user_id"] for line in lines}) == 1  # and is one visitor there


# What is told of it


def refused_by_site(ingest, **headers):
    text = httpx2.get(ingest.url + "/metrics", headers=headers).text
    return {
        (sample.labels["site_id"], sample.labels["code"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "ingest_site_refused_total"
    }


def test_refusals_are_counted_by_site_and_named_to_who_is_near(ingest):
    before = refused_by_site(ingest)
    for n in range(3):
        httpx2.post(ingest.url + "/event", json=event(f"stranger-{n}"), headers=PAGE)
    httpx2.post(ingest.url + "/event", json=event(), headers={"origin": "https://evil.example"})
    httpx2.post(ingest.url + "/events", json=[event("server"), event("server")], headers=PAGE)
    late = [event(timestamp=LONG_AGO), event("shop", timestamp=LONG_AGO), event("shop")]
    httpx2.post(ingest.url + "/events", json=late, headers=PAGE)
    after = refused_by_site(ingest)
    more = {each: after[each] - before.get(each, 0) for each in after}
    assert {each: count for each, count in more.items() if count} == {
        ("", "unknown_site"): 3,
        ("blog", "foreign_host"): 1,
        ("server", "key_needed"): 2,
        ("blog", "key_needed"): 1,
        ("shop", "key_needed"): 1,
    }
    for said in ({"x-forwarded-for": "127.0.0.1"}, {"forwarded": "for=x"}, {"via": "1.1 proxy"}):
        assert refused_by_site(ingest, **said) == {}  # it came through a proxy, from anywhere


def test_a_change_is_taken_up_without_a_restart_and_a_mistake_is_not(ingest):
    def ready():
        return httpx2.get(ingest.url + "/ready").json()

    def code(site_id):
        return refusal(httpx2.post(ingest.url + "/event", json=event(site_id), headers=PAGE))

    assert code("new") == "unknown_site" and ready() == {"status": "ready"}
    ingest.sites.write_text(SITES + "\n[new]\nhosts = ['example.com']\n")
    wait_for(lambda: code("new") is None, "the new site")
    ingest.sites.write_text(SITES + "\n[new]\nhots = ['example.com']\n")
    wait_for(lambda: "sites" in ready(), "the mistake to be told")
    line = SITES.count("\n") + 3
    told = ready()["sites"]
    assert told.startswith(f"line {line} is wrong") and "hots" not in told and "new" not in told
    assert code("new") is None
    said = [each for each in ingest.log.read_text().splitlines() if "hots" in each]
    assert len(said) == 1 and f"line {line}: new.hots: there is no such key" in said[0]
    ingest.sites.write_text(SITES)
    wait_for(lambda: code("new") == "unknown_site" and "sites" not in ready(), "the old state")


def test_a_worker_that_starts_beside_a_mistake_has_the_sites_of_its_service(tmp_path):
    sites = tmp_path / "sites.toml"
    sites.write_text(SITES)
    with running("ingest", tmp_path, sites=sites, workers=2) as ingest:
        sites.write_text("[blog")
        children = Path(f"/proc/{ingest.process.pid}/task/{ingest.process.pid}/children")
        workers = [int(pid) for pid in children.read_text().split()]
        for pid in workers:
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: "what was before stays" in ingest.log.read_text(), "a new worker")
        wait_for(ingest.answers, "it to answer")
        assert httpx2.post(ingest.url + "/event", json=event(), headers=PAGE).status_code == 202
        unknown = httpx2.post(ingest.url + "/event", json=event("nope"), headers=PAGE)
        assert refusal(unknown) == "unknown_site"
