"""What report remembers of the lake: sums, and rows of some sites, each within a bound."""

import shutil
import time
import tracemalloc
from datetime import timedelta

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest
from compactor.jobs.consolidate import consolidate

from compactor.lake.columns import SCHEMA
from compactor.lake.format import Counts, Footer, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from ingest.segment import SegmentName
from report.engine.answer_cache import AnswerCache
from report.snapshot import site_counts
from report.snapshot.lake_listing import LakeListing
from report.snapshot.site_rows import SiteRows
from report.snapshot.snapshot import Snapshots
from report.snapshot.spill_folder import SpillFolder
from report.snapshot.spool_rows import SpoolRows
from report.snapshot.spool_tail import SpoolTail
from report.terms.period import Dates
from tests.report.holding import NOW, Folder, asking, event, figures, line

ALL = Dates()
DAYS = [NOW.date() - timedelta(days=n) for n in range(6)]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class Remembering:
    """The caches over one folder, asked without HTTP."""

    def __init__(self, folder, bytes_max=64 << 20):
        lake = LocalStore(folder.path)
        self.listing = LakeListing(lake)
        self.tail = SpoolTail(
            folder.spool, SpoolRows(64 << 20, SpillFolder(folder.path, 1 << 30, 0))
        )
        self.snapshots = Snapshots(lake, self.tail, self.listing)
        self.rows = SiteRows(bytes_max, self.listing)
        self.database = duckdb.connect()

    def ask(self, site, dates=ALL):
        """How many rows of the site are in memory."""
        snapshot = self.snapshots.take(dates, site)
        return len(self.rows.with_cached_rows(self.database, snapshot, site).cached_rows)


@pytest.fixture
def remembering(folder):
    return Remembering(folder)


def write_empty_part(folder, day, segments):
    """A part that tells of many segments."""
    named = (SegmentName(n * 30_000, "aaaaaaaa", n).id for n in range(segments))
    footer = Footer(segments={id: Counts(1, 0, 1) for id in named})
    lake = LocalStore(folder.path)
    lake.date_folder(day).mkdir(parents=True)
    table = SCHEMA.empty_table().replace_schema_metadata({"footfall": msgspec.json.encode(footer)})
    pq.write_table(table, lake.source(Part(day, "0000000000001-bbbbbbbb-000001.parquet")))


def test_a_part_takes_as_much_memory_however_many_segments_it_came_of(folder):
    for day in DAYS:
        write_empty_part(folder, day, segments=2_880)
    LakeListing(LocalStore(folder.path)).of(ALL)  # the first one fills caches of Python and Arrow
    listing = LakeListing(LocalStore(folder.path))
    tracemalloc.start()
    try:
        assert len(listing.of(ALL)) == len(DAYS)
        each, _ = (bytes / len(DAYS) for bytes in tracemalloc.get_traced_memory())
        assert each < 16_384  # with what Python and msgspec keep for the next one
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("asked", [ALL, Dates(DAYS[0], DAYS[0])], ids=["all", "one date"])
def test_a_date_that_has_gone_is_forgotten(folder, asked):
    for day in DAYS:
        folder.holds(event(NOW.replace(day=day.day)))
    listing = LakeListing(LocalStore(folder.path))
    assert len(listing.of(ALL)) == len(DAYS)
    for day in DAYS[:-1] if asked == ALL else DAYS[:1]:
        shutil.rmtree(LocalStore(folder.path).date_folder(day))
    left = {part.date for part in listing.of(asked)}
    remembered = set(listing._found) | set(listing._parts)
    assert remembered == (left if asked == ALL else set(DAYS[1:]))


def test_a_segment_that_comes_back_is_known_by_the_part_that_names_it(folder):
    lines = [line(event(path=f"/{n}")) for n in range(3)]
    names = [folder.segment([each]) for each in lines]
    with asking(folder.path) as client:
        folder.compact(*names)
        assert figures(client, "/stats", site_id="blog")["total_views"] == 3
        # a power cut after its release, or a backup: it was not in the spool when the part came
        (folder.spool / str(names[1])).write_bytes(lines[1])
        assert figures(client, "/stats", site_id="blog")["total_views"] == 3
        assert figures(client, "/ledger")["accepted"] == 3


def test_a_part_that_comes_back_beside_the_one_that_supersedes_it_is_left_out(folder):
    for n in range(2):
        folder.holds(event(path=f"/{n}"))
    lake = Lake(LocalStore(folder.path))
    old = [lake.store.source(part) for part in lake.parts(NOW.date())]
    kept = [(path, path.read_bytes()) for path in old]
    with asking(folder.path) as client:
        merge(lake)
        assert figures(client, "/stats", site_id="blog")["total_views"] == 2
        for path, content in kept:
            path.write_bytes(content)
        assert figures(client, "/stats", site_id="blog")["total_views"] == 2
        assert figures(client, "/ledger")["lake"] == 2


def merge(lake):
    """What the compactor does with a closed date."""
    day = NOW.date()
    consolidate(lake, day, [lake.parts(day)], [], PartNames(), lambda: None)


def test_a_site_without_rows_is_not_remembered(folder, remembering):
    folder.holds(event())
    for n in range(20):
        assert remembering.ask(f"nobody-{n}") == 0
    assert len(remembering.rows._sites) == 0
    assert remembering.ask("blog") == 1
    assert len(remembering.rows._sites) == 1


def test_what_is_remembered_of_sites_is_bounded_all_that_it_takes(folder):
    sites = [f"site-{n}" for n in range(100)]
    folder.holds(*(event(site_id=site) for site in sites))
    remembering = Remembering(folder, bytes_max=256 * 1024)
    for site in sites:
        assert remembering.ask(site) == 1
    assert 0 < len(remembering.rows._sites) <= 40  # a few columns of one row take 6 KB in Arrow


def test_the_site_that_was_asked_for_longest_ago_is_forgotten_first(folder):
    sites = [f"site-{n}" for n in range(20)]
    folder.holds(*(event(site_id=site) for site in sites))
    remembering = Remembering(folder, bytes_max=100 * 1024)
    for site in sites:
        remembering.ask(site)
        remembering.ask(sites[0])
    assert sites[0] in remembering.rows._sites
    assert sites[1] not in remembering.rows._sites


def test_to_remember_a_site_costs_as_much_however_many_there_are(folder, remembering):
    folder.holds(event())
    remembering.ask("blog")
    [known] = remembering.rows._sites.values()
    for n in range(2_000):
        remembering.rows._sites[f"site-{n}"] = known
    started = time.perf_counter()
    for n in range(20):
        remembering.rows._keep(f"site-{n}", known)
    assert (time.perf_counter() - started) / 20 < 0.005


def test_rows_of_a_part_that_has_gone_are_forgotten(folder, remembering):
    folder.holds(event(DAYS[1].isoformat() + "T12:00:00+00:00"))
    for n in range(3):
        folder.holds(event(path=f"/{n}"))
    assert remembering.ask("blog") == 4
    merge(Lake(LocalStore(folder.path)))
    assert remembering.ask("blog", Dates(NOW.date(), NOW.date())) == 3
    [known] = remembering.rows._sites.values()
    assert len(known.rows) == 4
    assert remembering.ask("blog") == 4


def test_sites_are_counted_in_each_part_once_however_many_they_are(folder, monkeypatch):
    monkeypatch.setattr(site_counts, "ENTRIES_MAX", 10)
    for day in DAYS:
        at = NOW.replace(day=day.day)
        folder.holds(*(event(at, site_id=f"site-{n}", event_id=f"{n % 3}") for n in range(5)))
    counted = []
    count = site_counts._count
    monkeypatch.setattr(
        site_counts, "_count", lambda *args: counted.extend(args[-1]) or count(*args)
    )
    with asking(folder.path) as client:
        for _ in range(3):
            sites = figures(client, "/sites", limit=10 + len(counted))
            assert sites["total"] == 5
            assert {row["events"] for row in sites["rows"]} == {len(DAYS)}
        assert len(counted) == len(DAYS)


def test_answers_that_are_remembered_are_bounded_all_that_they_take():
    tracemalloc.start()
    try:
        cache = AnswerCache(bytes_max=100_000)
        for n in range(10_000):
            cache.put(f'W/"{n:032x}"', b"%d" % n)
        bytes_held, _ = tracemalloc.get_traced_memory()
        assert bytes_held < 120_000
    finally:
        tracemalloc.stop()


def test_a_question_costs_as_much_however_many_segments_the_spool_has(folder, remembering):
    for n in range(600):
        folder.segment([line(event(path=f"/{n}"))])
    assert len(remembering.snapshots.take(ALL, "blog").spool_rows) == 600
    started = time.process_time()
    for _ in range(5):
        snapshot = remembering.snapshots.take(ALL, "blog")
        assert len(snapshot.identity) == 16
    assert (time.process_time() - started) / 5 < 0.06  # most of it lists the folder
    assert len(remembering.tail.seen.tables) < 12
