"""The spool, followed: bytes read once, bounded memory, and nothing left out."""

import errno
import os
import random
import threading
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from ingest.segment import CLOSED, OPEN
from report.snapshot.spill_folder import SpillFolder
from report.snapshot.spool_rows import SpoolRows
from report.snapshot.spool_tail import SpoolTail
from tests.report.holding import NOW, Folder, asking, event, figures, line


def views(client):
    return figures(client, "/stats", site_id="blog")["total_views"]


def test_each_byte_of_the_spool_is_read_once(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    name = folder.segment([line(event())] * 10, OPEN)
    read = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *args: read.append(args) or pread(*args))
    with asking(tmp_path) as client, (folder.spool / str(name)).open("ab") as file:
        for n in range(20):
            assert views(client) == 10 + n
            file.write(line(event()))
            file.flush()
    starts = [offset for _, _, offset in read]
    assert sum(size for _, size, _ in read) == len(line(event())) * 29
    assert len(starts) == len(set(starts))


def test_a_line_counts_once_it_is_whole(tmp_path):
    folder = Folder(tmp_path)
    whole = line(event())
    name = folder.segment([whole, whole[:20]], OPEN)
    with asking(tmp_path) as client, (folder.spool / str(name)).open("ab") as file:
        assert views(client) == 1
        file.write(whole[20:])
        file.flush()
        assert views(client) == 2


def test_a_write_that_was_cut_back_does_not_count(tmp_path):
    folder = Folder(tmp_path)
    name = folder.segment([line(event())] * 3, OPEN)
    with asking(tmp_path) as client:
        assert views(client) == 3
        os.truncate(folder.spool / str(name), len(line(event())))
        assert views(client) == 1


def test_a_damaged_line_costs_that_line_and_is_in_the_ledger(tmp_path):
    folder = Folder(tmp_path)
    good = line(event())
    damaged = [b"\n", b"{}\n", good[:-1] + good, b'{"a":\n', b"\xff\n", b"[" * 100_000 + b"\n"]
    huge = [b"x" * (3 << 20) + b"\n"]
    name = folder.segment([good, *damaged, good, *huge, good])
    with asking(tmp_path) as client:
        assert views(client) == 3
        ledger = figures(client, "/ledger")
        assert (ledger["accepted"], ledger["spool"], ledger["balanced"]) == (10, 10, True)
        folder.compact(name)
        assert views(client) == 3
        ledger = figures(client, "/ledger")
        assert (ledger["accepted"], ledger["lake"], ledger["quarantined"]) == (10, 3, 7)
        assert ledger["balanced"] and ledger["lag_bytes"] == 0 and ledger["lag_s"] == 0


def test_a_backlog_beyond_the_bound_is_answered_from_disk_and_counts_in_full(tmp_path):
    folder = Folder(tmp_path)
    events = [
        event(NOW - timedelta(days=n % 3), user_id=str(n % 700), event_id=str(n % 900))
        for n in range(4_000)
    ]
    for start in range(0, 4_000, 500):
        folder.segment(map(line, events[start : start + 500]), OPEN if start else CLOSED)
    spool_rows_bytes_max = 100_000
    with asking(tmp_path, spool_rows_bytes_max=spool_rows_bytes_max) as client:
        # ids repeat every 900 events, dates every 3: so the 900 ids have one date each
        assert views(client) == 900
        assert figures(client, "/stats", site_id="blog")["unique_users"] == 700
        day = figures(client, "/stats", site_id="blog", date=NOW.date())
        assert day["total_views"] == 300
        metrics = client.get("/metrics").text
        in_memory = float(metrics.split("\nreport_spool_memory_bytes ")[1].split("\n")[0])
        assert in_memory <= spool_rows_bytes_max
        spilled = float(metrics.split("\nreport_spool_spilled_rows ")[1].split("\n")[0])
        assert spilled >= 3_000
        for name in sorted(folder.spool.iterdir()):
            name.rename(name.with_suffix(".jsonl"))
        from ingest.segment import list_segments

        folder.compact(*list_segments(folder.spool))
        assert views(client) == 900
        assert list((tmp_path / "tmp").glob("*/*.parquet")) == []


def test_many_who_ask_at_once_share_a_look(tmp_path):
    folder = Folder(tmp_path)
    name = folder.segment([line(event())], OPEN)
    live = SpoolTail(folder.spool, SpoolRows(1 << 20, SpillFolder(tmp_path, 1 << 30, 0)))
    wrong = []
    path = folder.spool / str(name)

    def ask():
        for _ in range(50):
            with lock, path.open("ab") as file:
                file.write(line(event()))
                written.append(1)
                expected = len(written) + 1
            seen = live.refresh().segments[0].lines
            if seen < expected:
                wrong.append((seen, expected))

    lock, written = threading.Lock(), []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert live._begun < 8 * 50
    live.close()


TEXTS = random.Random(1)
MANY = [
    line(event(NOW - timedelta(days=n % 3), path=f"/{TEXTS.getrandbits(256):x}"))
    for n in range(3_000)
]


@pytest.mark.parametrize(
    "limit",
    [{"temp_bytes_max": 1 << 20}, {"disk_free_bytes_min": 1 << 60}],
    ids=["a bound of its own", "what the disk has left"],
)
def test_rows_that_have_no_room_are_refused_until_they_are_compacted(tmp_path, limit):
    folder = Folder(tmp_path)
    names = [folder.segment(MANY) for _ in range(8)]
    with asking(tmp_path, spool_rows_bytes_max=1 << 18, **limit) as client:
        for n in range(3):
            told = client.get("/stats", params={"site_id": "blog", "limit": n + 1})
            assert (told.status_code, told.json()["code"]) == (503, "no_room")
            on_disk = sum(path.stat().st_size for path in tmp_path.glob("tmp/*/*.parquet"))
            assert on_disk <= (1 << 20) / 2
        folder.compact(*names)
        assert views(client) == 3_000 * 8
        assert list(tmp_path.glob("tmp/*/*.parquet")) == []


def test_a_file_of_rows_that_cannot_be_written_whole_is_removed(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    folder.segment(MANY)
    write = pq.write_table

    def torn(table, path, **options):
        write(table, path, **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    with asking(tmp_path, spool_rows_bytes_max=0) as client:
        monkeypatch.setattr(pq, "write_table", torn)
        assert client.get("/stats?site_id=blog").status_code == 503
        assert list(tmp_path.glob("tmp/*/*.parquet")) == []
        monkeypatch.setattr(pq, "write_table", write)
        assert views(client) == 3_000


def test_a_file_of_rows_serves_the_segments_that_are_left_until_the_last_has_gone(tmp_path):
    folder = Folder(tmp_path)
    names = [folder.segment(MANY[n::3]) for n in range(3)]
    with asking(tmp_path, spool_rows_bytes_max=1 << 19) as client:
        for n, name in enumerate([None, *names]):
            if name:
                folder.compact(name)
            told = figures(client, "/stats", site_id="blog", limit=n + 1)
            assert told["total_views"] == 3_000
            assert figures(client, "/ledger")["lake"] == n * 1_000
            day = figures(client, "/stats", site_id="blog", limit=n + 1, date=NOW.date())
            assert day["total_views"] == 1_000
            assert bool(list(tmp_path.glob("tmp/*/*.parquet"))) == (n < 3)


@pytest.mark.parametrize("spool_rows_bytes_max", [0, 1 << 20])
def test_a_write_that_was_cut_back_after_it_was_seen_leaves_nothing(tmp_path, spool_rows_bytes_max):
    folder = Folder(tmp_path)
    folder.segment(MANY[:100])
    name = folder.segment(MANY[100:300], OPEN)
    with asking(tmp_path, spool_rows_bytes_max=spool_rows_bytes_max) as client:
        assert views(client) == 300
        os.truncate(folder.spool / str(name), sum(map(len, MANY[100:150])))
        assert views(client) == 150
        assert figures(client, "/ledger")["spool"] == 150
