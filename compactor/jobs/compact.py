"""One pass: segments become one part per date, and are released once every part has its name."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from compactor.jobs.day import Day, split_by_date
from compactor.jobs.duplicates import find_duplicates
from compactor.lake.disk import Disk
from compactor.lake.format import Part, PartNames, UnreadablePart
from compactor.lake.listing import Lake
from compactor.lake.writer import gather, sample_of, write_part
from compactor.segments.lines import SegmentLines
from compactor.segments.orphans import release
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import SetAside, read_segments
from ingest.segment import SegmentName

DUPLICATE = "duplicate: this event_id is stored already"


@dataclass(slots=True)
class Outcome:
    """What one pass did."""

    segments: int = 0
    rows: int = 0
    duplicates: int = 0
    quarantined: int = 0
    parts: list[Part] = field(default_factory=list)
    bytes_read: int = 0
    bytes_written: int = 0
    kept_back: list[tuple[UnreadablePart, list[SegmentName]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The segments of a pass; elsewhere a segment is named by its position among them."""

    segments: Sequence[SegmentName]
    lines: Sequence[SegmentLines]
    positions: dict[str, int]  # by id

    @classmethod
    def of(cls, spool: Path, segments: Sequence[SegmentName]) -> "Inputs":
        lines = [SegmentLines(spool / str(name)) for name in segments]
        return cls(segments, lines, {name.id: n for n, name in enumerate(segments)})


class Compactor:
    """Turns segments of one data folder into parts of its lake. For one thread."""

    def __init__(
        self,
        lake: Lake,
        spool: Path,
        quarantine: Quarantine,
        next_name: PartNames,
        disk: Disk,
        database: duckdb.DuckDBPyConnection,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` is called between dates; what it raises ends the pass, to be repeated later."""
        self._lake = lake
        self._spool = spool
        self._quarantine = quarantine
        self._next_name = next_name
        self._disk = disk
        self._database = database
        self._check = check

    def compact(self, segments: Sequence[SegmentName]) -> Outcome:
        """One pass. Needs the lake's lock.

        After a crash at any point of it, the next pass over the same segments leaves every event
        in the lake once: for a date of which a part names a segment, it skips that segment's rows.

        A date of which a part cannot be read gets none, for nobody knows what it has already:
        the segments with rows of it stay, and are released by a later pass.
        """
        self._lake.store.prepare()
        self._lake.store.sweep()
        paths = [self._spool / str(name) for name in segments]
        outcome = Outcome(len(segments), bytes_read=sum(path.stat().st_size for path in paths))
        rows = read_segments(self._database, paths)
        inputs = Inputs.of(self._spool, segments)
        for day in split_by_date(rows, segments):
            self._check()
            theirs = day.segments()
            try:
                self._publish_day(day, inputs, outcome)
            except UnreadablePart as error:
                outcome.kept_back.append((error, [segments[n] for n in sorted(theirs)]))
        kept_back = {name for _, names in outcome.kept_back for name in names}
        release(self._spool, [name for name in segments if name not in kept_back], self._disk)
        return outcome

    def _publish_day(self, day: Day, inputs: Inputs, outcome: Outcome) -> None:
        stored = self._lake.parts(day.date)
        ids = inputs.positions.keys()
        covered = {id for part in stored for id in self._lake.footer(part).named(ids)}
        day.leave_out({inputs.positions[id] for id in covered})
        if day.is_empty():
            self._lake.store.confirm(day.date)
            return
        paths = [str(self._lake.store.source(part)) for part in stored]
        day.set_duplicates(self._duplicates(day, paths))
        not_kept = self._keep_set_aside(day, inputs, ids - covered)
        footer = day.footer(inputs.segments, not_kept)
        part = Part(day.date, self._next_name())
        self._lake.store.publish(
            part,
            lambda file: write_part(
                file,
                gather(day.rows.table, day.positions),
                sample_of(day.rows.table, day.positions),
                footer,
            ),
        )
        outcome.rows += sum(counts.rows for counts in footer.segments.values())
        outcome.duplicates += sum(counts.duplicates for counts in footer.segments.values())
        outcome.quarantined += sum(counts.quarantined for counts in footer.segments.values())
        outcome.parts.append(part)
        outcome.bytes_written += self._lake.store.size(part)

    def _keep_set_aside(self, day: Day, inputs: Inputs, new: AbstractSet[str]) -> int:
        """Before the part that counts them. Returns how many there was no room for.

        `new`: ids of the segments whose lines of this date no part has.
        """
        duplicates = day.duplicate_lines()
        not_kept = 0
        if duplicates and not self._quarantine.has_room():
            not_kept = sum(map(len, duplicates.values()))
            duplicates = {}

        def of(n: int) -> list[SetAside]:
            repeated = inputs.lines[n].take(sorted(duplicates.get(n, ())))
            return [
                *day.damaged.get(n, ()),
                *(SetAside(number, DUPLICATE, text) for number, text in repeated),
            ]

        positions = sorted(duplicates.keys() | day.damaged.keys())
        kept = ((inputs.segments[n], of(n)) for n in positions)
        self._quarantine.keep(day.date, kept, new)
        return not_kept

    def _duplicates(self, day: Day, parts: list[str]) -> pa.Array:
        """Of what the lake has, and of what retention has moved out and still is there."""
        expired = list(map(str, self._lake.retired(day.date)))
        table, rows = day.rows.table, day.positions
        if expired:
            try:
                return find_duplicates(self._database, table, rows, parts + expired)
            except UnreadablePart as error:
                if str(error.path) not in expired:
                    raise
        return find_duplicates(self._database, table, rows, parts)
