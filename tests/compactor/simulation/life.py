"""A complete life of a small data folder: every kind of line, segment, pass, rewrite and exit.

What has been accepted so far, and what may be lost, is kept beside it as an Expectation.
"""

import os
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from compactor.jobs.erase import Subject, erase_from_quarantine, erase_in
from compactor.lake.disk import Disk
from compactor.lake.format import PartNames
from compactor.scheduler import Scheduler
from compactor.settings import Settings
from tests.compactor.simulation.disk import SimulatedDisk
from tests.compactor.simulation.model import State

ERASED_USER = "eve"
RETENTION_DAYS = 3
START: State = {}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Expectation:
    """What has to be found, at one moment of a life."""

    lines: dict[str, str]  # every whole line that was written, by its marker: its segment's id
    synced: frozenset[str]  # markers of those that outlive a power cut
    damaged: frozenset[str]
    erasable: frozenset[str]
    erasing: bool = False  # has it begun?
    erased: bool = False  # is it promised by now?
    now: float = 0.0
    parts: dict[str, bytes] = field(
        default_factory=dict
    )  # each name that was ever given in the lake, and its bytes


class Life:
    def __init__(
        self, root: Path, disk: SimulatedDisk, database: duckdb.DuckDBPyConnection
    ) -> None:
        self.root = root
        self.disk = disk
        self.database = database
        self.expects = Expectation({}, frozenset(), frozenset(), frozenset())
        self._markers = 0
        self._processes = 0

    def live(self) -> None:
        """From the first event to the last file's leaving."""
        self.open_spool()
        self.clock("2026-11-20 10:00")
        one = self.segment(
            [
                self.event("2026-11-20T09:00:00Z", event_id="a"),
                self.event("2026-11-20T09:00:00Z", event_id="a", site="blog"),
                self.event("2026-11-20T08:00:00Z", user=ERASED_USER),
                self.event("2026-11-19T23:59:59.999999Z"),
                self.event("2026-11-20T09:00:01Z", event_id="a"),
            ]
        )
        self.close(one)
        self.turn()
        self.clock("2026-11-20 11:00")
        two = self.segment([self.event("2026-11-20T10:00:00Z"), self.damaged()])
        self.close(two)
        orphan = self.segment(
            [
                self.event("2026-11-20T09:00:02Z", event_id="a", user=ERASED_USER),
                self.event("2026-11-20T10:30:00Z", padding=600),
            ]
        )
        self.sync(orphan)
        self.append(orphan, [self.event("2026-11-20T10:40:00Z", padding=500)])
        self.tear(orphan)
        self.turn()
        self.clock("2026-11-21 04:00")
        self.close(self.segment([self.event("2026-11-20T23:00:00Z", user=ERASED_USER)]))
        self.turn()  # settles
        self.clock("2026-11-21 05:00")
        self.close(
            self.segment([self.event("2026-11-20T23:30:00Z"), self.event("2026-11-21T04:00:00Z")])
        )
        self.erase()
        self.clock("2026-11-25 00:00")
        self.close(
            self.segment(
                [
                    self.event("2026-11-20T23:40:00Z"),
                    self.event("2026-11-23T12:00:00Z"),  # or all dates would go, which is doubted
                ]
            )
        )
        self.turn()  # moves dates out
        self.turn()

    def more(self) -> None:
        """What arrives before the compactor is started again."""
        self._markers = len(self.expects.lines)
        self.close(
            self.segment(
                [
                    self.event("2026-11-20T09:00:03Z", event_id="a"),
                    self.event("2026-11-19T23:00:00Z", event_id="a"),
                ]
            )
        )

    # What processes do

    def passes(self, disk: Disk | None = None, process: str | None = None) -> Scheduler:
        if process is None:
            self._processes += 1
            process = f"{self._processes:08x}"
        clock = lambda: self.expects.now  # noqa: E731
        return Scheduler(
            Settings(data_dir=str(self.root), retention_days=RETENTION_DAYS),
            threading.Event(),
            disk or self.disk,
            clock,
            PartNames(clock, process),
            self.database,
        )

    def turn(self) -> None:
        self.passes().turn(everything=True)

    def erase(self) -> None:
        self.expect(erasing=True)
        erase(self.passes())
        self.expect(erased=True)
        self.disk.note("erased")

    def expire(self) -> None:
        """As `python -m compactor expire` does it: nothing is compacted before."""
        passes = self.passes(process="dddddddd")
        due = passes.upkeep.due()
        if due:
            passes.expire(max(due))

    # What ingest does

    def open_spool(self) -> None:
        """At its start, see ingest.spool."""
        (self.root / "spool").mkdir()
        self.disk.files.make_folder("spool")
        self.disk.note("ingest: make folder")
        self.sync_data_folder()
        self.disk.note("ingest: sync data folder")

    def sync_data_folder(self) -> None:
        self.disk.files.sync("")

    def segment(self, lines: list[bytes]) -> Path:
        name = f"{int(self.expects.now * 1000):013d}-eeeeeeee-{self._markers:06d}.open"
        path = self.root / "spool" / name
        path.write_bytes(b"")
        self.disk.files.write(f"spool/{name}", b"")
        self.append(path, lines)
        return path

    def append(self, path: Path, lines: list[bytes]) -> None:
        path.write_bytes(path.read_bytes() + b"".join(lines))
        self.disk.files.write(f"spool/{path.name}", path.read_bytes())
        new = {marker_of(line): path.stem for line in lines}
        self.expect(lines=self.expects.lines | new)
        self.disk.note("ingest: write")

    def tear(self, path: Path) -> None:
        """The writer dies in the middle of a write."""
        path.write_bytes(path.read_bytes() + b'{"site_id":"sh')
        self.disk.files.write(f"spool/{path.name}", path.read_bytes())
        self.disk.note("ingest: torn write")

    def sync(self, path: Path) -> None:
        self.disk.files.sync(f"spool/{path.name}")
        self.disk.files.sync("spool")
        own = {marker for marker, id in self.expects.lines.items() if id == path.stem}
        self.expect(synced=self.expects.synced | own)
        self.disk.note("ingest: sync")

    def close(self, path: Path) -> None:
        self.sync(path)
        closed = path.with_suffix(".jsonl")
        os.rename(path, closed)
        self.disk.files.rename(f"spool/{path.name}", f"spool/{closed.name}")
        self.disk.note("ingest: rename")
        self.disk.files.sync("spool")
        self.disk.note("ingest: sync folder")

    # Lines, each with a marker of its own

    def event(
        self, timestamp: str, event_id="", user="ann", site="shop", padding: int = 0
    ) -> bytes:
        marker = self._marker()
        if user == ERASED_USER:
            self.expect(erasable=self.expects.erasable | {marker})
        own = f',"event_id":"{event_id}"' if event_id else ""
        referrer = f',"referrer":"{"r" * padding}"' if padding else ""
        return (
            f'{{"site_id":"{site}","event_type":"page_view","path":"{marker}","user_id":"{user}",'
            f'"timestamp":"{timestamp}"{own}{referrer},"received_at":"2026-11-20T10:00:00Z"}}\n'
        ).encode()

    def damaged(self) -> bytes:
        marker = self._marker()
        self.expect(damaged=self.expects.damaged | {marker})
        return f'{{"site_id":"{marker}"}}\n'.encode()

    def _marker(self) -> str:
        self._markers += 1
        return f"/n{self._markers}."

    def expect(self, **changes: object) -> None:
        self.expects = replace(self.expects, **changes)

    def clock(self, text: str) -> None:
        self.expect(now=at(text))


def marker_of(line: bytes) -> str:
    start = line.index(b"/n")
    return line[start : line.index(b".", start) + 1].decode()


def erase(passes: Scheduler) -> None:
    """As `python -m compactor erase` does it."""
    passes.compact_all()
    subject = Subject("shop", ERASED_USER)
    for folder in passes.lake.folders():
        erase_in(passes.lake, folder, subject, passes.next_name)
    erase_from_quarantine(passes.quarantine, subject)
