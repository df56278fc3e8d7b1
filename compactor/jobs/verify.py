"""Checks all that the lake promises: bytes, order, counts, and that no event is there twice."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import READ, names_in
from compactor.lake.format import PART_NAME, Footer, Part, UnreadablePart
from compactor.lake.listing import Lake
from compactor.lake.reader import PartReader
from compactor.lake.scratch import Scratch
from compactor.lake.store import open_store
from compactor.lake.writer import SORTED_BY
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import connect
from ingest.segment import list_segments, spool_folder

_TWICE = """
    SELECT count(*) - count(DISTINCT (site_id, event_id)) FROM read_parquet($parts)
    WHERE event_id IS NOT NULL
"""


class Verification:
    def __init__(self, data_dir: str | Path) -> None:
        self.lake = Lake(open_store(data_dir))
        self.findings = 0
        self.totals: Counter[str] = Counter()
        self._spool = spool_folder(data_dir)
        self._quarantine = Quarantine(data_dir)
        self._scratch = _scratch(data_dir)
        self._database = connect(self._scratch.folder)

    def check_date(self, day: date) -> list[str]:
        """What is wrong with a date, a line each."""
        totals: Counter[str] = Counter()
        with self.lake.store.shared():  # the date is not exchanged meanwhile
            findings = list(self._check_date(day, totals))
        self.totals += totals
        self.findings += len(findings)
        self.lake.forget(day)
        return findings

    def summary(self) -> str:
        named = ("dates", "parts", "rows", "erased", "duplicates", "quarantined", "lines")
        counts = ", ".join(f"{self.totals[name]} {name}" for name in named)
        waiting = len(list_segments(self._spool))
        return f"{counts}; {waiting} segments in the spool; {self.findings} findings"

    def _check_date(self, day: date, totals: Counter[str]) -> Iterator[str]:
        totals["dates"] += 1
        for name in self.lake.store.names(day):
            if not PART_NAME.fullmatch(name):
                yield f"date={day}/{name}: not a part"
        named: dict[str, Part] = {}
        readable = []
        for part in self.lake.files(day):
            path = self.lake.store.source(part)
            try:
                footer = self.lake.footer(part)
                yield from (f"{path}: {finding}" for finding in _check_rows(path, day, footer))
                readable.append(str(path))
            except UnreadablePart as error:
                yield str(error)
                continue
            for id in footer.segments.keys() & named.keys():
                yield f"{path}: has the rows of segment {id}, as {named[id].name} has"
            named |= dict.fromkeys(footer.segments, part)
            yield from (f"{path}: {finding}" for finding in self._check_footer(day, footer, totals))
        twice = self._twice(readable) if readable else 0
        if twice:
            yield f"{day}: {twice} events are stored twice"

    def _check_footer(self, day: date, footer: Footer, totals: Counter[str]) -> Iterator[str]:
        totals["parts"] += 1
        totals["rows"] += footer.rows
        totals["erased"] += footer.erased
        missing = 0
        for id, counts in footer.segments.items():
            for name in ("lines", "duplicates", "quarantined"):
                totals[name] += getattr(counts, name)
            if counts.lines != counts.rows + counts.duplicates + counts.quarantined:
                yield f"of {counts.lines} lines of segment {id}, not all are accounted for"
            set_aside = counts.duplicates + counts.quarantined
            kept = self._quarantine.kept_of(day, id) if set_aside else 0
            missing += set_aside - kept
            if kept != set_aside and not footer.not_kept:
                yield f"{set_aside} lines of segment {id} were set aside, {kept} are in quarantine"
        if footer.not_kept and missing != footer.not_kept:
            yield f"{missing} lines are not in quarantine, its footer says {footer.not_kept}"
        duplicates = sum(counts.duplicates for counts in footer.segments.values())
        if duplicates != sum(footer.duplicates_by_site.values()):
            yield f"{duplicates} duplicates are not the sum of those by site"

    def _twice(self, paths: list[str]) -> int:
        with self._database.cursor() as cursor:
            row = cursor.execute(_TWICE, {"parts": paths}).fetchone()
        assert row is not None  # an aggregate has a row
        return int(row[0])


def _scratch(data_dir: str | Path) -> Scratch:
    try:
        return Scratch(data_dir, "compactor")
    except OSError:  # a backup that is mounted to be read
        return Scratch(tempfile.gettempdir(), "compactor")


def _check_rows(path: Path, day: date, footer: Footer) -> Iterator[str]:
    """Reads every page, which checks its checksum."""
    rows = 0
    last = READ.empty_table().select(SORTED_BY)
    with PartReader(path) as reader:
        if reader.columns != names_in(footer.version):
            yield f"its columns are {', '.join(reader.columns)}"
            return
        for batch in reader.batches():
            keys = pa.concat_tables([last, batch.select(SORTED_BY).cast(last.schema)])
            if not _is_sorted(keys):
                yield f"not sorted, near row {rows}"
            if not _is_of(day, batch):
                yield f"has events of another date, near row {rows}"
            rows += batch.num_rows
            last = keys.slice(keys.num_rows - 1)
    if rows != footer.rows:
        yield f"has {rows} rows, its footer says {footer.rows}"


def _is_sorted(keys: pa.Table) -> bool:
    before, after = keys.slice(0, keys.num_rows - 1), keys.slice(1)
    site = pc.less(before["site_id"], after["site_id"])
    same = pc.equal(before["site_id"], after["site_id"])
    time = pc.less_equal(before["timestamp"], after["timestamp"])
    return bool(pc.all(pc.or_(site, pc.and_(same, time))).as_py() is not False)


def _is_of(day: date, rows: pa.Table) -> bool:
    first, last = pc.min_max(pc.cast(rows["timestamp"], pa.date32())).values()
    return bool(first.as_py() == day == last.as_py())
