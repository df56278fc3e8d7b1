"""Erases what a subject says from the lake and from quarantine. The counts stay provable.

A part with rows to erase is written anew without them; its footer says how many have gone, and
keeps the names of its segments, so that none of them can ever be stored a second time. A year is
exchanged in one step. The visits of others stay what they are. What is set aside in quarantine
loses its bytes and keeps its count: lines that are events are matched by their fields; damaged ones
if they hold the names in JSON anywhere.

What waits in the spool has to be compacted before. Dates that retention moved out are not touched.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compactor.jobs.subject import Subject
from compactor.lake import numbers
from compactor.lake.columns import DATE
from compactor.lake.footer import Footer, UnreadablePart
from compactor.lake.format import Folder, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.reader import PartReader, sample_of
from compactor.lake.store import Fill
from compactor.lake.writer import ROW_GROUP_ROWS, prepare_columns, write_part
from compactor.segments.quarantine import Quarantine

SiteDate = tuple[str, date]
_PAIRS = pa.schema([("site_id", pa.string()), ("date", pa.date32())])


@dataclass(slots=True)
class Found:
    """Of a folder."""

    rows: dict[Part, Counter[SiteDate]]  # of the subject, in parts that have some
    unreadable: list[UnreadablePart]

    @property
    def count(self) -> int:
        return sum(each.total() for each in self.rows.values())

    def without(self, lake: Lake, error: UnreadablePart) -> "Found":
        rows = {p: count for p, count in self.rows.items() if lake.store.source(p) != error.path}
        return Found(rows, [*self.unreadable, error])


def rows_of(lake: Lake, folder: Folder, subject: Subject) -> Found:
    found = Found({}, lake.unreadable(folder))
    for part in lake.parts(folder):
        try:
            if count := _count(lake.store.source(part), subject):
                found.rows[part] = count
        except UnreadablePart as error:
            found.unreadable.append(error)
    return found


def _count(path: Path, subject: Subject) -> Counter[SiteDate]:
    count: Counter[SiteDate] = Counter()
    with PartReader(path, subject.only) as reader:
        for batch in reader.batches(["site_id", "user_id", DATE.name]):
            hit = batch.select(["site_id", DATE.name]).filter(subject.mask(batch))
            if len(hit):
                pairs = hit.cast(_PAIRS).group_by(hit.column_names).aggregate([([], "count_all")])
                count.update({(p["site_id"], p["date"]): p["count_all"] for p in pairs.to_pylist()})
    return count


def erase_in(lake: Lake, folder: Folder, subject: Subject, next_name: PartNames) -> Found:
    """The rows that were erased. Needs the lake's turn. Raises CannotExchange, Busy."""
    found = rows_of(lake, folder, subject)
    while found.rows:
        new = [
            (
                next_name(part.first, part.last, part.is_recent, [part]),
                _fill(lake, part, subject, count),
            )
            for part, count in found.rows.items()
        ]
        try:
            lake.store.replace(folder, found.rows, new)
            break
        except UnreadablePart as error:  # what was counted could be read, the rest cannot
            found = found.without(lake, error)
    return found


def _fill(lake: Lake, part: Part, subject: Subject, count: Counter[SiteDate]) -> Fill:
    path = lake.store.source(part)
    footer = _footer(lake.footer(part), part, count)

    def fill(file: BinaryIO) -> None:
        with PartReader(path) as reader:
            kept = (rows.filter(pc.invert(subject.mask(rows))) for rows in reader.batches())
            write_part(file, _regroup(kept), sample_of(path), footer)

    return fill


def _footer(old: Footer, part: Part, count: Counter[SiteDate]) -> Footer:
    by_site, by_date = Counter(old.erased_by_site), Counter[date]()
    for (site_id, day), rows in count.items():
        by_site[site_id] += rows
        by_date[day] += rows
    return msgspec.structs.replace(
        old,
        dates={day: counts.without(by_date[day]) for day, counts in old.dates.items()},
        supersedes=numbers.to_keep([old.supersedes, numbers.of([part.number])]),
        erased_by_site=dict(by_site),
    )


def _regroup(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Full row groups again."""
    held: list[pa.Table] = []
    for batch in batches:
        held.append(batch)
        if sum(each.num_rows for each in held) >= ROW_GROUP_ROWS:
            rows = pa.concat_tables(held)
            yield prepare_columns(rows.slice(0, ROW_GROUP_ROWS))
            held = [rows.slice(ROW_GROUP_ROWS)]
    if any(each.num_rows for each in held):
        yield prepare_columns(pa.concat_tables(held))


def erase_from_quarantine(quarantine: Quarantine, subject: Subject) -> int:
    """Lines whose bytes are gone now."""
    return sum(quarantine.erase(path, subject.mentioned_in) for path in quarantine.files())
