"""What report remembers of the lake: sums, and rows of some sites, each within a bound."""

import shutil
import time
import tracemalloc
from datetime import date, timedelta

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest

from compactor.lake.columns import STORED
from compactor.lake.footer import Footer
from compactor.lake.format import PartNames
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
DAY_BEFORE = NOW - timedelta(days=1)
YEARS = range(2020, 2026)


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


def write_empty_part(folder, year, segments):
    """A part that tells of many segments."""
    named = [SegmentName(n * 30_000, "aaaaaaaa", n).id for n in range(segments)]
    text = msgspec.json.encode(Footer(segments=named))
    part = PartNames()(date(year, 1, 1), date(year, 1, 1), is_recent=True)
    path = LocalStore(folder.path).source(part)
    path.parent.mkdir(parents=True)
    pq.write_table(STORED.empty_table().replace_schema_metadata({"footfall": text}), path)


def test_a_part_takes_as_much_memory_however_many_segments_it_came_of(folder):
    for year in YEARS:
        write_empty_part(folder, year, segments=2_880)
    LakeListing(LocalStore(folder.path)).of(ALL)  # the first one fills caches of Python and Arrow
    listing = LakeListing(LocalStore(folder.path))
    tracemalloc.start()
    try:
        assert len(listing.of(ALL)) == len(YEARS)
        each, _ = (bytes / len(YEARS) for bytes in tracemalloc.get_traced_memory())
        assert each < 16_384  # with what Python and msgspec keep for the next one
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("asked", [ALL, Dates(DAYS[0], DAYS[0])], ids=["all", "one date"])
def test_a_year_that_has_gone_is_forgotten(folder, asked):
    folder.holds(*(event(NOW.replace(year=year)) for year in YEARS))
    listing = LakeListing(LocalStore(folder.path))
    assert len(listing.of(ALL)) == len(YEARS)
    for year in YEARS[:-1] if asked == ALL else YEARS[:1]:
        shutil.rmtree(folder.path / "lake" / "events" / f"year={year}")
    left = {part.part.folder for part in listing.of(asked)}
    assert set(listing._listed) == left or {each.first.year for each in listing._listed} == {
        *YEARS[1:]
    }


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
        folder.holds(event(DAY_BEFORE, path=f"/{n}"))
    kept = [(path, path.read_bytes()) for path in folder.path.glob("lake/events/*/*")]
    assert len(kept) == 2
    with asking(folder.path) as client:
        folder.settle()
        assert figures(client, "/stats", site_id="blog")["total_views"] == 2
        for path, content in kept:
            path.write_bytes(content)
        assert figures(client, "/stats", site_id="blog")["total_views"] == 2
        assert figures(client, "/ledger")["lake"] == 2


def test_a_spool_that_was_put_back_is_known_by_what_settled_parts_absorbed(folder):
    lines = [line(event(DAY_BEFORE, path=f"/{n}")) for n in range(3)]
    names = [folder.segment([each]) for each in lines[:2]]
    folder.compact(*names)
    folder.settle()
    folder.segment(lines[2:])
    with asking(folder.path) as client:
        for put_back in (*names, names[0]):
            assert figures(client, "/stats", site_id="blog")["total_views"] == 3
            assert figures(client, "/ledger")["accepted"] == 3
            (folder.spool / str(put_back)).write_bytes(lines[names.index(put_back)])
        day = figures(client, "/stats", site_id="blog", date=DAYS[1], limit=3)
        assert day["total_views"] == 3


def test_a_site_is_looked_for_in_parts_that_may_have_it_alone(folder, remembering):
    folder.holds(event(site_id="a"), event(site_id="c"))
    folder.holds(event(site_id="b"))
    folder.segment([line(event(site_id="b"))])
    for site, parts in (("a", 1), ("b", 2), ("c", 1), ("d", 0)):
        snapshot = remembering.snapshots.take(ALL, site)
        assert len(snapshot.parts) == parts
        assert remembering.ask(site) == (parts > 0)
    assert len(remembering.snapshots.take(ALL).parts) == 2


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
    folder.holds(event())
    for n in range(3):
        folder.holds(event(DAY_BEFORE, path=f"/{n}"))
    assert remembering.ask("blog") == 4
    folder.settle()
    assert remembering.ask("blog", Dates(DAYS[1], DAYS[1])) == 3
    [known] = remembering.rows._sites.values()
    assert len(known.rows) == 4
    assert remembering.ask("blog") == 4


@pytest.mark.parametrize("settles", [False, True])
def test_sites_are_counted_in_each_part_once_however_many_they_are(folder, monkeypatch, settles):
    monkeypatch.setattr(site_counts, "ENTRIES_MAX", 10)
    for year in YEARS:
        at = NOW.replace(year=year)
        folder.holds(*(event(at, site_id=f"site-{n}", event_id=f"{n % 3}") for n in range(5)))
        if settles:
            folder.settle()
    counted = []
    count = site_counts._count
    monkeypatch.setattr(
        site_counts, "_count", lambda *args: counted.extend(args[-1]) or count(*args)
    )
    with asking(folder.path) as client:
        for _ in range(3):
            sites = figures(client, "/sites", limit=10 + len(counted))
            assert sites["total"] == 5
            assert {row["events"] for row in sites["rows"]} == {len(YEARS)}
        # once more as one sum, when these are found to be too many
        assert len(counted) == len(YEARS) + (len(YEARS) - 1 if settles else 0)


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
