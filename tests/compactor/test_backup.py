"""backup while everything goes on, and restore: what was acknowledged before it is there, once."""

import json
import threading

import httpx2
import pytest

from compactor.jobs.backup import Occupied, back_up, put_back
from compactor.lake.disk import Disk
from compactor.lake.local import LocalStore
from tests.compactor.folder import Folder, line
from tests.processes import compactor, duckdb_cli, running, wait_for
from tests.test_data_folder import mounted


class Meanwhile(Disk):
    """Before its nth step something else happens."""

    def __init__(self, step, happens):
        self.left = step
        self.happens = happens

    def _count(self):
        self.left -= 1
        if self.left == 0:
            self.happens()

    def link(self, source, target):
        self._count()
        super().link(source, target)

    def write_file(self, path, fill):
        self._count()
        super().write_file(path, fill)


@pytest.mark.parametrize("compacts", [True, False])
@pytest.mark.parametrize("step", range(1, 5))
def test_whatever_others_do_meanwhile_the_backup_has_every_event_once(step, compacts, tmp_path):
    (tmp_path / "live").mkdir()
    live = Folder(tmp_path / "live", readers_s_max=0.01)
    live.segment(line("/in-a-part"), line("/other-date", at="2026-11-20T01:00:00Z"))
    live.turn()
    live.segment(line("/closed"), line("/closed-other-date", at="2026-11-20T02:00:00Z"))
    open_segment = live.segment(line("/open"), state="open")
    before = {"/in-a-part", "/other-date", "/closed", "/closed-other-date", "/open"}

    def happens():
        open_segment.rename(open_segment.with_suffix(".jsonl"))
        if compacts:
            live.turn()
        live.segment(line("/later"))

    disk = Meanwhile(step, happens)
    back_up(live.path, LocalStore(live.path), tmp_path / "backup", disk)
    assert disk.left < 1
    (tmp_path / "restored").mkdir()
    put_back(tmp_path / "backup", tmp_path / "restored", Disk())
    restored = Folder(tmp_path / "restored")
    restored.turn()
    paths = [path for (path,) in restored.rows()]
    assert sorted({*paths} - {"/later"}) == sorted(before) and len(paths) == len({*paths})


class Sender(threading.Thread):
    """Sends batches until it is told to stop, and knows how many events were acknowledged."""

    def __init__(self, url):
        super().__init__()
        self.url = url
        self.acknowledged = 0
        self.stopped = threading.Event()

    def run(self):
        with httpx2.Client() as client:
            while not self.stopped.is_set():
                numbers = range(self.acknowledged, self.acknowledged + 50)
                event = {"site_id": "a", "event_type": "page_view"}
                body = "\n".join(json.dumps(event | {"event_id": str(n)}) for n in numbers)
                assert client.post(f"{self.url}/events", content=body).json()["accepted"] == 50
                self.acknowledged += 50


def test_a_backup_under_load_restores_to_a_right_ledger(tmp_path):
    data_dir, restored = tmp_path / "data", tmp_path / "restored"
    data_dir.mkdir()
    fast = {"pass_age_s_max": 0.05, "poll_interval_s": 0.02, "close_after_h": 0}
    with (
        running("ingest", data_dir, segment_bytes_max=20_000) as ingest,
        running("compactor", data_dir, **fast),
    ):
        sender = Sender(ingest.url)
        sender.start()
        wait_for(lambda: any((data_dir / "lake" / "events").rglob("*.parquet")), "a part")
        known = sender.acknowledged
        said = compactor("backup", str(tmp_path / "backup"), data_dir=data_dir)
        sender.stopped.set()
        sender.join()
    assert " files, " in said
    assert not (tmp_path / "backup" / "visitors").exists()
    compactor("restore", str(tmp_path / "backup"), data_dir=restored)
    with running("report", restored) as report:
        ledger = httpx2.get(report.url + "/ledger").json()
        assert ledger["balanced"] and ledger["accepted"] >= known
        assert ledger["lake"] and ledger["spool"]
    Folder(restored).turn()
    glob = f"read_parquet('{restored}/lake/events/**/*.parquet')"
    ids = f"count(DISTINCT event_id), count(*) FILTER (event_id::BIGINT < {known})"
    rows, different, before = map(int, duckdb_cli(f"SELECT count(*), {ids} FROM {glob}").split(","))
    assert rows == different and before == known


def test_a_backup_is_put_back_where_nothing_is_and_nowhere_else(tmp_path):
    (tmp_path / "live").mkdir()
    live = Folder(tmp_path / "live")
    live.segment(line("/a"))
    store, backup = LocalStore(live.path), tmp_path / "backup"
    back_up(live.path, store, backup, Disk())
    with pytest.raises(Occupied, match="is there already"):
        back_up(live.path, store, backup, Disk())
    with pytest.raises(Occupied, match="has files already"):
        put_back(backup, live.path, Disk())
    with pytest.raises(FileNotFoundError, match="this is no backup"):
        put_back(tmp_path, tmp_path / "empty", Disk())


def test_a_backup_on_another_disk_is_a_copy_and_a_half_one_has_another_name(tmp_path):
    (tmp_path / "live").mkdir()
    live = Folder(tmp_path / "live")
    live.segment(line("/a"))
    store = LocalStore(live.path)
    other = tmp_path / "other"
    other.mkdir()
    with mounted(other, "size=1m"):
        assert str(back_up(live.path, store, other / "b", Disk())).endswith("; 0 of them are links")

        def fails():
            raise OSError("pulled out")

        with pytest.raises(OSError, match="pulled out"):
            back_up(live.path, store, other / "c", Meanwhile(1, fails))
        assert sorted(path.name for path in other.iterdir()) == ["b", "c.partial"]
        assert back_up(live.path, store, other / "c", Disk()).files == 1
        assert sorted(path.name for path in other.iterdir()) == ["b", "c"]
