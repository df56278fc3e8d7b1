"""What gets no row in the lake is kept here, and counted in a part's footer.

data/quarantine/ := ("date=" YYYY-MM-DD "/" segment_id ".jsonl.zst")*  lines set aside by a pass
                    segment_id "-tail.jsonl"*                        torn tails, cut off at recovery
content          := one JSON object a line: segment, line (from 1; 0 for a tail), reason, and
                    the bytes as `text`, or as `base64` when they are not UTF-8,
                    or `erased`: true when they were erased on request

A date's files move out with the date (retention), and lose bytes on request (erasure). Above a
limit repeated events are counted and no longer kept, see Footer.not_kept; damaged lines always are.
Earlier releases did not compress: their files end in .jsonl, and are read alike.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from compactor.lake.disk import Disk
from compactor.lake.files import make_folder, move, names_in, remove_if_empty, replace_file
from compactor.lake.format import parse_folder
from compactor.segments.reader import SetAside
from ingest.segment import SegmentName

BYTES_MAX = 1024**3
ZSTD = ".zst"
BLOCK_BYTES = 512  # of stat(2)
ID_CHARACTERS = 29


class Quarantine:
    """Writing the same lines of the same segment again changes nothing, so a crash does no harm."""

    def __init__(
        self, data_dir: str | Path, disk: Disk | None = None, bytes_max: int = BYTES_MAX
    ) -> None:
        self.folder = Path(data_dir) / "quarantine"
        self._expired = Path(data_dir) / "expired"
        self._staging = Path(data_dir) / "lake" / "staging"
        self._disk = disk or Disk()
        self._bytes_max = bytes_max
        self._bytes: int | None = None  # on the disk, once it was counted

    def has_room(self) -> bool:
        """May repeated events be kept, too?"""
        if self._bytes is None:
            self._bytes = sum(_bytes_on_disk(path) for path in self.files())
        return self._bytes < self._bytes_max

    def count_again(self) -> None:
        """What others moved out, or erased, makes room."""
        self._bytes = None

    def keep(
        self,
        day: date,
        lines_of: Iterable[tuple[SegmentName, Sequence[SetAside]]],
        segments: AbstractSet[str],
    ) -> None:
        """These lines, and no others of these segments: a pass that is repeated may differ."""
        folder = self.date_folder(day)
        stale = {name for name in names_in(folder) if name[:ID_CHARACTERS] in segments}
        for n, (segment, lines) in enumerate(lines_of):
            if n == 0:
                make_folder(self.folder, self._disk)
                make_folder(folder, self._disk)
            path = folder / f"{segment.id}.jsonl{ZSTD}"
            self._write(path, [_encode(_record(segment, line)) for line in lines])
            stale.discard(path.name)
            if self._bytes is not None:
                self._bytes += _bytes_on_disk(path)
        for name in sorted(stale):
            self._disk.unlink(folder / name)
        if stale:
            self._disk.sync_folder(folder)

    def date_folder(self, day: date) -> Path:
        return self.folder / f"date={day.isoformat()}"

    def keep_tail(self, segment: SegmentName, tail: bytes) -> None:
        make_folder(self.folder, self._disk)
        torn = SetAside(0, "torn: its writer died in the middle of a write", tail)
        self._write(self.folder / f"{segment.id}-tail.jsonl", [_encode(_record(segment, torn))])

    def _write(self, path: Path, records: Sequence[bytes]) -> None:
        def fill(file: BinaryIO) -> None:
            content = b"".join(records)
            file.write(pa.compress(content, "zstd", asbytes=True) if _is_zstd(path) else content)

        replace_file(self._staging, path, fill, self._disk)

    def dates(self) -> set[date]:
        """Of which there is anything."""
        folders = filter(None, map(parse_folder, names_in(self.folder)))
        return {each.first for each in folders} | {day for day, _ in self._tails()}

    def retired_dates(self) -> list[date]:
        """Of which something moved out, and is still there."""
        folders = filter(None, map(parse_folder, names_in(self._expired)))
        return sorted(each.first for each in folders if self._expired_folder(each.first).is_dir())

    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.jsonl*"))

    def retire(self, day: date) -> int:
        """Move what is kept of a date out with it: a tail belongs to the date it was opened on."""
        source, target = self.date_folder(day), self._expired_folder(day)
        names = names_in(source)
        tails = [path.name for opened_on, path in self._tails() if opened_on == day]
        if not names and not tails:
            return 0
        for folder in (target.parent.parent, target.parent, target):
            make_folder(folder, self._disk)
        move({source / name: target / name for name in names}, self._disk)
        move({self.folder / name: target / name for name in tails}, self._disk)
        remove_if_empty(source, self._disk)
        self._disk.sync_folder(self.folder)
        return len(names) + len(tails)

    def restore(self, day: date) -> int:
        """Move it back."""
        source, target = self._expired_folder(day), self.date_folder(day)
        names = names_in(source)
        if names:
            make_folder(self.folder, self._disk)
            make_folder(target, self._disk)
            move({source / name: target / name for name in names}, self._disk)
        remove_if_empty(source, self._disk)
        return len(names)

    def _expired_folder(self, day: date) -> Path:
        return self._expired / f"date={day.isoformat()}" / "quarantine"

    def _tails(self) -> Iterator[tuple[date, Path]]:
        for name in names_in(self.folder):
            segment = SegmentName.parse(name.removesuffix("-tail.jsonl") + ".open")
            if segment and name.endswith("-tail.jsonl"):
                yield segment.opened_on, self.folder / name

    def kept_of(self, day: date, waiting: AbstractSet[str]) -> int:
        """How many lines are kept at a date, but for those of segments that wait for a pass."""
        paths = [self.date_folder(day) / name for name in names_in(self.date_folder(day))]
        counted = [path for path in paths if path.name[:ID_CHARACTERS] not in waiting]
        return sum(len(records_in(path)) for path in counted)

    def erase(self, path: Path, mentions: Callable[[bytes], bool]) -> int:
        """Drop the bytes of the lines that `mentions` is true for, not their being counted."""
        records = [orjson.loads(record) for record in records_in(path)]
        hit = [record for record in records if mentions(_bytes_of(record))]
        for record in hit:
            record.pop("text", None)
            record.pop("base64", None)
            record["reason"] = "erased on request"
            record["erased"] = True
        if hit:
            self._write(path, [_encode(record) for record in records])
        return len(hit)


def lines_in(path: Path) -> Iterator[bytes]:
    """What is kept of the lines in a file of quarantine."""
    return (_bytes_of(orjson.loads(record)) for record in records_in(path))


def records_in(path: Path) -> list[bytes]:
    content = path.read_bytes()
    if _is_zstd(path):
        with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
            content = stream.read()
    return content.splitlines()


def _is_zstd(path: Path) -> bool:
    return path.suffix == ZSTD


def _encode(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _bytes_on_disk(path: Path) -> int:
    """A short file takes a whole block."""
    return path.stat().st_blocks * BLOCK_BYTES


def _bytes_of(record: dict[str, Any]) -> bytes:
    if "base64" in record:
        return base64.b64decode(record["base64"])
    return str(record.get("text", "")).encode()


def _record(segment: SegmentName, line: SetAside) -> dict[str, Any]:
    record: dict[str, Any] = {"segment": segment.id, "line": line.line, "reason": line.reason}
    try:
        return {**record, "text": line.bytes.decode()}
    except UnicodeDecodeError:
        return {**record, "base64": base64.b64encode(line.bytes).decode()}
