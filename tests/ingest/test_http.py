"""The HTTP surface of ingest, through real sockets: each answer, and each refusal with its code."""

import gzip
import json
import socket

import httpx2
import pytest

from ingest.dialects.native import BATCH_EVENTS_MAX
from ingest.event import BATCH_BYTES_MAX, EVENT_BYTES_MAX
from ingest.refusal import STATUS, Refusal
from tests.processes import running

GOOD = b'{"site_id":"a","event_type":"b"}'


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def client(data_dir):
    with running("ingest", data_dir) as ingest, httpx2.Client(base_url=ingest.url) as client:
        yield client


def spooled_lines(data_dir):
    return [
        json.loads(line)
        for segment in (data_dir / "spool").iterdir()
        for line in segment.read_text().splitlines()
    ]


def test_an_event_is_accepted_whatever_its_content_type_says(client, data_dir):
    for content_type in ("application/json", "text/plain;charset=UTF-8", "image/png"):
        before = len(spooled_lines(data_dir))
        response = client.post("/event", content=GOOD, headers={"content-type": content_type})
        assert (response.status_code, response.text) == (202, '{"status":"accepted"}')
        assert response.headers["content-type"] == "application/json"
        assert len(spooled_lines(data_dir)) == before + 1


@pytest.mark.parametrize("ack", ["written", "synced"])
def test_the_request_chooses_its_promise(client, ack):
    assert client.post(f"/event?ack={ack}", content=GOOD).status_code == 202
    assert client.post(f"/events?ack={ack}", content=GOOD).status_code == 202


@pytest.mark.parametrize("body", [GOOD + b"\n" + GOOD, b"[" + GOOD + b"," + GOOD + b"]"])
def test_a_batch_is_accepted_and_counted(client, body):
    response = client.post("/events", content=body)
    assert (response.status_code, response.json()) == (202, {"accepted": 2, "rejected": 0})


def test_a_batch_of_nothing_is_nothing(client):
    assert client.post("/events", content=b"[]").json() == {"accepted": 0, "rejected": 0}
    assert client.post("/events", content=b"\n").json() == {"accepted": 0, "rejected": 0}


def test_a_batch_with_some_invalid_events_says_which(client, data_dir):
    before = len(spooled_lines(data_dir))
    response = client.post("/events", content=GOOD + b"\n{}\n" + GOOD)
    assert response.status_code == 207
    assert response.json() == {
        "accepted": 2,
        "rejected": 1,
        "errors": [
            {
                "index": 1,
                "code": "invalid_event",
                "detail": "Object missing required field `site_id`.",
            }
        ],
    }
    assert len(spooled_lines(data_dir)) == before + 2


def test_a_batch_without_a_valid_event_is_refused_with_each_reason(client):
    response = client.post("/events", content=b"{}\n{")
    assert response.status_code == 422
    problem = response.json()
    assert (problem["code"], problem["accepted"], problem["rejected"]) == ("invalid_event", 0, 2)
    assert [error["code"] for error in problem["errors"]] == ["invalid_event", "malformed_json"]


@pytest.mark.parametrize("path", ["/event", "/events"])
def test_gzip_is_understood_also_in_several_members(client, path):
    halves = gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:])
    for body in (gzip.compress(GOOD), halves):
        response = client.post(path, content=body, headers={"content-encoding": "gzip"})
        assert response.status_code == 202, response.text


def test_a_chunked_body_is_understood(client):
    assert client.post("/event", content=iter([GOOD[:5], GOOD[5:]])).status_code == 202


BOMB = gzip.compress(bytes(BATCH_BYTES_MAX + 1))
GZIP = {"content-encoding": "gzip"}
LATE = b'{"site_id":"a","event_type":"b","timestamp":"2999-01-01T00:00:00Z"}'


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        pytest.param("malformed_json", ("POST", "/event", b"{"), id="not JSON"),
        pytest.param("malformed_json", ("POST", "/event", b""), id="no body"),
        pytest.param("malformed_json", ("POST", "/events", b"["), id="half an array"),
        pytest.param("malformed_json", ("POST", "/event", GOOD, GZIP), id="gzip that is none"),
        pytest.param(
            "malformed_json", ("POST", "/event", gzip.compress(GOOD)[:-9], GZIP), id="torn gzip"
        ),
        pytest.param("invalid_event", ("POST", "/event", b"{}"), id="no site"),
        pytest.param("invalid_event", ("POST", "/event", b"[1]"), id="an array for an event"),
        pytest.param("timestamp_out_of_range", ("POST", "/event", LATE), id="the year 2999"),
        pytest.param("too_large", ("POST", "/event", b" " * (EVENT_BYTES_MAX + 1)), id="event"),
        pytest.param("too_large", ("POST", "/events", b" " * (BATCH_BYTES_MAX + 1)), id="batch"),
        pytest.param("too_large", ("POST", "/events", BOMB, GZIP), id="gzip bomb"),
        pytest.param(
            "too_large", ("POST", "/events", (GOOD + b"\n") * (BATCH_EVENTS_MAX + 1)), id="events"
        ),
        pytest.param(
            "unsupported_encoding", ("POST", "/event", GOOD, {"content-encoding": "br"}), id="br"
        ),
        pytest.param("bad_parameter", ("POST", "/event?ack=maybe", GOOD), id="ack=maybe"),
        pytest.param("bad_parameter", ("POST", "/events?akc=synced", GOOD), id="a misspelt ack"),
        pytest.param(
            "bad_parameter", ("POST", "/event?ack=synced&ack=written", GOOD), id="two promises"
        ),
        pytest.param("not_found", ("POST", "/event/", GOOD), id="a slash too many"),
        pytest.param("not_found", ("GET", "/", b""), id="the root"),
        pytest.param("method_not_allowed", ("GET", "/event", b""), id="GET for an event"),
        pytest.param("method_not_allowed", ("POST", "/health", b""), id="POST for health"),
    ],
)
def test_a_refusal_is_a_problem_with_its_code(client, data_dir, code, request_):
    method, path, body, *headers = request_
    before = len(spooled_lines(data_dir))
    response = client.request(method, path, content=body, headers=headers[0] if headers else {})
    problem = response.json()
    assert problem["code"] == code
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == problem["status"] == STATUS[Refusal(code)]
    assert problem["title"]
    assert problem["detail"]
    assert len(spooled_lines(data_dir)) == before


def test_method_not_allowed_says_what_is(client):
    assert client.get("/event").headers["allow"] == "OPTIONS, POST"


def test_any_page_may_send_and_read_by_default(client):
    for response in (client.post("/event", content=GOOD), client.post("/event", content=b"{")):
        assert response.headers["access-control-allow-origin"] == "*"


def test_a_preflight_is_answered_for_a_day(client):
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    for path in ("/event", "/events"):
        response = client.options(path, headers=asked)
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-methods"] == "POST"
        assert "content-type" in response.headers["access-control-allow-headers"]
        assert response.headers["access-control-max-age"] == "86400"


def test_a_setting_narrows_the_origins(tmp_path):
    origins = " https://a.example, https://b.example "
    with running("ingest", tmp_path, cors_origins=origins) as ingest:

        def allowed(origin):
            response = httpx2.post(ingest.url + "/event", content=GOOD, headers={"origin": origin})
            assert response.headers["vary"] == "origin"
            return response.headers.get("access-control-allow-origin")

        assert allowed("https://b.example") == "https://b.example"
        assert allowed("https://c.example") is None


def test_health_and_readiness_are_told(client):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}


def test_a_client_that_leaves_in_the_middle_costs_nobody_else_anything(client):
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address) as gone:
        gone.sendall(b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    assert client.post("/event", content=GOOD).status_code == 202
