"""Checks all that the lake promises: bytes, order, dates, visits, counts, and that no event is
there twice."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import DATE, READ, SCHEMA, VISIT_SCHEMA, YEARS_SINCE, names_in
from compactor.lake.footer import Counts, Footer, UnreadablePart
from compactor.lake.format import Folder, Part
from compactor.lake.listing import Lake
from compactor.lake.reader import Merged, PartReader
from compactor.lake.scratch import Scratch
from compactor.lake.store import open_store
from compactor.lake.visit_keys import Rows
from compactor.lake.visits import find_visits
from compactor.lake.writer import SORTED_BY
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import connect
from ingest.segment import list_segments, spool_folder

_TWICE = """
    SELECT date, count(*) FROM (
        SELECT site_id, timezone('UTC', "timestamp")::DATE AS date, event_id
        FROM read_parquet($parts, union_by_name = true, hive_partitioning = false)
        WHERE event_id IS NOT NULL
        GROUP BY ALL HAVING count(*) > 1
    ) GROUP BY date ORDER BY date
"""


class Verification:
    def __init__(self, data_dir: str | Path) -> None:
        self.lake = Lake(open_store(data_dir))
        self.findings = 0
        self.totals: Counter[str] = Counter()
        self._counts: dict[date, Counts] = {}
        self._spool = spool_folder(data_dir)
        self._quarantine = Quarantine(data_dir)
        self._scratch = _scratch(data_dir)
        self._database = connect(self._scratch.folder)

    def count(self) -> int:
        """How many parts there are to look at."""
        return sum(len(self.lake.files(folder)) for folder in self.lake.folders())

    def run(self, step: Callable[[], None]) -> Iterator[str]:
        """What is wrong, a line each. `step` is called after each part, and may raise."""
        for folder in self.lake.foreign():
            self.findings += 1
            yield f"{folder.name}: of an older lake, beside years: it is left out"
        for folder in self.lake.folders():
            with self.lake.store.shared():  # the folder is not exchanged meanwhile
                found = list(self._check_folder(folder, step))
            self.findings += len(found)
            yield from found
        for finding in self._check_quarantine():
            self.findings += 1
            yield finding

    def summary(self) -> str:
        total = Counts.sum(self._counts.values())
        sums = {
            "dates": len(self._counts),
            "parts": self.totals["parts"],
            **{name: getattr(total, name) for name in ("rows", "erased", "duplicates")},
            "quarantined": total.quarantined,
            "lines": total.lines,
        }
        counts = ", ".join(f"{count} {name}" for name, count in sums.items())
        waiting = len(list_segments(self._spool))
        return f"{counts}; {waiting} segments in the spool; {self.findings} findings"

    def _check_folder(self, folder: Folder, step: Callable[[], None]) -> Iterator[str]:
        files = self.lake.files(folder)
        known = {part.name for part in files}
        for name in self.lake.store.names(folder):
            if name not in known:
                yield f"{folder.name}/{name}: not a part"
        footers: dict[Part, Footer] = {}
        for part in files:
            path = self.lake.store.source(part)
            try:
                footer = self.lake.footer(part)
                yield from (f"{path}: {finding}" for finding in _check_part(path, part, footer))
                footers[part] = footer
            except UnreadablePart as error:
                yield str(error)
            step()
        yield from _check_neighbours(footers)
        self._add(footers)
        if footers:
            yield from self._twice([str(self.lake.store.source(part)) for part in footers])

    def _add(self, footers: Mapping[Part, Footer]) -> None:
        self.totals["parts"] += len(footers)
        for part, footer in footers.items():
            self.totals["duplicates_by_site"] += sum(footer.duplicates_by_site.values())
            self.totals["erased_by_site"] += sum(footer.erased_by_site.values())
            for day, counts in footer.dates.items():
                if not part.meets(day, day):  # its rows have moved out, and quarantine with them
                    self.totals["set_aside_of_gone"] += counts.duplicates + counts.quarantined
                self._counts[day] = self._counts.get(day, Counts()).plus(counts)

    def _check_quarantine(self) -> Iterator[str]:
        """Of all dates, for a part may count what others of its dates set aside."""
        total = Counts.sum(self._counts.values())
        for name in ("duplicates", "erased"):
            if (by_site := self.totals[f"{name}_by_site"]) != getattr(total, name):
                yield f"{getattr(total, name)} {name} are not the sum of those by site, {by_site}"
        waiting = {name.id for name in list_segments(self._spool)}
        present = set(self.lake.dates())
        for day, counts in sorted(self._counts.items()):
            if day not in present:
                continue
            told = counts.duplicates + counts.quarantined - counts.not_kept
            kept = self._quarantine.kept_of(day, waiting - self._named(day))
            if kept != told:
                yield f"{told} lines of {day} should be in quarantine, {kept} are"

    def _named(self, day: date) -> set[str]:
        """The segments that are in the spool, and whose lines of a date parts count already."""
        present = {name.id for name in list_segments(self._spool)}
        parts = self.lake.meeting(day, day)
        return {id for part in parts for id in self.lake.footer(part).named(present)}

    def _twice(self, paths: list[str]) -> Iterator[str]:
        with self._database.cursor() as cursor:
            for day, count in cursor.execute(_TWICE, {"parts": paths}).fetchall():
                yield f"{day}: {count} events are stored twice"


def _scratch(data_dir: str | Path) -> Scratch:
    try:
        return Scratch(data_dir, "compactor")
    except OSError:  # a backup that is mounted to be read
        return Scratch(tempfile.gettempdir(), "compactor")


def _check_neighbours(footers: Mapping[Part, Footer]) -> Iterator[str]:
    """No segment's rows of a date are in two parts, and no date is settled in two."""
    named: dict[str, list[Part]] = {}
    for part, footer in footers.items():
        for id in footer.segments:
            for other in named.get(id, []):
                if other.meets(part.first, part.last):
                    yield f"{part.path}: has the rows of segment {id}, as {other.name} has"
            named.setdefault(id, []).append(part)
    settled = sorted((p for p in footers if not p.is_recent), key=lambda p: (p.first, p.last))
    for one, other in pairwise(settled):
        is_by_site = one.first == one.last == other.first == other.last
        if one.meets(other.first, other.last) and not (
            is_by_site and _are_apart(footers[one], footers[other])
        ):
            yield f"{other.path}: has dates of {one.name}"


def _are_apart(one: Footer, other: Footer) -> bool:
    """No site is in both."""
    if one.sites is None or other.sites is None:
        return False
    return one.sites[1] < other.sites[0] or other.sites[1] < one.sites[0]


def _check_part(path: Path, part: Part, footer: Footer) -> Iterator[str]:
    """Reads every page, which checks its checksum."""
    with PartReader(path) as reader:
        if reader.columns != names_in(footer.version):
            yield f"its columns are {', '.join(reader.columns)}"
            return
        rows: Counter[date] = Counter()
        last = READ.empty_table().select(SORTED_BY)
        for batch in reader.batches():
            keys = pa.concat_tables([last, batch.select(SORTED_BY).cast(last.schema)])
            near = f"near row {rows.total()}"
            if not _is_sorted(keys):
                yield f"not sorted, {near}"
            days = batch[DATE.name]
            if not pc.all(pc.equal(days, pc.cast(batch["timestamp"], pa.date32()))).as_py():
                yield f"has a date that is not its timestamp's, {near}"
            rows.update({p["values"]: p["counts"] for p in days.value_counts().to_pylist()})
            if not _is_within(batch["site_id"], footer.sites):
                yield f"has other sites than its footer says, {near}"
            last = keys.slice(keys.num_rows - 1)
    if not all(part.meets(day, day) for day in rows):
        yield f"has events of other dates, {min(rows)} to {max(rows)}"
    told = {day: counts.rows for day, counts in footer.dates.items() if counts.rows}
    if rows != told:
        yield f"has {rows.total()} rows, its footer says {sum(told.values())}" + (
            "" if rows.total() != sum(told.values()) else ", of other dates"
        )
    elif not part.is_recent:
        yield from _check_visits(path)
    elif footer.version >= YEARS_SINCE and footer.sites is None and rows:
        yield "does not say which sites it has"


def _check_visits(path: Path) -> Iterator[str]:
    with Merged([path]) as merged:
        found = find_visits(Rows(len(merged), merged.read))
        for positions, rows in merged.groups([*SCHEMA.names, *VISIT_SCHEMA.names], lambda: None):
            if not found.columns(positions.to_numpy()).equals(_visits_of(rows)):
                yield f"its visits are not those of its rows, near row {positions[0]}"
                return


def _visits_of(rows: pa.Table) -> pa.Table:
    return rows.select(VISIT_SCHEMA.names).cast(VISIT_SCHEMA).combine_chunks()


def _is_sorted(keys: pa.Table) -> bool:
    before, after = keys.slice(0, keys.num_rows - 1), keys.slice(1)
    site = pc.less(before["site_id"], after["site_id"])
    same = pc.equal(before["site_id"], after["site_id"])
    time = pc.less_equal(before["timestamp"], after["timestamp"])
    return bool(pc.all(pc.or_(site, pc.and_(same, time))).as_py() is not False)


def _is_within(sites: pa.ChunkedArray, ends: Sequence[str] | None) -> bool:
    if ends is None:
        return True
    least, greatest = pc.min_max(sites.cast(pa.string())).values()
    return bool(ends[0] <= least.as_py() and greatest.as_py() <= ends[1])
