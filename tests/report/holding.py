"""Data folders for tests of report: real segments, and parts that the compactor made of them."""

from collections.abc import Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from starlette.testclient import TestClient

from compactor.jobs.compact import Compactor
from compactor.lake.disk import Disk
from compactor.lake.format import PartNames
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import connect
from ingest.event import StoredEvent
from ingest.segment import CLOSED, OPEN, SegmentName
from report.app import create_app
from report.settings import Settings

NOW = datetime(2025, 11, 12, 12, tzinfo=UTC)


class Folder:
    """One data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / "spool"
        self.spool.mkdir(exist_ok=True)
        self._seq = 0

    def segment(self, lines: Iterable[bytes], state: str = CLOSED) -> SegmentName:
        self._seq += 1
        opened_ms = int(NOW.timestamp() * 1000) + self._seq
        name = SegmentName(opened_ms, "aaaaaaaa", self._seq, state)
        (self.spool / str(name)).write_bytes(b"".join(lines))
        return name

    def compact(self, *segments: SegmentName) -> None:
        disk = Disk()
        lake = Lake(LocalStore(self.path, disk))
        quarantine = Quarantine(self.path, disk)
        compactor = Compactor(lake, self.spool, quarantine, PartNames(), disk, connect())
        compactor.compact(segments)

    def holds(self, *events: StoredEvent, where: str = "lake") -> None:
        """`where`: lake, closed or open."""
        lines = [line(event) for event in events]
        name = self.segment(lines, OPEN if where == "open" else CLOSED)
        if where == "lake":
            self.compact(name)


def event(at: str | datetime = NOW, **fields: object) -> StoredEvent:
    """A page view of the blog, unless something else is said."""
    timestamp = datetime.fromisoformat(at) if isinstance(at, str) else at
    given = {"site_id": "blog", "event_type": "page_view", "received_at": NOW} | fields
    return StoredEvent(timestamp=timestamp, **given)


def line(event: StoredEvent) -> bytes:
    return msgspec.json.encode(event) + b"\n"


@contextmanager
def asking(path: Path, **settings: object):
    """A client of report over this folder, in this process."""
    app = create_app(Settings(data_dir=str(path), **settings))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def figures(client: TestClient, path: str, /, **parameters: object):
    response = client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()
