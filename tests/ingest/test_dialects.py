"""A dialect is two pure functions and a row: the rest of a request's way is the same for all."""

from urllib.parse import urlsplit

import msgspec
import pytest
from starlette.testclient import TestClient

from ingest.app import create_app
from ingest.dialects.dialect import Answer, LeftOut, Options, Outcome, Reading, Route
from ingest.dialects.routes import ROUTES, plain_targets
from ingest.event import decode_line
from ingest.settings import Settings

# "name url" a line, as nobody speaks it; "ping" is no event


def read(message):
    reading = Reading(Options(visitor=True))
    for line in message.body.decode().splitlines():
        name, _, url = line.partition(" ")
        if name == "ping":
            reading.left_out[LeftOut.PING] += 1
            continue
        parts = urlsplit(url)
        event = {"site_id": parts.hostname or "", "event_type": name, "path": parts.path}
        reading.take(msgspec.json.encode(event))
    return reading


def answer(outcome):
    told = f"{outcome.accepted} of {outcome.accepted + outcome.rejected}"
    return Answer(200, told.encode(), "text/plain")


LINES = Route("/lines", ("POST", "PUT"), read, answer, bytes_max=1_000, cors=False)


@pytest.fixture
def client(tmp_path):
    app = create_app(Settings(data_dir=str(tmp_path)), routes=(*ROUTES, LINES))
    with TestClient(app, raise_server_exceptions=False) as client:
        client.spool = tmp_path / "spool"
        yield client


def kept(client):
    content = b"".join(path.read_bytes() for path in client.spool.iterdir())
    return [decode_line(line) for line in content.splitlines()]


def test_what_is_read_is_completed_kept_and_answered(client):
    body = "page_view https://blog.example/a\nping\nsignup https://blog.example/b\nx nowhere"
    said = client.put("/lines", content=body)
    assert (said.status_code, said.text) == (200, "2 of 3")
    assert said.headers["content-type"].startswith("text/plain")
    first, second = kept(client)
    assert (first.site_id, first.event_type, first.path) == ("blog.example", "page_view", "/a")
    assert first.user_id == second.user_id and first.user_id.startswith("d:")
    assert first.timestamp == first.received_at
    metrics = client.get("/metrics").text
    assert 'ingest_left_out_total{what="ping"} 1.0' in metrics
    assert 'ingest_refused_total{code="invalid_event"} 1.0' in metrics
    assert "ingest_batch_events_sum 3.0" in metrics


def test_its_row_says_what_it_takes(client):
    assert client.post("/lines", content="x" * 1_001).json()["code"] == "too_large"
    assert client.get("/lines").headers["allow"] == "POST, PUT"
    assert client.options("/lines").status_code == 405  # no page of another origin may send
    assert client.options("/events").status_code == 204
    detail = client.get("/nowhere").json()["detail"]
    assert detail == "There is /event, /events, /lines, /tracker.js, /health, /ready, /metrics."
    assert kept(client) == []


def test_the_fast_path_answers_the_targets_that_a_row_names_and_no_other():
    asks = Options(synced=True, visitor=True)
    named = Route("/hit", ("POST",), read, answer, 9, plain_targets=lambda ack: {b"/hit": asks})
    assert plain_targets((LINES, named), "written") == {b"/hit": asks}
    targets = plain_targets(ROUTES, "synced")
    assert targets[b"/event"] == Options(synced=True)
    assert targets[b"/event?visitor=daily&ack=written"] == Options(visitor=True)
    assert all(target.startswith(b"/event") for target in targets)
    assert len(targets) == 8


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_row_is_complete(route):
    """An outcome of nothing has an answer, and no two rows are at one path."""
    said = route.answer(Outcome())
    assert (said.status, said.media_type) == (202, "application/json")
    assert [each.path for each in ROUTES].count(route.path) == 1
