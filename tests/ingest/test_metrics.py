"""/metrics and /ready say what is so, whichever worker answers."""

import os
import shutil
import signal

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from ingest.refusal import Refusal
from tests.processes import running, wait_for

EVENT = {"site_id": "blog", "event_type": "page_view"}


def scrape(ingest):
    """{(name, labels): value}"""
    text = httpx2.get(ingest.url + "/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_worker_tells_the_sums_of_all_workers(tmp_path):
    with running("ingest", tmp_path, workers=2) as ingest:
        for n in range(40):  # each over a connection of its own, so both workers get some
            assert httpx2.post(ingest.url + "/event", json=EVENT).status_code == 202
            if n % 4 == 0:
                assert httpx2.post(ingest.url + "/event", content=b"{").status_code == 400
                batch = [EVENT, EVENT, {}]
                assert httpx2.post(ingest.url + "/events", json=batch).status_code == 207
        for _ in range(8):
            seen = scrape(ingest)
            assert seen["ingest_events_total",] == 60
            assert seen["ingest_refused_total", "malformed_json"] == 10
            assert seen["ingest_refused_total", "invalid_event"] == 10
            assert seen["ingest_batch_events_count",] == 10
            assert seen["ingest_batch_events_sum",] == 30
            assert seen["ingest_write_seconds_count",] == seen["ingest_write_events_count",] > 0
            assert seen["ingest_workers",] == seen["ingest_workers_ready",] == 2
            assert seen["ingest_bytes_total",] == seen["ingest_spool_bytes",] > 0
        assert {labels[1] for labels in seen if labels[0] == "ingest_refused_total"} == set(Refusal)
        assert ingest.stop() == 0


def folders(data_dir):
    return list((data_dir / "tmp").glob("ingest-*"))


def test_what_a_killed_service_left_is_swept_when_the_next_one_starts(tmp_path):
    with running("ingest", tmp_path) as killed:
        [left] = folders(tmp_path)
        killed.kill()
    with running("ingest", tmp_path) as first, running("ingest", tmp_path) as second:
        assert len(folders(tmp_path)) == 2 and left not in folders(tmp_path)
        assert first.stop() == second.stop() == 0
    assert folders(tmp_path) == []


def test_metrics_are_told_though_a_page_is_foreign_torn_or_gone(tmp_path):
    with running("ingest", tmp_path) as ingest:
        assert httpx2.post(ingest.url + "/event", json=EVENT).status_code == 202
        [folder] = folders(tmp_path)
        (folder / "1").write_bytes(bytes(4096))  # of a worker that died; its number is another's
        (folder / "2").touch()  # of one that starts in this moment
        seen = scrape(ingest)
        assert (seen["ingest_events_total",], seen["ingest_workers",]) == (1, 1)
        shutil.rmtree(folder)
        assert scrape(ingest)["ingest_events_total",] == 1
        assert ingest.stop() == 0


def test_what_a_killed_worker_had_counted_stays_counted(tmp_path):
    with running("ingest", tmp_path, workers=2) as ingest:
        for _ in range(10):
            assert httpx2.post(ingest.url + "/event", json=EVENT).status_code == 202
        [folder] = folders(tmp_path)
        os.kill(int(min(path.name for path in folder.iterdir())), signal.SIGKILL)
        wait_for(lambda: len(list(folder.iterdir())) == 3, "its successor", patience_s=30)
        wait_for(lambda: scrape(ingest)["ingest_workers_ready",] == 2, "its readiness")
        seen = scrape(ingest)
        assert (seen["ingest_events_total",], seen["ingest_workers",]) == (10, 2)


def test_not_ready_is_told_while_visitors_cannot_be_identified(tmp_path):
    (tmp_path / "visitors").touch()  # no folder
    with running("ingest", tmp_path) as ingest:
        event = httpx2.post(ingest.url + "/event?visitor=daily", json=EVENT)
        ready = httpx2.get(ingest.url + "/ready")
        assert (event.status_code, ready.status_code) == (503, 503)
        assert ready.json()["code"] == "spool_unavailable" and "salt" in ready.json()["detail"]
        (tmp_path / "visitors").unlink()
        assert httpx2.get(ingest.url + "/ready").status_code == 200


def test_a_spool_at_its_limit_refuses_until_there_is_room_again(tmp_path):
    (tmp_path / "spool").mkdir()
    backlog = tmp_path / "spool" / "1700000000000-00000000-000001.jsonl"
    backlog.write_bytes(bytes(2 << 20))
    with running("ingest", tmp_path, spool_bytes_max=2 << 20, sync_interval_s=0.1) as ingest:
        wait_for(lambda: httpx2.get(ingest.url + "/ready").status_code == 503, "it to refuse")
        answer = httpx2.post(ingest.url + "/event", json=EVENT)
        assert (answer.status_code, answer.json()["code"]) == (503, "spool_unavailable")
        assert "limit of 2,097,152 bytes" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        backlog.unlink()
        wait_for(lambda: httpx2.get(ingest.url + "/ready").status_code == 200, "its recovery")
        assert httpx2.post(ingest.url + "/event", json=EVENT).status_code == 202
        assert ingest.stop() == 0
    log = ingest.log.read_text()
    assert log.count("takes no writes") == log.count("takes writes again") == 1
