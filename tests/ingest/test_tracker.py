"""The tracker as a file, and as ingest serves it; tests/test_browser.py runs it."""

import gzip

import httpx2
import pytest

from tests.minify import MINIFIED, minified
from tests.processes import running


def test_the_minified_tracker_is_that_of_the_source():
    assert MINIFIED.read_text() == minified(), "python -m tests.minify"


def test_the_tracker_is_at_most_1_2_kib_compressed():
    assert len(gzip.compress(MINIFIED.read_bytes())) <= 1.2 * 1024


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with running("ingest", tmp_path_factory.mktemp("data")) as ingest:
        yield ingest.url + "/tracker.js"


def test_it_is_cached_for_a_day_by_anyone_and_may_run_anywhere(url):
    response = httpx2.get(url)
    assert response.content == MINIFIED.read_bytes()
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=86400"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("encoding, length_max", [("identity", 2_560), ("gzip, br", 1_228)])
def test_who_has_it_already_is_told_so(url, encoding, length_max):
    first = httpx2.get(url, headers={"accept-encoding": encoding})
    assert int(first.headers["content-length"]) <= length_max
    assert first.content == MINIFIED.read_bytes()
    headers = {"accept-encoding": encoding, "if-none-match": f'"old", W/{first.headers["etag"]}'}
    again = httpx2.get(url, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == "public, max-age=86400"


def test_the_two_forms_have_tags_of_their_own(url):
    tags = {httpx2.get(url, headers={"accept-encoding": e}).headers["etag"] for e in ("", "gzip")}
    assert len(tags) == 2
    assert httpx2.head(url).status_code == 200
    assert httpx2.post(url).json()["code"] == "method_not_allowed"
