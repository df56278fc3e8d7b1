"""Whose events are erased: a site's, one person's, or those that are too old for their site."""

from collections.abc import Mapping
from datetime import date
from typing import Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import DATE
from compactor.lake.reader import Only
from ingest.event import StoredEvent, decode_line


class Subject(Protocol):
    @property
    def only(self) -> Only:
        """Rows beyond these are none of its."""

    def mask(self, rows: pa.Table) -> pa.ChunkedArray:
        """Which rows are. They have site_id, user_id and date."""

    def mentioned_in(self, line: bytes) -> bool:
        """Of a line that is set aside; what is no event, by the names in it."""


class Person(msgspec.Struct, frozen=True):
    """Of a site, all events or those of one user."""

    site_id: str
    user_id: str | None = None

    @property
    def only(self) -> Only:
        return Only(sites=(self.site_id, self.site_id))

    def mask(self, rows: pa.Table) -> pa.ChunkedArray:
        hit = pc.equal(rows["site_id"], self.site_id)
        if self.user_id is not None:
            hit = pc.and_(hit, pc.fill_null(pc.equal(rows["user_id"], self.user_id), False))
        return hit

    def mentioned_in(self, line: bytes) -> bool:
        event = _event(line)
        if event is None:
            return all(msgspec.json.encode(name) in line for name in self._names())
        return event.site_id == self.site_id and self.user_id in (None, event.user_id)

    def _names(self) -> list[str]:
        return [self.site_id] if self.user_id is None else [self.site_id, self.user_id]


class Aged(msgspec.Struct, frozen=True):
    """Of each of these sites what is not after its date."""

    last: Mapping[str, date]

    @property
    def only(self) -> Only:
        return Only((date.min, max(self.last.values())), (min(self.last), max(self.last)))

    def mask(self, rows: pa.Table) -> pa.ChunkedArray:
        sites, dates = zip(*self.last.items(), strict=True)
        site = rows["site_id"].cast(pa.string())
        last = pa.array(dates, pa.date32()).take(pc.index_in(site, pa.array(sites)))
        return pc.fill_null(pc.less_equal(rows[DATE.name], last), False)

    def mentioned_in(self, line: bytes) -> bool:
        event = _event(line)  # what is none has no date; it goes when all of its date goes
        if event is None or event.site_id not in self.last:
            return False
        return event.timestamp.date() <= self.last[event.site_id]


def _event(line: bytes) -> StoredEvent | None:
    try:
        return decode_line(line)
    except (ValueError, RecursionError):
        return None
