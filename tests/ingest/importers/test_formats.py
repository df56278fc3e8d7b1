"""Which format a file is of, and what an export makes of itself when it comes back."""

import json

import pytest

from ingest.importers.formats import FORMATS, recognised
from ingest.importers.formats.export import read
from ingest.importers.lines import Line

LOG = b'203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5'
EVENT = {
    "site_id": "blog",
    "event_type": "page_view",
    "path": "/",
    "user_id": "ann",
    "timestamp": "2019-11-22T08:00:00.123456Z",
    "props": {"plan": "pro"},
    "received_at": "2026-11-22T08:00:00.123456Z",
}
EXPORT = json.dumps(EVENT).encode()


def name_of(*lines: bytes) -> str | None:
    found = recognised([Line(f"file:{n}", raw) for n, raw in enumerate(lines)])
    return found.name if found else None


@pytest.mark.parametrize(
    "lines, name",
    [
        pytest.param([LOG], "combined", id="a log"),
        pytest.param([EXPORT], "export", id="an export"),
        pytest.param([b"", b"oops", LOG], "combined", id="a log that begins with something else"),
        pytest.param([LOG, EXPORT, EXPORT], "export", id="what there is most of"),
        pytest.param([b"oops"], None, id="neither"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_a_file_is_of_the_format_that_understands_most_of_its_first_lines(
    lines: list[bytes], name: str | None
) -> None:
    assert name_of(*lines) == name


def test_formats_have_names_of_their_own() -> None:
    assert len({each.name for each in FORMATS}) == len(FORMATS)


def test_an_exported_event_keeps_all_but_its_site_and_its_time_of_receipt() -> None:
    record = read(EXPORT)
    assert record is not None and record.visitor is None
    assert record.event == {k: v for k, v in EVENT.items() if k not in ("site_id", "received_at")}


@pytest.mark.parametrize(
    "line",
    [b"", b"1", b"[]", b"{", b"{}", b'{"event_type":"x"}', b'{"event_type":"x","timestamp":1}',
     b'{"event_type":null,"timestamp":"2019-11-22T08:00:00Z"}', b"[" * 9_000, b"\xff"],
)  # fmt: skip
def test_what_is_no_exported_event_is_not_understood(line: bytes) -> None:
    assert read(line) is None
