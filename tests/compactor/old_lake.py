"""Lakes as earlier releases left them: a folder for each date, footers in their words."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.jobs.upgrade import Upgrade
from compactor.jobs.verify import Verification
from compactor.lake.columns import SCHEMA, completed, names_in, to_table
from compactor.lake.disk import Disk
from compactor.lake.footer import FOOTER_KEY, Counts
from compactor.lake.format import PartNames
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from ingest.event import decode_line
from tests.compactor.folder import line


def old_part(
    folder: Path, name: str, lines: list[bytes], version: int = 2, **footer: object
) -> Path:
    """A part of one date. Unless `footer` says otherwise it is of a segment that is gone."""
    rows = to_table([decode_line(each.rstrip(b"\n")) for each in lines])
    rows = rows.select(names_in(version)).sort_by(
        [("site_id", "ascending"), ("timestamp", "ascending")]
    )
    (day,) = set(rows["timestamp"].cast(pa.date32()).to_pylist())
    path = folder / f"date={day}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(lines)
    said = {"version": version, "segments": {segment_of(name): [count, count, 0, 0]}} | footer
    with pq.ParquetWriter(path, rows.schema) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({FOOTER_KEY: json.dumps(said).encode()})
    return path


def segment_of(name: str) -> str:
    """The id of the segment that a part of this name was made of."""
    return name.replace("-cccccccc-", "-aaaaaaaa-")


def day_of(day: str, name: int, paths: str, **more: object) -> tuple[str, list[bytes]]:
    """Name and lines for a part of a date, with an event for each letter."""
    lines = [line(f"/{letter}", at=f"{day}T07:00:00Z", user="ann") for letter in paths]
    return f"{1_700_000_000_000 + name}-cccccccc-{name:06d}", lines


def put(folder: Path, day: str, name: int, paths: str, **footer: object) -> Path:
    return old_part(folder, *day_of(day, name, paths), **footer)


def upgrade_of(data_dir: Path, disk: Disk | None = None, today: str = "2026-11-22") -> Upgrade:
    store = LocalStore(data_dir, disk)
    store.prepare()
    return Upgrade(
        Lake(store),
        store,
        data_dir / "spool",
        PartNames(),
        lambda: 1_795_334_400.0,
        lambda: date.fromisoformat(today),
        lambda: None,
    )


def rows_of(data_dir: Path) -> list[tuple]:
    """Every event in the lake's folder, whatever the format of its part."""
    found = []
    for path in (data_dir / "lake" / "events").rglob("*.parquet"):
        with pq.ParquetFile(path) as file:
            rows = completed(file.read(), SCHEMA).to_pylist()
        found += [tuple(row.values()) for row in rows]
    return sorted(found, key=repr)


def counts_of(data_dir: Path) -> Mapping[date, Counts]:
    """What the footers say of each date, together."""
    lake = Lake(LocalStore(data_dir))
    total: dict[date, Counts] = {}
    for part in lake.all_parts():
        for day, counts in lake.footer(part).dates.items():
            total[day] = total.get(day, Counts()).plus(counts)
    return total


def findings(data_dir: Path) -> list[str]:
    return list(Verification(data_dir).run(lambda: None))


class Ended(BaseException):
    """The process ends here: nothing catches it, and nothing is tidied up."""


class MortalDisk(Disk):
    """Ends the process at its n-th change, before that is done. Nothing is synced."""

    def __init__(self, n: int = -1) -> None:
        self.changes: list[str] = []
        self._n = n

    def sync_file(self, path):
        pass

    sync_folder = sync_file

    def note(self, change: str) -> None:
        if len(self.changes) == self._n:
            raise Ended
        self.changes.append(change)


def _changing(name: str):
    def call(self, *arguments):
        paths = [str(each) for each in arguments if isinstance(each, Path)]
        self.note(" ".join([name, *paths]))
        return getattr(Disk, name)(self, *arguments)

    return call


for _name in ("write_file", "make_folder", "remove_folder", "link", "rename", "exchange", "unlink"):
    setattr(MortalDisk, _name, _changing(_name))
