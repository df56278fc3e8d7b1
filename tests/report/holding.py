"""Data folders for tests of report: real segments, and parts that the compactor made of them."""

from collections.abc import Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from starlette.testclient import TestClient

from compactor.jobs.compact import Compactor
from compactor.jobs.settle import settle
from compactor.lake.disk import Disk
from compactor.lake.format import PartNames
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import connect
from compactor.settling import HeldPart, plan_settling
from ingest.event import StoredEvent
from ingest.segment import CLOSED, OPEN, SegmentName
from report.app import create_app
from report.settings import Settings

NOW = datetime(2025, 11, 12, 12, tzinfo=UTC)
FIRST_OPEN = NOW.date()  # the first date that is not closed yet
LATER_MS = 1 << 50  # nothing has to wait for company any more


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
        names, database = PartNames(), connect()
        compactor = Compactor(
            lake, self.spool, quarantine, names, disk, database, lambda: FIRST_OPEN
        )
        compactor.compact(segments)

    def settle(self) -> None:
        """What the compactor does with dates that are closed."""
        lake = Lake(LocalStore(self.path))
        for folder in lake.folders():
            held = [
                HeldPart(
                    part, {day: counts.rows for day, counts in lake.footer(part).dates.items()}
                )
                for part in lake.parts(folder)
            ]
            settled = [each for each in held if not each.part.is_recent]
            closed = [each for each in held if each.part.is_recent and each.part.last < FIRST_OPEN]
            merges = plan_settling(settled, closed, LATER_MS)
            if merges:
                settle(lake, folder, merges, PartNames(), lambda: None)

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
