"""The formats that can be imported: one file each, and one row here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ingest.importers.formats import combined, export
from ingest.importers.lines import Line
from ingest.importers.logged_request import LoggedRequest
from ingest.importers.record import Record

Read = Record | LoggedRequest | None  # None: a line that is not understood
Found = Iterator[tuple[Line, Read]]


class Format(NamedTuple):
    name: str  # as --format says it
    title: str
    records: Callable[[Iterable[Line]], Found]  # of one file; a heading is neither


def by_line(read: Callable[[bytes], Read]) -> Callable[[Iterable[Line]], Found]:
    """For a format in which every line stands for itself."""

    def records(lines: Iterable[Line]) -> Found:
        for line in lines:
            yield line, read(line.raw)

    return records


FORMATS = (
    Format("combined", "Apache and nginx logs, common or combined", by_line(combined.read)),
    Format("export", "events as /export and POST /events have them", by_line(export.read)),
)


def recognised(lines: Sequence[Line]) -> Format | None:
    """The format that understands most of these lines, which are a file's first. None: nobody."""
    understood = {each: sum(1 for _, record in each.records(lines) if record) for each in FORMATS}
    best = max(FORMATS, key=understood.__getitem__)
    return best if understood[best] else None
