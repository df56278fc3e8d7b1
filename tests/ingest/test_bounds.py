"""A small request costs little: in memory, in time, in the answer to it, and in what it makes."""

import gzip
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import orjson
import pytest

from ingest.dialects.native import BATCH_EVENTS_MAX
from ingest.event import BATCH_BYTES_MAX
from ingest.secret import destroy_import_secret, import_secret
from tests.processes import running

GZIP = {"content-encoding": "gzip"}
SMALLEST = b'{"site_id":"a","event_type":"b"}'


@pytest.fixture(scope="module")
def ingest(tmp_path_factory):
    with running("ingest", tmp_path_factory.mktemp("data")) as ingest:
        yield ingest


def filled(start, element, end):
    """A batch as large as one may be, of as many of these elements as go into it."""
    count = (BATCH_BYTES_MAX - len(start) - len(end)) // len(element)
    return start + element * count + end


def memory_mib(ingest, name):
    """VmRSS: what it has in memory now; VmHWM: the most that it had since it was reset."""
    status = Path(f"/proc/{ingest.process.pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024


def reset_peak(ingest):
    Path(f"/proc/{ingest.process.pid}/clear_refs").write_text("5")


def slowest_health_s(ingest, until):
    """The longest that a /health beside it waits."""
    slowest = 0.0
    with httpx2.Client() as client:
        while not until.is_set():
            began = time.monotonic()
            assert client.get(ingest.url + "/health", timeout=30).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
    return slowest


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(filled(b"[", b"1,", b"1]"), 413, id="an array of numbers"),
        pytest.param(filled(b"[", b"{},", b"{}]"), 413, id="an array of empty objects"),
        pytest.param(filled(b"[", b"[],", b"[]]"), 413, id="an array of empty arrays"),
        pytest.param(filled(b"[", SMALLEST + b",", SMALLEST + b"]"), 413, id="an array of events"),
        pytest.param(filled(b"[", b" ", b"]"), 202, id="an array of nothing but blanks"),
        pytest.param(filled(b"", b"aa\n", b""), 413, id="lines that are no JSON"),
        pytest.param(filled(b"", b"{}\n", b""), 413, id="lines of empty objects"),
        pytest.param(filled(b"", b"\n", b""), 413, id="empty lines"),
        pytest.param(filled(b"", b" \r\n", b""), 413, id="blank lines"),
        pytest.param(filled(b"[[", b"1,", b"1]]"), 422, id="one array in an array"),
        pytest.param(filled(b'[{"props":{', b'"a":1,', b'"a":1}}]'), 422, id="one huge event"),
    ],
)
def test_a_few_kilobytes_take_neither_memory_nor_the_time_of_others(ingest, body, status):
    reset_peak(ingest)
    before, done = memory_mib(ingest, "VmRSS"), threading.Event()
    answers = []

    def send():
        packed = gzip.compress(body)
        assert len(packed) < 64 * 1024
        answers.append(httpx2.post(ingest.url + "/events", content=packed, headers=GZIP))
        done.set()

    sender = threading.Thread(target=send)
    sender.start()
    slowest = slowest_health_s(ingest, done)
    sender.join()
    assert answers[0].status_code == status
    # the body inflated, copied and cut to pieces, and no more events than a batch may have
    assert memory_mib(ingest, "VmHWM") - before < 48
    assert slowest < 1.0  # some 50 ms on an idle machine


def test_a_refusal_quotes_little_of_what_it_refuses(ingest):
    long = "x" * 60_000
    events = [{"site_id": "a", "event_type": "b", long: 1}] * 160
    answer = httpx2.post(ingest.url + "/events", content=orjson.dumps(events))
    assert answer.status_code == 422
    assert len(answer.content) < 64 * 1024
    detail = answer.json()["errors"][0]["detail"]
    assert "unknown field `xxx" in detail and "props" in detail
    for query in ("x" * 8_000, "ack=" + "x" * 8_000, "ack&" + "x" * 8_000):
        assert len(httpx2.post(f"{ingest.url}/event?{query}", content=SMALLEST).content) < 500


def test_who_knows_the_import_secret_may_bring_the_past_and_nobody_else(tmp_path):
    with running("ingest", tmp_path) as ingest:
        old = [event_on(datetime(1999, 12, 31, tzinfo=UTC))]

        def status(**headers):
            return httpx2.post(ingest.url + "/events", json=old, headers=headers).status_code

        assert status() == status(authorization="Bearer x") == 422  # no secret was made yet
        token = import_secret(tmp_path).token
        assert status() == status(authorization=f"Bearer {token[:-1]}ü".encode("latin-1")) == 422
        assert status(authorization=token) == 422
        assert status(authorization=f"Bearer {token}") == 202
        for body in (orjson.dumps(old[0]), iter([orjson.dumps(old[0])])):  # on both paths
            headers = {"authorization": f"Bearer {token}"}
            single = httpx2.post(ingest.url + "/event", content=body, headers=headers)
            assert single.status_code == 422
        assert destroy_import_secret(tmp_path)
        assert status(authorization=f"Bearer {token}") == 422
        assert token not in ingest.log.read_text()


def event_on(day, **fields):
    return {"site_id": "a", "event_type": "b", "timestamp": day.isoformat(), **fields}


def test_an_event_of_long_ago_is_refused_and_one_of_a_year_ago_is_not(ingest):
    now = datetime.now(UTC)
    for days, status in ((365, 202), (740, 422), (20_000, 422)):
        event = event_on(now - timedelta(days=days))
        for path, wrap in (("/event", orjson.dumps), ("/events", lambda e: orjson.dumps([e]))):
            answer = httpx2.post(ingest.url + path, content=wrap(event))
            assert answer.status_code == status, days
    assert answer.json()["errors"][0]["code"] == "timestamp_out_of_range"
    assert "731 days" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("odd", [None, "\\u0041"], ids=["at once", "one by one"])
def test_a_batch_may_have_events_of_so_many_dates_and_no_more(ingest, odd):
    now = datetime.now(UTC)
    days = [event_on(now - timedelta(days=n), path="/a") for n in range(32)]

    def send(events):
        body = orjson.dumps(events)
        body = body.replace(b'"/a"', b'"/\\u0041"') if odd else body
        return httpx2.post(ingest.url + "/events", content=body)

    assert send(days[:31] * 10).json() == {"accepted": 310, "rejected": 0}
    answer = send(days)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "31 dates" in answer.json()["detail"]
    answer = send([*days[1:], {"site_id": "a", "event_type": "b", "path": "/a"}])  # that is today
    assert "31 dates" in answer.json()["detail"]


def test_how_far_back_and_how_many_dates_are_settings(tmp_path):
    now = datetime.now(UTC)
    with running("ingest", tmp_path, past_s_max=86_400, batch_dates_max=1) as ingest:
        url = ingest.url + "/events"
        old = httpx2.post(url, json=[event_on(now - timedelta(hours=25))])
        assert old.json()["errors"][0]["code"] == "timestamp_out_of_range"
        assert httpx2.post(url, json=[event_on(now - timedelta(days=1) / 2)] * 2).status_code == 202
        two = httpx2.post(
            url, json=[event_on(now), event_on(now - timedelta(hours=23, minutes=59), event_id="x")]
        )
        assert two.json()["code"] == "too_large"


def test_a_full_batch_is_taken_whatever_its_shape(ingest):
    for body in (
        (SMALLEST + b"\n") * BATCH_EVENTS_MAX,
        (SMALLEST + b"\r\n\r\n") * BATCH_EVENTS_MAX,
        b"[" + b" , ".join([SMALLEST] * BATCH_EVENTS_MAX) + b"]",
    ):
        answer = httpx2.post(ingest.url + "/events", content=body)
        assert answer.json() == {"accepted": BATCH_EVENTS_MAX, "rejected": 0}
        more = body.replace(
            SMALLEST, SMALLEST + (b"," if body[:1] == b"[" else b"\n") + SMALLEST, 1
        )
        assert httpx2.post(ingest.url + "/events", content=more).json()["code"] == "too_large"
