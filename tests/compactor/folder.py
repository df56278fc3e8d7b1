"""A data folder for tests: segments put into it, passes run over it, rows read back from it."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from compactor.lake.disk import Disk
from compactor.lake.footer import Footer
from compactor.lake.format import PartNames
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.scheduler import Scheduler
from compactor.segments.quarantine import Quarantine, records_in
from compactor.settings import Settings


class Folder:
    def __init__(self, path: Path, now: str = "2026-11-22T08:00:00", **settings: object) -> None:
        self.path = path
        self.spool = path / "spool"
        self.spool.mkdir(exist_ok=True)
        self.store = LocalStore(path)
        self.lake = Lake(self.store)
        self.settings = Settings(data_dir=str(path), **settings)
        self.stop = threading.Event()
        self.now = now
        self._seq = 0

    def clock(self) -> float:
        return datetime.fromisoformat(self.now).replace(tzinfo=UTC).timestamp()

    def segment(self, *lines: bytes, state: str = "jsonl") -> Path:
        self._seq += 1
        path = self.spool / f"{int(self.clock() * 1000):013d}-aaaaaaaa-{self._seq:06d}.{state}"
        path.write_bytes(b"".join(lines))
        return path

    def passes(self, disk: Disk | None = None) -> Scheduler:
        return Scheduler(self.settings, self.stop, disk, self.clock, PartNames(self.clock))

    def turn(self, disk: Disk | None = None) -> None:
        self.passes(disk).turn(everything=True)

    def rows(
        self, columns: str = "path", where: str = "true", folder: Path | None = None
    ) -> list[tuple]:
        """As any DuckDB reads them."""
        folder = folder or self.store.events
        if not list(folder.rglob("*.parquet")):
            return []
        glob = f"{folder}/**/*.parquet"
        sql = f"SELECT {columns} FROM read_parquet('{glob}') WHERE {where} ORDER BY ALL"
        with self.shared(), duckdb.connect() as database:
            return database.sql(sql).fetchall()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """As `flock --shared data/lake/lock` holds it."""
        with (self.store.folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def footers(self) -> list[Footer]:
        return [self.lake.footer(part) for part in self.lake.all_parts()]

    def files(self, first: str, last: str = "") -> list[Path]:
        """The parts of just these dates."""
        return sorted(self.store.events.glob(f"year=*/{first}_{last or first}-*.parquet"))

    def parts(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.store.events))
            for path in self.store.events.rglob("*.parquet")
        )

    def set_aside(self) -> str:
        return b"".join(
            record + b"\n" for path in Quarantine(self.path).files() for record in records_in(path)
        ).decode()


def line(
    path: str = "/", site: str = "shop", at: str = "2026-11-22T07:00:00Z", **more: str
) -> bytes:
    members = {"site_id": site, "event_type": "page_view", "path": path}
    members |= {"user_id": more["user"]} if "user" in more else {}
    members |= {"timestamp": at}
    members |= {"event_id": more["id"]} if "id" in more else {}
    members |= {"received_at": at}
    return ("{" + ",".join(f'"{k}":"{v}"' for k, v in members.items()) + "}\n").encode()
