"""From files to batches of events, as ingest takes them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import msgspec

from ingest.batch import BATCH_DATES_MAX
from ingest.importers.formats import Format, recognised
from ingest.importers.lines import READ_ERRORS, EventIds, read_lines
from ingest.importers.mapping import Mapping
from ingest.importers.record import Record, seed
from ingest.secret import ImportSecret
from ingest.visitor import DAILY

BATCH_EVENTS_MAX = 1000
BATCH_BYTES_MAX = 1024 * 1024  # ingest takes ten times that; nginx in front, by default, does not
FIRST_LINES = 100  # of a file, by which its format is recognised
NAMED_MAX = 5  # lines named on stderr for each thing that can be wrong with them


class Event(NamedTuple):
    place: str
    date: str
    body: bytes


@dataclass(slots=True)
class Tally:
    """What became of each line read."""

    lines: int = 0
    sent: int = 0
    not_understood: int = 0
    rejected: int = 0
    unread_files: int = 0
    types: Counter[str] = field(default_factory=Counter)  # of the events, whatever became of them
    robots: Counter[str] = field(default_factory=Counter)  # among these

    def __str__(self) -> str:
        return (
            f"{self.lines} lines: {self.sent} sent, "
            f"{self.not_understood} not understood, {self.rejected} rejected"
        )

    def by_type(self) -> str:
        return ", ".join(
            f"{count} {name}" + (f" ({self.robots[name]} of robots)" if self.robots[name] else "")
            for name, count in self.types.most_common()
        )


@dataclass(frozen=True, slots=True)
class Source:
    """What an import reads, and whose events it makes of it."""

    site_id: str
    secret: ImportSecret
    mapping: Mapping  # of what logs have
    format: Format | None  # None: each file's own is recognised
    on_bytes: Callable[[int], object]
    complain: Callable[[str], object]
    tally: Tally

    def events(self, names: Iterable[str]) -> Iterator[Event]:
        """Of all files. One that cannot be read costs what is left of it, not the others."""
        for name in names:
            try:
                yield from self._events_of(name)
            except READ_ERRORS as error:
                self._give_up(name, getattr(error, "strerror", None) or str(error))

    def _events_of(self, name: str) -> Iterator[Event]:
        lines = read_lines(name, self.on_bytes)
        first = list(islice(lines, FIRST_LINES))
        format = self.format or recognised(first)
        if format is None:
            if first:
                self._give_up(name, "its format is not recognised; --format says which it is")
            return
        with closing(EventIds()) as ids:
            for line, found in format.records(chain(first, lines)):
                self.tally.lines += 1
                if found is None:
                    self._pass_over(line.place)
                else:
                    record = self.mapping.record(found)
                    yield self._event(line.place, record, ids.next(seed(record, line.raw)))

    def _event(self, place: str, record: Record, event_id: str) -> Event:
        event = {"site_id": self.site_id, "event_id": event_id}
        if record.visitor is not None:
            user_id = self.secret.user_id(self.site_id, record.visitor)
            event["user_id"] = DAILY + user_id if record.is_daily else user_id
        event |= record.event
        self.tally.types[event["event_type"]] += 1
        self.tally.robots[event["event_type"]] += "bot" in event
        return Event(place, event["timestamp"][:10], msgspec.json.encode(event))

    def _pass_over(self, place: str) -> None:
        self.tally.not_understood += 1
        if self.tally.not_understood <= NAMED_MAX:
            self.complain(f"{place}: not understood")

    def _give_up(self, name: str, why: str) -> None:
        self.tally.unread_files += 1
        self.complain(f"{name}: {why}")


def batches_of(events: Iterable[Event]) -> Iterator[list[Event]]:
    """No larger, and of no more dates, than ingest takes at once."""
    batch: list[Event] = []
    batch_bytes, dates = 0, set[str]()
    for event in events:
        event_bytes = len(event.body) + 1  # and its line ending
        dates.add(event.date)
        if (
            len(batch) == BATCH_EVENTS_MAX
            or batch_bytes + event_bytes > BATCH_BYTES_MAX
            or len(dates) > BATCH_DATES_MAX
        ):
            yield batch
            batch, batch_bytes, dates = [], 0, {event.date}
        batch.append(event)
        batch_bytes += event_bytes
    if batch:
        yield batch
