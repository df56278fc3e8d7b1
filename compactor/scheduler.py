"""When what is done, in which order, under which lock: one compactor at a time on a lake."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from compactor.backlog import Backlog
from compactor.jobs.compact import Compactor
from compactor.jobs.expire import restore, to_restore
from compactor.jobs.upgrade import NoRoom, Upgrade
from compactor.jobs.view import write_view
from compactor.lake.disk import Disk
from compactor.lake.footer import NewerLake, UnreadablePart, read_footer
from compactor.lake.format import Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.lake.lock import Busy
from compactor.lake.scratch import Scratch
from compactor.lake.store import open_store
from compactor.obstacles import Obstacles
from compactor.plan import first_open
from compactor.segments.orphans import close_orphans
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import connect
from compactor.settings import Settings
from compactor.upkeep import Upkeep
from ingest.segment import spool_folder

logger = logging.getLogger("compactor")

TROUBLE_WAIT_S = 5.0
UPGRADE_WAIT_S = 60.0  # before it is tried again


class Stopped(Exception):
    """Told to stop in the middle of something: it will be repeated."""


class Scheduler:
    def __init__(
        self,
        settings: Settings,
        stop: threading.Event,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.time,
        next_name: PartNames | None = None,
        database: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        """Raises OSError when the data folder does not take files; NewerLake."""
        # Fixed for the life of the process
        self._settings = settings
        self._stop = stop
        self.disk = disk or Disk()
        store = open_store(settings.data_dir, self.disk, settings.readers_s_max, self._wait)
        self.lake = Lake(store)
        self.spool = spool_folder(settings.data_dir)
        self.quarantine = Quarantine(settings.data_dir, self.disk, settings.quarantine_bytes_max)
        self.next_name = next_name or PartNames(clock)
        if database is None:
            self._scratch = Scratch(settings.data_dir, "compactor")
            database = connect(self._scratch.folder, settings.temp_bytes_max)
        self._database = database
        self.obstacles = Obstacles()

        def open_since() -> date:
            return first_open(datetime.fromtimestamp(clock(), UTC), settings.close_after_h)

        compactor = Compactor(
            self.lake,
            self.spool,
            self.quarantine,
            self.next_name,
            self.disk,
            database,
            open_since,
            self._check,
        )
        self._backlog = Backlog(settings, self.lake, compactor, self.obstacles, clock, self._check)
        self.upkeep = Upkeep(
            settings,
            self.lake,
            self.quarantine,
            self.disk,
            self.obstacles,
            self.next_name,
            clock,
            self._check,
        )
        self._upgrade = (
            Upgrade(self.lake, store, self.spool, self.next_name, clock, open_since, self._check)
            if isinstance(store, LocalStore)
            else None
        )
        self.lake.store.prepare()
        self._refuse_newer()

        # Set when done
        self._view_written = False

        # Why the last pass failed: said once, until it is otherwise
        self._trouble: str | None = None

    def _refuse_newer(self) -> None:
        """Before anything of a newer Footfall's lake is touched. Raises NewerLake."""
        if newest := self.lake.newest():
            with suppress(UnreadablePart):
                read_footer(self.lake.store.source(newest))

    def run(self) -> None:
        """Until told to stop. Trouble, a full disk say, costs a repetition and no event."""
        logger.info("watching %s", self.spool)
        while not self._stop.is_set():
            try:
                self.turn(everything=False)
                self._write_view()
                self._tell(None)
            except Stopped:
                break
            except NewerLake:
                raise
            except (NoRoom, Busy) as error:
                self._tell(str(error))
                self._stop.wait(UPGRADE_WAIT_S)
            except (OSError, duckdb.Error, pa.ArrowException) as error:
                self._tell(str(error))
                self._be_careful()
            except Exception:  # a mistake of ours: to end would end ingest, too, under honcho
                logger.exception("the pass failed and will be repeated")
                self._be_careful()
            self._stop.wait(self._settings.poll_interval_s)

    def _tell(self, trouble: str | None) -> None:
        """Once, however often the pass is repeated."""
        if trouble == self._trouble:
            return
        if trouble:
            logger.error("the pass failed and will be repeated: %s", trouble)
        else:
            logger.warning("passes go on again")
        self._trouble = trouble

    def _be_careful(self) -> None:
        self._backlog.careful = True
        self._stop.wait(TROUBLE_WAIT_S)

    def run_once(self) -> bool:
        """Everything that waits now. False if something has to wait. Raises what goes wrong."""
        try:
            self.turn(everything=True)
            self._write_view()
        except Stopped:
            logger.warning("stopped before everything was done")
            return False
        return not self.obstacles

    def turn(self, everything: bool) -> None:
        """Close orphans, compact what waits if it is time, and look after closed dates."""
        with self.lock():
            self.obstacles.forget_mended()
            self._compact(everything)
            self.upkeep.look(everything)

    def compact_all(self) -> None:
        """What waits in closed segments. Raises Stopped."""
        with self.lock():
            self._compact(everything=True)

    def expire(self, last: date) -> list[date]:
        """Move dates out of the lake, up to this one; returns those that moved.

        Raises Stopped, CannotExchange, Busy.
        """
        moved = []
        with self.lock():
            for folder in self.upkeep.folders():
                try:
                    moved += self.upkeep.expire(folder, last) if folder.first <= last else []
                except UnreadablePart as error:
                    self.obstacles.meet(error)
        return moved

    def restore(self) -> Iterator[tuple[Part, bool]]:
        """Move what should not have moved out back into the lake, part by part; did it?

        Raises Stopped, Busy.
        """
        with self.lock():
            for part in to_restore(self.lake, self.upkeep.last_due()):
                try:
                    yield part, restore(self.lake, self.quarantine, part, self._database)
                except UnreadablePart as error:
                    logger.error("%s; it stays where it is", error)
                    yield part, False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Our turn on the lake, once it comes, and a lake of today's format.

        Raises Stopped if we are to stop first, NoRoom and Busy if the lake has to stay as it is.
        """
        with self.lake.store.turn(self._wait):
            if self._upgrade and self._upgrade.run():
                self._view_written = False
                self._write_view_now()
            yield

    def _compact(self, everything: bool) -> None:
        self.lake.store.sweep()
        close_orphans(self.spool, self.quarantine, self.disk)
        self._backlog.compact(everything)

    def _write_view(self) -> None:
        if self._view_written or not self.lake.folders():
            return
        with self.lock():
            self._write_view_now()

    def _write_view_now(self) -> None:
        with suppress(duckdb.Error):  # a part that cannot be read, which is said: tried again
            write_view(Path(self._settings.data_dir), self.lake.store, self.disk)
            self._view_written = True

    def _check(self) -> None:
        """Between two steps: may we go on?"""
        if self._stop.is_set():
            raise Stopped
        self.lake.store.check_turn()

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped
