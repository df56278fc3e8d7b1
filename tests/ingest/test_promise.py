"""A 202 is kept: through kills, full disks, failing disks and stops, with real processes."""

import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import httpx2
import pytest

from ingest.event import decode_line
from tests.chaos.ingest import chaos, worker_pids
from tests.processes import compact_once, running, wait_for

EVENT = {"site_id": "blog", "event_type": "page_view"}


def post(ingest, event_id, ack="written"):
    """The status, or 0 when nobody answered."""
    try:
        event = {**EVENT, "event_id": str(event_id)}
        return httpx2.post(f"{ingest.url}/event?ack={ack}", json=event, timeout=5).status_code
    except httpx2.TransportError:
        return 0


def kept_ids(data_dir):
    """Fails if there is half a line in a segment."""
    contents = [path.read_bytes() for path in sorted((data_dir / "spool").glob("1*"))]
    assert all(content.endswith(b"\n") for content in contents if content)
    return [decode_line(line).event_id for content in contents for line in content.splitlines()]


@contextmanager
def load(ingest, ack="written", clients=4):
    """Clients that post all the while; yields the ids that were acknowledged."""
    acknowledged, stop = [], threading.Event()

    def client(number):
        with httpx2.Client() as http:
            for n in range(1_000_000):
                if stop.is_set():
                    return
                event_id = f"{number}-{n}"
                try:
                    event = {**EVENT, "event_id": event_id}
                    answer = http.post(f"{ingest.url}/event?ack={ack}", json=event)
                except httpx2.TransportError:
                    time.sleep(0.01)
                    continue
                if answer.status_code == 202:
                    acknowledged.append(event_id)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(acknowledged) > 20, "the load to begin")
        yield acknowledged
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    totals = chaos(tmp_path, kills=5, events=2_000)
    assert totals["acknowledged"] >= 2_000
    assert totals["lost"] == totals["twice"] == 0


def test_a_killed_worker_comes_back_and_the_compactor_closes_its_segment(tmp_path):
    with running("ingest", tmp_path, workers=2) as ingest:
        before = wait_for(
            lambda: len(pids := worker_pids(ingest.process.pid)) == 2 and pids, "two workers"
        )
        assert post(ingest, "a") == 202
        os.kill(before[0], signal.SIGKILL)
        os.kill(before[1], signal.SIGKILL)
        wait_for(
            lambda: len(set(worker_pids(ingest.process.pid)) - set(before)) == 2, "new workers"
        )
        wait_for(lambda: post(ingest, "b") == 202, "an answer")
        assert "closed" in compact_once(tmp_path)
        assert ingest.stop() == 0
    compact_once(tmp_path)
    assert kept_ids(tmp_path) == []  # all of it is in the lake


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ack", ["written", "synced"])
def test_a_stop_under_load_closes_all_that_was_acknowledged_within_5_s(tmp_path, workers, ack):
    with running("ingest", tmp_path, workers=workers) as ingest:
        with load(ingest, ack) as acknowledged:
            ingest.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            assert ingest.process.wait(timeout=10) == 0
            assert time.monotonic() - started < 5
        assert set(acknowledged) <= set(kept_ids(tmp_path))
        assert {path.suffix for path in (tmp_path / "spool").iterdir()} == {".jsonl"}


# A disk in trouble


@contextmanager
def small_disk(folder, size_kib):
    if os.geteuid() != 0:
        pytest.skip("only root may mount a tmpfs")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_refuses_within_a_second_and_recovers_by_itself(tmp_path):
    with small_disk(tmp_path / "small", 1024) as data_dir, running("ingest", data_dir) as ingest:
        ballast = data_dir / "ballast"
        ballast.write_bytes(bytes(600 * 1024))
        acknowledged = []
        long = {**EVENT, "path": "/" + "x" * 2000}
        with httpx2.Client() as http:
            while True:
                event_id = str(len(acknowledged))
                started = time.monotonic()
                refused = http.post(ingest.url + "/event", json={**long, "event_id": event_id})
                assert time.monotonic() - started < 1
                if refused.status_code != 202:
                    break
                acknowledged.append(event_id)
        assert refused.status_code == 503
        assert refused.json()["code"] == "spool_unavailable"
        assert int(refused.headers["retry-after"]) > 0
        assert httpx2.get(ingest.url + "/ready").status_code == 503
        assert kept_ids(data_dir) == acknowledged  # and no half line
        ballast.unlink()
        wait_for(lambda: httpx2.get(ingest.url + "/ready").status_code == 200, "recovery", 5)
        assert post(ingest, "after") == 202
        assert ingest.stop() == 0
        assert kept_ids(data_dir) == [*acknowledged, "after"]
        assert ingest.log.read_text().count("takes no writes") == 1


def test_a_file_size_limit_is_survived_like_a_full_disk(tmp_path):
    with running("ingest", tmp_path) as ingest:
        limit = 96 * 1024
        resource.prlimit(ingest.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        statuses = {}
        with httpx2.Client() as http:
            for n in range(300):
                event = {**EVENT, "event_id": str(n), "path": "/" + "x" * 1000}
                statuses[str(n)] = http.post(ingest.url + "/event", json=event).status_code
        assert set(statuses.values()) == {202, 503}
        wait_for(lambda: httpx2.get(ingest.url + "/ready").status_code == 200, "recovery", 5)
        assert post(ingest, "after") == 202
        assert ingest.stop() == 0
    acknowledged = [n for n, status in statuses.items() if status == 202]
    assert kept_ids(tmp_path) == [*acknowledged, "after"]


@contextmanager
def traced(process, log, *options):
    """strace on all threads of a process while the block runs; yields its log."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    command = ["strace", "-f", "-p", str(process.pid), "-o", str(log), *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr
        line = tracer.stderr.readline()
        if "attached" not in line:
            pytest.skip(f"strace may not attach: {line.strip()}")
        yield log
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=10)


FAILURES = [
    *(("write", error, n) for error in ("EIO", "ENOSPC") for n in (1, 2, 3)),
    *(("fdatasync", error, n) for error in ("EIO", "ENOSPC") for n in (1, 2, 3)),
]


def test_whichever_write_or_sync_fails_a_new_segment_serves_the_next(tmp_path):
    """Each round: the n-th call on the open segment fails, as seen from the client."""
    kept, lost = [], []
    with running("ingest", tmp_path) as ingest:
        assert post(ingest, "first", "synced") == 202
        for call, error, n in FAILURES:
            segment = max((tmp_path / "spool").glob("*.open"))
            options = ("-P", str(segment), "-e", f"inject={call}:error={error}:when={n}")
            with traced(ingest.process, tmp_path / "trace", *options):
                for at in range(1, n):
                    kept.append(f"{call} {error} {n}: before, {at}")
                    assert post(ingest, kept[-1], "synced") == 202
                refused = f"{call} {error} {n}"
                assert post(ingest, refused, "synced") == 503
                if call == "write":
                    lost.append(refused)
                kept.append(f"{call} {error} {n}: after")
                wait_for(lambda: post(ingest, kept[-1], "synced") == 202, "service", 5)
            now = max((tmp_path / "spool").glob("*.open"))
            assert now.name > segment.name
            assert kept[-1].encode() in now.read_bytes()
        assert ingest.stop() == 0
    ids = kept_ids(tmp_path)
    assert set(kept) <= set(ids)
    assert set(lost).isdisjoint(ids)


def test_a_synced_answer_leaves_after_a_completed_fdatasync_of_its_bytes(tmp_path):
    with running("ingest", tmp_path) as ingest:
        assert post(ingest, "warm", "synced") == 202
        options = ("-y", "-s", "65536", "-e", "trace=write,writev,sendto,sendmsg,fdatasync")
        with (
            traced(ingest.process, tmp_path / "trace", *options) as log,
            load(ingest, "synced") as acknowledged,
        ):
            wait_for(lambda: len(acknowledged) >= 200, "200 acknowledgements")
        assert ingest.stop() == 0
        trace = log.read_text()
    assert in_order(trace) >= 200


def in_order(trace):
    """Goes through the calls in their order: how many answers left, each after its sync."""
    written = being_synced = synced = answers = 0  # lines; there is one segment
    for line in trace.splitlines():
        call = line.partition(" ")[2].strip()
        if "fdatasync(" in call:
            being_synced = written
        if ".open>" in call and call.startswith("write("):
            written += call.count('\\"event_id\\"')
        if re.match(r"(fdatasync\(.*|<\.\.\. fdatasync resumed>.*)= 0$", call):
            synced = being_synced
        if "HTTP/1.1 202" in call:
            answers += call.count("HTTP/1.1 202")
            assert answers <= synced, line
    return answers
