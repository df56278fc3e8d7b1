"""What gets no row in the lake is kept here, counted in a part's footer, and never deleted by us.

data/quarantine/ := ("date=" YYYY-MM-DD "/" segment_id ".jsonl")*   lines set aside by a pass
                    segment_id "-tail.jsonl"*                        torn tails, cut off at recovery
content          := one JSON object a line: segment, line (from 1; 0 for a tail), reason, and
                    the bytes as `text`, or as `base64` when they are not UTF-8,
                    or `erased`: true when they were erased on request
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from compactor.lake.disk import Disk
from compactor.lake.publish import make_folder, replace
from compactor.segments.reader import SetAside
from ingest.segment import SegmentName


class Quarantine:
    """Writing the same lines of the same segment again changes nothing, so a crash does no harm."""

    def __init__(self, data_dir: str | Path, disk: Disk | None = None) -> None:
        self.folder = Path(data_dir) / "quarantine"
        self._disk = disk or Disk()

    def keep(self, day: date, segment: SegmentName, lines: Sequence[SetAside]) -> None:
        """These lines of a segment, and no others: a pass that is repeated may differ."""
        path = self.path(day, segment.id)
        if lines:
            make_folder(self.folder, self._disk)
            make_folder(path.parent, self._disk)
            self._write(path, segment, lines)
        elif path.exists():
            self._disk.unlink(path)
            self._disk.sync_folder(path.parent)

    def path(self, day: date, segment_id: str) -> Path:
        return self.folder / f"date={day.isoformat()}" / f"{segment_id}.jsonl"

    def keep_tail(self, segment: SegmentName, tail: bytes) -> None:
        make_folder(self.folder, self._disk)
        torn = SetAside(0, "torn: its writer died in the middle of a write", tail)
        self._write(self.folder / f"{segment.id}-tail.jsonl", segment, [torn])

    def _write(self, path: Path, segment: SegmentName, lines: Sequence[SetAside]) -> None:
        def fill(file: BinaryIO) -> None:
            for line in lines:
                file.write(orjson.dumps(_record(segment, line), option=orjson.OPT_APPEND_NEWLINE))

        replace(path, fill, self._disk)

    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.jsonl"))

    def erase(self, path: Path, mentions: Callable[[bytes], bool]) -> int:
        """Drop the bytes of the lines that `mentions` is true for, not their being counted."""
        records = [orjson.loads(record) for record in path.read_bytes().splitlines()]
        hit = [record for record in records if mentions(_bytes_of(record))]
        for record in hit:
            record.pop("text", None)
            record.pop("base64", None)
            record["reason"] = "erased on request"
            record["erased"] = True
        if hit:
            lines = [orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in records]
            replace(path, lambda file: file.writelines(lines), self._disk)
        return len(hit)


def lines_in(path: Path) -> Iterator[bytes]:
    """What is kept of the lines in a file of quarantine."""
    return (_bytes_of(orjson.loads(record)) for record in path.read_bytes().splitlines())


def _bytes_of(record: dict[str, Any]) -> bytes:
    if "base64" in record:
        return base64.b64decode(record["base64"])
    return str(record.get("text", "")).encode()


def _record(segment: SegmentName, line: SetAside) -> dict[str, object]:
    record = {"segment": segment.id, "line": line.line, "reason": line.reason}
    try:
        return {**record, "text": line.bytes.decode()}
    except UnicodeDecodeError:
        return {**record, "base64": base64.b64encode(line.bytes).decode()}
