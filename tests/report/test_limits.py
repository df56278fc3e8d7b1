"""Nothing is unbounded: query time, memory, places, exports; and nobody works for who has left."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.http.messages import statuses
from tests.processes import Stage, free_port, running, wait_for
from tests.report.holding import NOW, Folder, asking, event, figures


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A site with so many users that counting them takes a while."""
    folder = Folder(tmp_path_factory.mktemp("large"))
    path = folder.path / "wide"
    for part in range(8):
        events = (
            event(user_id=f"{part}-{n}", path=f"/{n}", referrer=f"https://{n}.example/")
            for n in range(50_000)
        )
        folder.holds(*events)
    assert not path.exists()
    return folder


HEAVY = {"site_id": "blog", "by": "referrer_host", "limit": 1000}


def test_a_query_past_its_limit_is_interrupted_and_answered_503(large):
    with asking(large.path, query_s_max=0.2) as client:
        started = time.monotonic()
        told = client.get("/stats/breakdown", params=HEAVY)
        assert (told.status_code, told.json()["code"]) == (503, "overloaded")
        assert told.headers["retry-after"] == "1"
        assert time.monotonic() - started < 2
        assert client.get("/stats?site_id=nobody").status_code == 200


def running_queries(report):
    text = httpx2.get(report.url + "/metrics").text
    return float(text.split("\nreport_queries_running ")[1].split("\n")[0])


def test_a_query_ends_when_its_client_has_left(large):
    with running("report", large.path, threads=1) as report:
        for n in range(8):
            with socket.create_connection(("127.0.0.1", report.port)) as client:
                query = "&".join(f"{name}={value}" for name, value in HEAVY.items())
                query += f"&offset={n}"  # no answer from the cache
                client.sendall(
                    f"GET /stats/breakdown?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
                )
                wait_for(lambda: running_queries(report), "the query to start")
            started = time.monotonic()
            wait_for(lambda: not running_queries(report), "the query to end")
            assert time.monotonic() - started < 1


def test_a_client_that_only_closes_its_half_waits_for_its_answer(large):
    """It is asked whether it is still there, by a head that every client of HTTP/1.1 skips."""
    with running("report", large.path, threads=1) as report:
        query = "&".join(f"{name}={value}" for name, value in HEAVY.items())
        with socket.create_connection(("127.0.0.1", report.port)) as client:
            head = f"GET /stats/breakdown?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            client.sendall(head.encode())
            wait_for(lambda: running_queries(report), "the query to start")
            client.shutdown(socket.SHUT_WR)
            answer = client.makefile("rb").read()
    assert statuses(answer) == [102, 200]


def test_a_head_without_end_is_cut_off_behind_a_request_that_is_not_answered_yet(large):
    with running("report", large.path, threads=1) as report:
        query = "&".join(f"{name}={value}" for name, value in HEAVY.items())
        head = f"GET /stats/breakdown?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(("127.0.0.1", report.port)) as client:
            client.sendall(head.encode())
            wait_for(lambda: running_queries(report), "the query to start")
            client.sendall(b"GET / HTTP/1.1\r\nX: ")
            with suppress(OSError):
                for _ in range(2_000):
                    client.sendall(b"x" * 64 * 1024)
            answers = b""
            with suppress(OSError):
                while data := client.recv(1 << 20):
                    answers += data
            assert b'"code":"headers_too_large"' in answers or not answers
        assert peak_bytes(report.process) < 300 << 20


def test_too_many_questions_are_refused_and_the_rest_wait(large):
    with running("report", large.path, queries_max=1, waiting_max=2) as report:

        def ask(n):
            return httpx2.get(
                report.url + "/stats/breakdown", params={**HEAVY, "offset": n}, timeout=30
            ).status_code

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(ask, range(8)))
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 3


def peak_bytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_eight_questions_at_once_neither_starve_a_small_one_nor_pass_the_memory_bound(large):
    bound = 512 << 20
    with running("report", large.path, memory_bytes_max=bound, spool_rows_bytes_max=0) as report:

        def ask(n):
            parameters = {**HEAVY, "by": "user_id", "offset": n}
            url = report.url + "/stats/breakdown"
            return httpx2.get(url, params=parameters, timeout=60).status_code

        with ThreadPoolExecutor(8) as threads:
            heavy = [threads.submit(ask, n) for n in range(8)]
            wait_for(lambda: running_queries(report) > 1, "the heavy ones to start")
            times = []
            while not all(each.done() for each in heavy):
                started = time.monotonic()
                url = f"{report.url}/stats?site_id=nobody-{len(times)}"
                assert httpx2.get(url, timeout=60).status_code == 200
                times.append(time.monotonic() - started)
        assert {each.result() for each in heavy} == {200}
        assert len(times) > 1
        assert max(times) < 2
        assert peak_bytes(report.process) < bound


def test_exports_have_places_of_their_own_and_give_them_back(large):
    with running("report", large.path, exports_max=1, answer_s_max=0.3) as report:
        url = report.url + "/export?site_id=blog"
        with httpx2.stream("GET", url) as first:
            assert first.status_code == 200
            assert httpx2.get(url).json()["code"] == "overloaded"
            # it stalls: nobody reads
            wait_for(lambda: not links_in(large.path), "the stalled one to end")
            with pytest.raises(httpx2.TransportError):
                first.read()
        assert len(httpx2.get(url, timeout=60).content.splitlines()) == 400_000
        with httpx2.stream("GET", url):
            pass  # leaves

        def is_free():
            with httpx2.stream("GET", url) as again:
                return again.status_code == 200

        wait_for(is_free, "the place of who left")
        wait_for(lambda: not links_in(large.path), "the links to go")


def links_in(path):
    return list((path / "tmp").glob("*/pinned-*"))


def test_an_export_that_breaks_off_cannot_be_taken_for_whole(large, tmp_path):
    folder = Folder(tmp_path)
    for n in (2, 1):  # two dates, with more rows than are kept in memory
        folder.holds(*(event(NOW.replace(day=n), path=f"/{i}") for i in range(60_000)))
    [part] = (folder.path / "lake/events/year=2025").glob("2025-11-02_*")
    with running("report", folder.path) as report:
        with (
            pytest.raises(httpx2.RemoteProtocolError),
            httpx2.stream("GET", report.url + "/export?site_id=blog") as answer,
        ):
            pieces = answer.iter_bytes()
            next(pieces)
            damage(part)  # under way is the first date
            for _ in pieces:
                pass
        assert "broken off" in report.log.read_text()
        assert httpx2.get(report.url + "/export?site_id=blog&to=2025-11-01").status_code == 200


def damage(part: Path) -> None:
    with part.open("r+b") as file:
        size = part.stat().st_size
        file.seek(size // 4)  # not the column of sites
        file.write(bytes(size // 4))


def test_shutdown_does_not_wait_for_heavy_queries(large):
    def ask(n):
        try:
            parameters = {**HEAVY, "offset": n}
            url = report.url + "/stats/breakdown"
            return httpx2.get(url, params=parameters, timeout=30).status_code
        except httpx2.TransportError:
            return "cut off"

    with running("report", large.path, threads=1, queries_max=1) as report:
        with ThreadPoolExecutor(30) as threads:
            asked = [threads.submit(ask, n) for n in range(30)]
            wait_for(lambda: running_queries(report), "the query to start")
            started = time.monotonic()
            assert report.stop() == 0
            assert time.monotonic() - started < 5
        assert {each.result() for each in asked} != {200}


@pytest.mark.parametrize("name", ["it's", 'a "b"', "a b;c", "ä$x"])
def test_a_data_folder_may_have_quotes_in_its_path(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    folder = Folder(path)
    folder.holds(event(event_id="1"))
    folder.holds(event(), event(event_id="1"), where="open")
    with asking(path, spool_rows_bytes_max=0) as client:
        assert figures(client, "/stats", site_id="blog")["total_views"] == 2
        assert len(client.get("/export?site_id=blog").content.splitlines()) == 2


@pytest.mark.parametrize("name", ["a*", "a[b]", "a?", "{a}"])
def test_a_data_folder_with_glob_characters_is_refused_at_the_start(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    stage = Stage("report", path)
    assert stage.process.wait(timeout=20) == 1
    assert stage.log.read_text().count("\n") == 1
    assert "DATA_DIR" in stage.log.read_text()


def test_any_address_but_loopback_needs_a_token(tmp_path):
    stage = Stage("report", tmp_path, host="0.0.0.0")
    assert stage.process.wait(timeout=20) == 1
    assert "needs a REPORT_TOKEN" in stage.log.read_text()


def test_the_token_is_never_in_the_log(tmp_path):
    token = "s3cr3t-t0k3n"
    with running("report", tmp_path, token=token) as report:
        for value in (token, "wrong"):
            httpx2.get(report.url + "/stats", headers={"authorization": f"Bearer {value}"})
        httpx2.get(report.url + f"/stats?token={token}")
        assert report.stop() == 0
        assert token not in report.log.read_text()


def test_what_a_dead_process_left_in_the_data_folder_is_removed(tmp_path):
    with running("report", tmp_path) as killed, running("report", tmp_path) as other:
        assert len(list((tmp_path / "tmp").iterdir())) == 2
        killed.kill()
        with running("report", tmp_path):
            assert len(list((tmp_path / "tmp").iterdir())) == 2
        assert other.answers()
    assert free_port()


def test_duckdb_can_reach_nothing_but_the_data_folder(tmp_path):
    import duckdb

    from report.engine.database import connect
    from report.settings import Settings

    (tmp_path / "data").mkdir()
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    settings = Settings(data_dir=str(tmp_path / "data"))
    with connect(settings, tmp_path / "data") as database:
        for sql in (
            f"FROM read_csv('{secret}')",
            f"FROM read_text('{tmp_path}/data/../secret.csv')",
            f"COPY (SELECT 1) TO '{tmp_path}/x.csv'",
            f"ATTACH '{tmp_path}/x.duckdb'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET memory_limit = '100GB'",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(sql)


def test_a_stream_that_is_interrupted_says_so_however_far_it_is():
    import duckdb

    from report.snapshot.definition import Definition

    with duckdb.connect() as cursor:
        numbers = Definition("SELECT * FROM range(500_000_000) AS t(n)", {}, {}, [])
        batches = numbers.stream(cursor, " WHERE hash(n) % 1000 = 1", 1_000)
        next(batches)
        cursor.interrupt()
        with pytest.raises(duckdb.InterruptException):
            list(batches)
