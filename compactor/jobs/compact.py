"""One pass: segments become parts, and are released once every part has its name.

For each year there is one part for each date that is not closed yet, and one for all that are: who
sends events of ten thousand dates makes no ten thousand files.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from compactor.jobs.duplicates import find_duplicates
from compactor.jobs.share import Day, Share, days_of
from compactor.lake.disk import Disk
from compactor.lake.footer import Footer, UnreadablePart
from compactor.lake.format import Folder, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.writer import gather, sample_of, write_part
from compactor.plan import shares
from compactor.segments.lines import SegmentLines
from compactor.segments.orphans import release
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import Rows, SetAside, read_segments
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

    def add(self, part: Part, footer: Footer, size: int) -> None:
        self.rows += footer.total.rows
        self.duplicates += footer.total.duplicates
        self.quarantined += footer.total.quarantined
        self.parts.append(part)
        self.bytes_written += size


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
        first_open: Callable[[], date],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`first_open`: the first date that is not closed yet. `check` is called between parts;
        what it raises ends the pass, to be repeated later."""
        self._lake = lake
        self._spool = spool
        self._quarantine = quarantine
        self._next_name = next_name
        self._disk = disk
        self._database = database
        self._first_open = first_open
        self._check = check

    def compact(self, segments: Sequence[SegmentName]) -> Outcome:
        """One pass. Needs the lake's lock.

        After a crash at any point of it, the next pass over the same segments leaves every event
        in the lake once: of a segment that a part names it skips the rows of that part's dates.

        A date that a part may have which cannot be read gets none, for nobody knows what it has
        already: the segments with rows of it stay, and are released by a later pass.
        """
        self._lake.store.prepare()
        self._lake.store.sweep()
        paths = [self._spool / str(name) for name in segments]
        outcome = Outcome(len(segments), bytes_read=sum(path.stat().st_size for path in paths))
        inputs = Inputs.of(self._spool, segments)
        rows, days = days_of(read_segments(self._database, paths), segments)
        absorbed = self._lake.absorbs(inputs.positions.keys())
        if absorbed:  # a spool that was put back is in the lake with all of its rows
            known = {inputs.positions[id] for id in absorbed}
            days = {day: left for day, held in days.items() if (left := held.without(known, rows))}
        for year in sorted({day.year for day in days}):
            of_year = {day: held for day, held in days.items() if day.year == year}
            self._publish_year(Folder.of_year(year), rows, of_year, inputs, outcome)
        kept_back = {name for _, names in outcome.kept_back for name in names}
        release(self._spool, [name for name in segments if name not in kept_back], self._disk)
        return outcome

    def _publish_year(
        self, folder: Folder, rows: Rows, days: dict[date, Day], inputs: Inputs, outcome: Outcome
    ) -> None:
        obstacles = self._lake.unreadable(folder)
        done: set[date] = set()
        while True:
            held = {day for day in days if any(each.concerns(day) for each in obstacles)}
            left = [day for day in days if day not in done]
            try:
                for dates in shares(left, held, self._first_open()):
                    self._check()
                    self._publish(folder, rows, {day: days[day] for day in dates}, inputs, outcome)
                    done.update(dates)
                break
            except UnreadablePart as error:  # its footer can be read, its rows cannot
                if error.path in {each.path for each in obstacles}:
                    raise
                obstacles.append(error)
        for each in obstacles:
            theirs = [days[day].segments(rows) for day in days if each.concerns(day)]
            if theirs:
                names = [inputs.segments[n] for n in sorted(set().union(*theirs))]
                outcome.kept_back.append((each, names))

    def _publish(
        self, folder: Folder, rows: Rows, days: dict[date, Day], inputs: Inputs, outcome: Outcome
    ) -> None:
        """One part, of what none has yet."""
        covered = self._covered(folder, days, inputs)
        left = {
            day: rest
            for day, held in days.items()
            if (rest := held.without({inputs.positions[id] for id in covered[day]}, rows))
        }
        if not left:
            self._lake.store.confirm(folder)
            return
        share = Share(rows, left)
        share.set_duplicates(self._duplicates(share))
        not_kept = self._keep_set_aside(share, inputs, covered)
        footer = share.footer(inputs.segments, not_kept)
        part = self._next_name(share.first, share.last, is_recent=True)
        self._lake.store.publish(
            part,
            lambda file: write_part(
                file,
                gather(rows.table, share.positions),
                sample_of(rows.table, share.positions),
                footer,
            ),
        )
        outcome.add(part, footer, self._lake.store.size(part))

    def _covered(
        self, folder: Folder, days: dict[date, Day], inputs: Inputs
    ) -> dict[date, set[str]]:
        """The segments whose rows of a date are in the lake already."""
        ids = inputs.positions.keys()
        covered: dict[date, set[str]] = {day: set() for day in days}
        for part in self._lake.parts(folder):
            named = self._lake.footer(part).named(ids)
            for day in days:
                if named and part.meets(day, day):
                    covered[day] |= named
        return covered

    def _keep_set_aside(
        self, share: Share, inputs: Inputs, covered: dict[date, set[str]]
    ) -> Counter[date]:
        """Before the part that counts them. Returns how many there was no room for, by date."""
        duplicates = share.duplicate_lines()
        not_kept: Counter[date] = Counter()
        if duplicates and not self._quarantine.has_room():
            not_kept.update({day: sum(map(len, of.values())) for day, of in duplicates.items()})
            duplicates = {}
        for day, held in share.days.items():
            repeated = duplicates.get(day, {})
            kept = (
                (inputs.segments[n], _set_aside(inputs.lines[n], repeated.get(n, ()), held, n))
                for n in sorted(repeated.keys() | held.damaged.keys())
            )
            self._quarantine.keep(day, kept, inputs.positions.keys() - covered[day])
        return not_kept

    def _duplicates(self, share: Share) -> pa.Array:
        """Of what the lake has, and of what retention has moved out and still is there."""
        parts = [
            str(self._lake.store.source(part))
            for part in self._lake.meeting(share.first, share.last)
        ]
        expired = list(map(str, self._lake.retired_files(share.first, share.last)))
        table, rows, dates = share.rows.table, share.positions, list(share.days)
        if expired:
            try:
                return find_duplicates(self._database, table, rows, dates, parts + expired)
            except UnreadablePart as error:
                if str(error.path) not in expired:
                    raise
        return find_duplicates(self._database, table, rows, dates, parts)


def _set_aside(
    lines: SegmentLines, repeated: Sequence[int], held: Day, segment: int
) -> list[SetAside]:
    return [
        *held.damaged.get(segment, ()),
        *(SetAside(number, DUPLICATE, text) for number, text in lines.take(sorted(repeated))),
    ]
