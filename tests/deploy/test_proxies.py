"""nginx and Caddy in front, as deploy/ has them: HTTP/2, TLS, addresses, limits, nobody logged."""

import json
import shutil

import httpx2
import pytest

from ingest.event import BATCH_BYTES_MAX
from tests.deploy.proxy import caddy, in_front_of, nginx
from tests.processes import free_port, running

TOKEN = "a-token-of-the-operator"
VISITOR, OTHER = "127.0.0.2", "127.0.0.3"
EVENT = '{"site_id":"a","event_type":"page_view","path":"/%s"}'


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    with (
        running("ingest", data_dir, trusted_proxies="127.0.0.1,::1") as ingest,
        running("report", data_dir, token=TOKEN) as report,
    ):
        yield data_dir, ingest, report


@pytest.fixture(scope="module", params=[nginx, caddy], ids=lambda each: each.__name__)
def configure(request):
    if not shutil.which(request.param.__name__):
        pytest.skip(f"needs {request.param.__name__}")
    return request.param


@pytest.fixture(scope="module")
def proxy(configure, stages, tmp_path_factory):
    _, ingest, report = stages
    with in_front_of(ingest.port, report.port, configure, tmp_path_factory.mktemp("proxy")) as made:
        yield made


def send(proxy, path, address, *arguments):
    url = "ingest.example.com/event?visitor=daily"
    return proxy.curl(url, "--data", EVENT % path, *arguments, address=address)


def test_events_come_by_http2_from_the_address_that_sent_them_whatever_it_claims(proxy, stages):
    data_dir, ingest, _ = stages
    for path, address, claim in (
        ("one", VISITOR, ()),
        ("claims", VISITOR, ("--header", f"X-Forwarded-For: {OTHER}")),
        ("other", OTHER, ()),
    ):
        assert send(proxy, path, address, *claim) == ("202 2", '{"status":"accepted"}')
    # whom ingest hears itself is who is trusted here: so the claim would have worked
    assert httpx2.post(
        f"{ingest.url}/event?visitor=daily",
        content=EVENT % "direct",
        headers={"X-Forwarded-For": OTHER, "User-Agent": curl_agent(proxy)},
    ).is_success
    users = {
        event["path"]: event["user_id"]
        for file in (data_dir / "spool").iterdir()
        for event in map(json.loads, file.read_text().splitlines())
    }
    assert users["/one"] == users["/claims"] != users["/other"] == users["/direct"]


def curl_agent(proxy):
    return "curl/" + proxy.curl("ingest.example.com/health", "--version")[1].split()[1]


def test_a_body_that_is_too_large_is_refused(proxy, tmp_path):
    body = tmp_path / "body"
    for size in (BATCH_BYTES_MAX + 1, BATCH_BYTES_MAX * 2):
        body.write_bytes(bytes(size))
        told, answer = proxy.curl("ingest.example.com/events", "--data-binary", f"@{body}")
        assert told.split()[0] == "413"
        assert '"code":"too_large"' in answer or size > BATCH_BYTES_MAX + 1


def test_the_dashboard_is_there_for_who_has_the_token_and_metrics_for_nobody(proxy):
    told, page = proxy.curl("stats.example.com/")
    assert told == "200 2" and "<title>" in page
    url = "stats.example.com/stats?site_id=a"
    assert proxy.curl(url)[0] == "401 2"
    assert proxy.curl(url, "--oauth2-bearer", TOKEN)[0] == "200 2"
    for name in ("ingest", "stats"):
        assert proxy.curl(f"{name}.example.com/metrics", "--oauth2-bearer", TOKEN)[0] == "404 2"
    answer = httpx2.post(
        f"http://127.0.0.1:{proxy.plain_port}/event", headers={"host": "ingest.example.com"}
    )
    assert answer.status_code == 308


def test_no_log_has_an_address_not_even_of_a_request_that_failed(configure, stages, tmp_path):
    _, ingest, _ = stages
    with in_front_of(ingest.port, free_port(), configure, tmp_path) as proxy:
        assert send(proxy, "one", VISITOR)[0] == "202 2"
        assert proxy.curl("stats.example.com/", address=VISITOR)[0] == "502 2"
        proxy.curl("ingest.example.com/%ZZ", address=VISITOR)
    written = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert VISITOR not in written
