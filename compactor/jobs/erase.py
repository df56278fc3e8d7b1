"""Erases one person, or one site, from the lake and from quarantine. The counts stay provable.

A part with rows to erase is written anew without them; its footer says how many have gone, and
keeps the names of its segments, so that none of them can ever be stored a second time. A date is
exchanged in one step. What is set aside in quarantine loses its bytes and keeps its count: lines
that are events are matched by their fields; damaged ones if they hold the names in JSON anywhere.

What waits in the spool has to be compacted before. Dates that retention moved out are not touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.format import Footer, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.reader import PartReader, sample_of
from compactor.lake.store import Fill
from compactor.lake.writer import ROW_GROUP_ROWS, prepare_columns, write_part
from compactor.segments.quarantine import Quarantine
from ingest.event import decode_line


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose events: of a site, all or those of one user."""

    site_id: str
    user_id: str | None = None

    def mask(self, rows: pa.Table) -> pa.ChunkedArray:
        hit = pc.equal(rows["site_id"], self.site_id)
        if self.user_id is not None:
            hit = pc.and_(hit, pc.fill_null(pc.equal(rows["user_id"], self.user_id), False))
        return hit

    def mentioned_in(self, line: bytes) -> bool:
        try:
            event = decode_line(line)
        except (ValueError, RecursionError):
            return all(msgspec.json.encode(name) in line for name in self._names())
        return event.site_id == self.site_id and self.user_id in (None, event.user_id)

    def _names(self) -> list[str]:
        return [self.site_id] if self.user_id is None else [self.site_id, self.user_id]


def rows_of(lake: Lake, day: date, subject: Subject) -> dict[Part, int]:
    """The parts of a date that have rows of the subject, and how many."""
    counts = {part: _count(lake.store.source(part), subject) for part in lake.parts(day)}
    return {part: count for part, count in counts.items() if count}


def _count(path: Path, subject: Subject) -> int:
    with PartReader(path) as reader:
        batches = reader.batches(["site_id", "user_id"], site_id=subject.site_id)
        return sum(pc.sum(subject.mask(batch)).as_py() or 0 for batch in batches)


def erase_date(lake: Lake, day: date, subject: Subject, next_name: PartNames) -> dict[Part, int]:
    """Rows erased, by part that had them. Needs the lake's turn.

    Raises CannotExchange, Busy, UnreadablePart.
    """
    counts = rows_of(lake, day, subject)
    if counts:
        new = [
            (Part(day, next_name()), _fill(lake, part, subject, count))
            for part, count in counts.items()
        ]
        lake.store.replace(day, counts, new)
    return counts


def _fill(lake: Lake, part: Part, subject: Subject, count: int) -> Fill:
    def fill(file: BinaryIO) -> None:
        path = lake.store.source(part)
        footer = _footer(lake.footer(part), part, subject, count)
        with PartReader(path) as reader:
            kept = (batch.filter(pc.invert(subject.mask(batch))) for batch in reader.batches())
            write_part(file, _regroup(kept), sample_of(path), footer)

    return fill


def _footer(old: Footer, part: Part, subject: Subject, count: int) -> Footer:
    erased = dict(old.erased_by_site)
    erased[subject.site_id] = erased.get(subject.site_id, 0) + count
    return msgspec.structs.replace(old, supersedes=[part.name], erased_by_site=erased)


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
