"""What lives as long as the process: opened together, and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import duckdb
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from compactor.lake.store import open_store
from ingest.segment import spool_folder
from report.engine.answer_cache import AnswerCache
from report.engine.database import connect
from report.engine.pool import Pool
from report.engine.readiness import Readiness
from report.engine.scratch import Scratch
from report.problem import Code, Problem
from report.settings import Settings
from report.snapshot.lake_listing import LakeListing
from report.snapshot.late_visits import LateVisits
from report.snapshot.pinned import Pinned
from report.snapshot.relation import Relation, prepared
from report.snapshot.site_counts import SiteCounts
from report.snapshot.site_rows import SiteRows
from report.snapshot.snapshot import Snapshot, Snapshots
from report.snapshot.spill_folder import SpillFolder
from report.snapshot.spool_rows import SpoolRows
from report.snapshot.spool_tail import SpoolTail
from report.telemetry import Telemetry
from report.terms.period import Dates

SITE_ROWS_BYTES_MAX = 64 << 20
LATE_VISITS_BYTES_MAX = 64 << 20
SNAPSHOTS_AT_ONCE = 8


class Runtime:
    """Of one data folder."""

    def __init__(self, settings: Settings) -> None:
        """Raises OSError when the data folder does not take files."""
        self.settings = settings
        self.export_places = CapacityLimiter(settings.exports_max)

        self._scratch = Scratch(settings.data_folder)
        self._store = open_store(settings.data_folder)
        self._listing = LakeListing(self._store)
        spill = SpillFolder(
            self._scratch.folder, settings.spilled_bytes_max, settings.disk_free_bytes_min
        )
        rows = SpoolRows(settings.spool_rows_bytes_max, spill)
        self._spool = SpoolTail(spool_folder(settings.data_folder), rows)
        self.snapshots = Snapshots(self._store, self._spool, self._listing)
        self._snapshot_places = CapacityLimiter(SNAPSHOTS_AT_ONCE)
        self._site_rows = SiteRows(SITE_ROWS_BYTES_MAX, self._listing)
        self._site_counts = SiteCounts()
        self._late_visits = LateVisits(LATE_VISITS_BYTES_MAX, settings.late_rows_max)

        self._database = connect(settings, self._scratch.folder)
        self.pool = Pool(settings, self._database)
        self.answers = AnswerCache(settings.answers_bytes_max)
        self.telemetry = Telemetry(self._spool, self.pool)
        self.readiness = Readiness()

    async def close(self) -> None:
        await self.pool.close()
        self._database.close()
        self._spool.close()
        self._scratch.close()

    @asynccontextmanager
    async def snapshot(
        self, dates: Dates, site: str | None, held: bool = False
    ) -> AsyncIterator[Snapshot]:
        """`held`: its files stay until the end of the block."""
        if not held:
            yield await self.take(dates, site)
            return
        pinned = await self.pin()
        try:
            yield await self.take(dates, site, pinned)
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(pinned.close)

    async def take(self, dates: Dates, site: str | None, pinned: Pinned | None = None) -> Snapshot:
        """Raises FileNotFoundError when a part goes away meanwhile, and Problem."""
        with anyio.CancelScope(deadline=anyio.current_time() + self.settings.query_s_max):
            return await run_sync(
                self.snapshots.take,
                dates,
                site,
                pinned,
                abandon_on_cancel=True,  # what it has read by then is there for the next one
                limiter=self._snapshot_places,
            )
        raise Problem(Code.OVERLOADED, "The spool has much that is not read yet; try again.")

    async def pin(self) -> Pinned:
        return await run_sync(Pinned, self._store, self._scratch.folder)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """One that is nobody else's, for as long as it takes."""
        return self._database.cursor()

    def relation(
        self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot, site: str | None
    ) -> Relation:
        """What a question about the site is asked of; None: about all of them. For a thread."""
        snapshot = prepared(cursor, snapshot, site, self._site_rows)
        return Relation(cursor, snapshot, self._site_counts, self._late_visits)

    @property
    def left_out(self) -> int:
        """How many files below data/lake/events are no parts."""
        return len(self._listing.foreign)
