"""Visitors without cookies: the salt on disk, and the identities it gives."""

import os
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import httpx2
import pytest

from ingest.refusal import Refusal, Refused
from ingest.visitor import Visitors
from tests.processes import PROJECT, running, stats, wait_for

PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:156.0) Gecko/20100101 Firefox/156.0"}
OTHER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:155.0) Gecko/20100101 Firefox/155.0"}
MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
ADDRESS = "203.0.113.7"
AGENT = b"Mozilla/5.0 (X11; Linux x86_64)"


def lines(data_dir):
    return b"".join(path.read_bytes() for path in (data_dir / "spool").iterdir())


def test_an_identity_is_a_mark_and_16_hex_digits_and_lasts_a_day(tmp_path):
    visitors = Visitors(tmp_path)
    first = visitors.sender(ADDRESS, AGENT, MONDAY)("blog")
    assert first[:2] == "d:" and len(bytes.fromhex(first[2:])) == 8
    assert visitors.sender(ADDRESS, AGENT, MONDAY)("blog") == first
    assert visitors.sender(ADDRESS, AGENT, TUESDAY)("blog") != first


@pytest.mark.parametrize(
    "site, address, agent",
    [
        pytest.param("shop", ADDRESS, AGENT, id="another site"),
        pytest.param("blog", "203.0.113.8", AGENT, id="another address"),
        pytest.param("blog", ADDRESS, b"curl/8", id="another browser"),
        pytest.param("blog203", ".0.113.7", AGENT, id="the same letters, cut elsewhere"),
    ],
)
def test_another_visitor_has_another_identity(tmp_path, site, address, agent):
    visitors = Visitors(tmp_path)
    one = visitors.sender(ADDRESS, AGENT, MONDAY)("blog")
    assert visitors.sender(address, agent, MONDAY)(site) != one


def test_without_the_salt_an_identity_cannot_be_made_again(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here = Visitors(tmp_path / "a").sender(ADDRESS, AGENT, MONDAY)("blog")
    assert Visitors(tmp_path / "b").sender(ADDRESS, AGENT, MONDAY)("blog") != here


def test_a_salt_is_for_its_owner_alone_and_destroyed_when_its_day_is_over(tmp_path):
    visitors = Visitors(tmp_path)
    visitors.sender(ADDRESS, AGENT, MONDAY)
    salt = tmp_path / "visitors" / "2026-11-23.salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert stat.S_IMODE(salt.parent.stat().st_mode) == 0o700
    assert len(salt.read_bytes()) == 32
    (tmp_path / "visitors" / "2026-11-23.salt.0badc0de").touch()  # a worker died at midnight
    visitors.forget_before(MONDAY)
    assert salt.exists()
    visitors.forget_before(TUESDAY)
    assert list(salt.parent.iterdir()) == []


def test_workers_that_start_at_once_agree_on_one_salt(tmp_path):
    program = f"""
import sys
from datetime import date
from ingest.visitor import Visitors
visitors = Visitors({str(tmp_path)!r})
print("ready", flush=True)
sys.stdin.readline()
print(visitors.sender("203.0.113.7", b"agent", date(2026, 11, 23))("blog"))
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    identities = {worker.communicate()[0] for worker in workers}
    assert len(identities) == 1 and identities != {""}
    assert os.listdir(tmp_path / "visitors") == ["2026-11-23.salt"]


def test_with_no_room_for_a_salt_the_sender_may_try_again(tmp_path):
    (tmp_path / "visitors").touch()
    with pytest.raises(Refused) as caught:
        Visitors(tmp_path).sender(ADDRESS, AGENT, MONDAY)
    assert caught.value.refusal is Refusal.SPOOL_UNAVAILABLE


# Over HTTP


@pytest.fixture(scope="module")
def ingest(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    (data_dir / "visitors").mkdir()
    (data_dir / "visitors" / "2026-01-01.salt").write_bytes(b"x" * 32)
    with running("ingest", data_dir, workers=2) as ingest:
        ingest.data_dir = data_dir
        yield ingest


def test_a_salt_left_over_from_a_stop_is_destroyed_at_the_start(ingest):
    left = ingest.data_dir / "visitors" / "2026-01-01.salt"
    wait_for(lambda: not left.exists(), "the old salt to go")


def test_one_browser_is_one_user_however_many_workers_and_events(ingest):
    one = {"site_id": "blog", "event_type": "page_view"}
    for _ in range(8):  # each over a connection of its own
        url = ingest.url + "/event?visitor=daily"
        assert httpx2.post(url, json=one, headers=PERSON).status_code == 202
    url = ingest.url + "/events?ack=synced&visitor=daily"
    two = httpx2.post(url, json=[one, one], headers=PERSON).json()
    assert two == {"accepted": 2, "rejected": 0}
    assert httpx2.post(url, json=[one], headers=OTHER).json()["accepted"] == 1
    with running("report", ingest.data_dir) as report:
        figures = stats(report, "blog")
    assert (figures["total_views"], figures["unique_users"]) == (11, 2)


def test_a_user_id_that_was_sent_is_kept_and_none_is_made_unless_asked(ingest):
    named = {"site_id": "named", "event_type": "login", "user_id": "ann"}
    nameless = {"site_id": "nameless", "event_type": "page_view"}
    assert httpx2.post(ingest.url + "/event?visitor=daily", json=named).status_code == 202
    assert httpx2.post(ingest.url + "/event", json=nameless).status_code == 202
    assert b'"site_id":"named","event_type":"login","user_id":"ann"' in lines(ingest.data_dir)
    assert b'"site_id":"nameless","event_type":"page_view","timestamp"' in lines(ingest.data_dir)


@pytest.mark.parametrize("query", ["visitor=weekly", "visitor=", "visitor=daily&visitor=daily"])
@pytest.mark.parametrize("path", ["/event", "/events"])
def test_a_misspelt_visitor_is_refused(ingest, path, query):
    event = {"site_id": "blog", "event_type": "page_view"}
    response = httpx2.post(f"{ingest.url}{path}?{query}", json=event)
    assert (response.status_code, response.json()["code"]) == (400, "bad_parameter")


def test_address_and_browser_are_nowhere_on_disk(ingest):
    event = {"site_id": "private", "event_type": "page_view"}
    transport = httpx2.HTTPTransport(local_address="127.0.0.77")
    with httpx2.Client(transport=transport, headers={"user-agent": "Unmistakable/1"}) as client:
        response = client.post(ingest.url + "/event?visitor=daily", json=event)
    assert response.status_code == 202
    written = [path for path in ingest.data_dir.rglob("*") if path.is_file()]  # logs, too
    assert any(b'"private"' in path.read_bytes() for path in written)
    for path in written:
        content = path.read_bytes()
        assert b"127.0.0.77" not in content and b"Unmistakable" not in content, path


def test_the_salt_is_that_of_the_day_of_receipt(ingest):
    week_ago = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    event = {"site_id": "late", "event_type": "page_view", "timestamp": week_ago}
    assert httpx2.post(ingest.url + "/event?visitor=daily", json=event).status_code == 202
    for name in os.listdir(ingest.data_dir / "visitors"):
        assert name >= (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


# Both ways an event can take: answered by the protocol, or (chunked) by the Starlette app


def chunked(body):
    yield body


@pytest.mark.parametrize("wrap", [bytes, chunked], ids=["protocol", "app"])
@pytest.mark.parametrize(
    "trusted, users",
    [
        pytest.param("", 1, id="a header is not believed unless its sender is trusted"),
        pytest.param("127.0.0.0/8", 2, id="a trusted proxy says who its clients are"),
    ],
)
def test_the_address_behind_a_proxy(tmp_path, trusted, users, wrap):
    with (
        running("ingest", tmp_path, trusted_proxies=trusted) as ingest,
        running("report", tmp_path) as report,
    ):
        for address in ("203.0.113.7", "203.0.113.8", "203.0.113.7"):
            response = httpx2.post(
                ingest.url + "/event?visitor=daily",
                content=wrap(b'{"site_id":"blog","event_type":"page_view"}'),
                headers={"x-forwarded-for": address, **PERSON},
            )
            assert response.status_code == 202
        assert stats(report, "blog")["unique_users"] == users


def test_both_ways_give_a_visitor_the_same_identity(ingest):
    for wrap in (bytes, chunked):
        event = wrap(b'{"site_id":"ways","event_type":"page_view"}')
        url = ingest.url + "/event?visitor=daily"
        assert httpx2.post(url, content=event, headers=PERSON).status_code == 202
    with running("report", ingest.data_dir) as report:
        assert stats(report, "ways")["unique_users"] == 1
