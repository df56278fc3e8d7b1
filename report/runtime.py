"""Everything that an answer is made of, opened together and closed together."""

from anyio import CapacityLimiter

from compactor.lake.format import Lake
from ingest.segment import spool_folder
from report.engine.answer_cache import Cache
from report.engine.database import connect
from report.engine.pool import Pool
from report.engine.scratch import Scratch
from report.questions.ledger import Ledger
from report.settings import Settings
from report.snapshot.lake_listing import LakeListing
from report.snapshot.site_counts import SiteCounts
from report.snapshot.site_rows import SiteRows
from report.snapshot.snapshot import Snapshots
from report.snapshot.spool_tail import Live
from report.telemetry import Metrics

SITE_ROWS_BYTES_MAX = 64 << 20
ANSWERS_BYTES_MAX = 32 << 20
SNAPSHOTS_AT_ONCE = 8


class Reports:
    """Of one data folder."""

    def __init__(self, settings: Settings) -> None:
        """Raises OSError when the data folder does not take files."""
        self.settings = settings
        self.scratch = Scratch(settings.data_folder)
        self.lake = Lake(settings.data_folder)
        self.listing = LakeListing(self.lake)
        self.live = Live(
            spool_folder(settings.data_folder), settings.live_bytes_max, self.scratch.folder
        )
        self.snapshots = Snapshots(self.lake, self.live, self.listing)
        self.snapshot_places = CapacityLimiter(SNAPSHOTS_AT_ONCE)
        self.export_places = CapacityLimiter(settings.exports_max)
        self.database = connect(settings, self.scratch.folder)
        self.pool = Pool(settings, self.database)
        self.site_counts = SiteCounts()
        self.ledger = Ledger(self.site_counts)
        self.site_rows = SiteRows(SITE_ROWS_BYTES_MAX, self.listing)
        self.cache = Cache(ANSWERS_BYTES_MAX)
        self.metrics = Metrics(self.live, self.pool)

    async def close(self) -> None:
        await self.pool.close()
        self.database.close()
        self.live.close()
        self.scratch.close()
