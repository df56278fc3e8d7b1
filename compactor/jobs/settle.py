"""Closed dates settle: rows of several parts become parts that have their visits."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake import numbers
from compactor.lake.columns import DATE, SCHEMA, VISIT_SCHEMA
from compactor.lake.footer import Counts, Footer, writer_and_number
from compactor.lake.format import Folder, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.reader import Merged, Only, sample_of
from compactor.lake.store import Fill
from compactor.lake.visit_keys import Rows
from compactor.lake.visits import find_visits
from compactor.lake.writer import write_part
from compactor.settling import PART_ROWS_MAX, Merge

_ROWS = [*SCHEMA.names, DATE.name]


@dataclass(frozen=True, slots=True)
class Cut:
    """The rows that one new part has."""

    only: Only
    sources: list[Part]
    footer: Footer


def settle(
    lake: Lake,
    folder: Folder,
    merges: Sequence[Merge],
    next_name: PartNames,
    check: Callable[[], None],
) -> list[Part]:
    """Put settled parts in the place of others, in one step.

    None of the segments that these name may be in the spool, or come back there. Needs the turn.
    Raises CannotExchange, Busy, UnreadablePart, and whatever `check` raises.
    """
    old = list(dict.fromkeys(part for merge in merges for part in merge.parts))
    new = settled(lake, merges, next_name, check)
    lake.store.replace(folder, old, new)
    return [part for part, _ in new]


def settled(
    lake: Lake, merges: Sequence[Merge], next_name: PartNames, check: Callable[[], None]
) -> list[tuple[Part, Fill]]:
    """The parts that these merges come to, and what is in them. Raises UnreadablePart."""
    return [
        (next_name(*_dates(cut), is_recent=False, of=cut.sources), _fill(lake, cut, check))
        for cut in cuts_of(lake, merges)
    ]


def _dates(cut: Cut) -> tuple[date, date]:
    assert cut.only.dates is not None  # a settled part is of dates
    return cut.only.dates


def cuts_of(lake: Lake, merges: Sequence[Merge]) -> list[Cut]:
    """What is said of all of them, each of the new parts says; what is counted, one of them."""
    parts = list(dict.fromkeys(part for merge in merges for part in merge.parts))
    footers = {part: lake.footer(part) for part in parts}
    said = _said(footers)
    counts = _by_date(footers.values())
    found = [cut for merge in merges for cut in _cuts(lake, merge, counts, said)]
    told = {day for cut in found for day in cut.footer.dates}
    moved = {day: count for day, count in counts.items() if day not in told}  # see expire
    first = msgspec.structs.replace(
        found[0].footer,
        dates=moved | found[0].footer.dates,
        duplicates_by_site=_sum(footer.duplicates_by_site for footer in footers.values()),
        erased_by_site=_sum(footer.erased_by_site for footer in footers.values()),
    )
    return [Cut(found[0].only, found[0].sources, first), *found[1:]]


def _said(footers: Mapping[Part, Footer]) -> Footer:
    """What a part says that has rows of these, and they all are to go."""
    return Footer(
        absorbed=numbers.to_keep(
            [
                *(footer.absorbed for footer in footers.values()),
                numbers.of(
                    writer_and_number(id) for footer in footers.values() for id in footer.segments
                ),
            ]
        ),
        supersedes=numbers.to_keep(
            [
                *(footer.supersedes for footer in footers.values()),
                numbers.of(part.number for part in footers),
            ]
        ),
    )


def _by_date(footers: Iterable[Footer]) -> dict[date, Counts]:
    counts: dict[date, Counts] = {}
    for footer in footers:
        for day, count in footer.dates.items():
            counts[day] = counts.get(day, Counts()).plus(count)
    return dict(sorted(counts.items()))


def _cuts(lake: Lake, merge: Merge, counts: Mapping[date, Counts], said: Footer) -> Iterator[Cut]:
    for first, last in merge.cuts:
        sources = [part for part in merge.parts if part.meets(first, last)]
        dates = {day: count for day, count in counts.items() if first <= day <= last}
        if Counts.sum(dates.values()).rows > PART_ROWS_MAX:
            yield from _by_site(lake, first, dates[first], sources, said)
        else:
            yield Cut(Only((first, last)), sources, msgspec.structs.replace(said, dates=dates))


def _by_site(
    lake: Lake, day: date, counts: Counts, sources: Sequence[Part], said: Footer
) -> Iterator[Cut]:
    """Of a date that has more rows than a part: all rows of a site go into one, for its visits."""
    rows: Counter[str] = Counter()
    with Merged([lake.store.source(part) for part in sources], Only((day, day))) as merged:
        for batch in merged.read(["site_id"]):
            for pair in pc.value_counts(
                batch["site_id"].combine_chunks().cast(pa.string())
            ).to_pylist():
                rows[pair["values"]] += pair["counts"]
    others = msgspec.structs.replace(counts, rows=0)
    for sites, held in _site_cuts(rows):
        footer = msgspec.structs.replace(said, dates={day: others.plus(Counts(rows=held))})
        yield Cut(Only((day, day), sites), list(sources), footer)
        others = Counts()


def _site_cuts(rows: Mapping[str, int]) -> Iterator[tuple[tuple[str, str], int]]:
    held: list[str] = []
    total = 0
    for site in sorted(rows):
        if held and total + rows[site] > PART_ROWS_MAX:
            yield (held[0], held[-1]), total
            held, total = [], 0
        held.append(site)
        total += rows[site]
    if held:
        yield (held[0], held[-1]), total


def _fill(lake: Lake, cut: Cut, check: Callable[[], None]) -> Fill:
    def fill(file: BinaryIO) -> None:
        largest = max(cut.sources, key=lake.store.size)
        sample = sample_of(lake.store.source(largest))
        with Merged([lake.store.source(part) for part in cut.sources], cut.only) as merged:
            write_part(file, _with_visits(merged, check), sample, cut.footer)

    return fill


def _with_visits(merged: Merged, check: Callable[[], None]) -> Iterator[pa.Table]:
    found = find_visits(Rows(len(merged), merged.read))
    for positions, rows in merged.groups(_ROWS, check):
        columns = found.columns(positions.to_numpy())
        for name in VISIT_SCHEMA.names:
            rows = rows.append_column(VISIT_SCHEMA.field(name), columns[name])
        yield rows


def _sum(counts: Iterator[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
