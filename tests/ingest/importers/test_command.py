"""The command as a user runs it: a process of its own, against a stub of the collector."""

import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from hashlib import blake2b, sha256
from pathlib import Path

import pytest

from ingest.importers.events import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Event, batches_of
from ingest.importers.formats.combined import read
from ingest.importers.mapping import Mapping
from ingest.importers.record import seed
from tests.ingest.importers.stub_collector import Reply, StubCollector, stub_collector

ROOT = Path(__file__).parents[3]
APACHE = ROOT / "tests" / "data" / "elastic_apache" / "apache_logs.gz"
COMMAND = [sys.executable, "-m", "ingest.importers"]
ENDS_WITHIN_S = 60.0
# Unbuffered, a failed write leaves nothing that Python would flush once more at exit.
BUFFERED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
SAFE = "it is safe to run it again"


def log_line(path: str, minute: int = 0) -> str:
    return f'203.0.113.9 - - [17/May/2015:10:{minute:02}:03 +0000] "GET {path} HTTP/1.1" 200 5\n'


def run(
    collector: StubCollector, *args: str | Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *args, "--site", "blog", "--url", collector.url, "--give-up-after", "0"],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=ENDS_WITHIN_S,
    )


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return tmp_path


def summary(done: subprocess.CompletedProcess[bytes]) -> bytes:
    return done.stdout.partition(b"\n")[0]


@pytest.fixture
def collector() -> Iterator[StubCollector]:
    with stub_collector() as collector:
        yield collector


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "access.log"
    log.write_text(log_line("/a") + log_line("/b") + log_line("/a"))
    return log


def stored(collector: StubCollector) -> set[tuple[str, str, str]]:
    """What a collector that keeps its promise about event_id has after all that arrived."""
    return {(e["site_id"], e["event_id"], e["timestamp"][:10]) for e in collector.events}


def test_every_line_arrives_as_an_event_of_the_site(collector: StubCollector, log: Path) -> None:
    done = run(collector, log)
    assert (done.returncode, done.stderr) == (0, b"")
    assert summary(done) == b"3 lines: 3 sent, 0 not understood, 0 rejected"
    assert [(e["site_id"], e["path"]) for e in collector.events] == [
        ("blog", "/a"),
        ("blog", "/b"),
        ("blog", "/a"),
    ]


def test_an_export_goes_back_in_as_often_as_one_likes(collector: StubCollector, log: Path) -> None:
    event = {"event_type": "x", "timestamp": "2019-11-22T08:00:00Z", "user_id": "ann"}
    exported = [event | {"site_id": "shop", "received_at": "2026-11-22T08:00:00Z"}] * 2
    exported.append(exported[0] | {"event_id": "c0ffee"})
    log.write_text("".join(json.dumps(each) + "\n" for each in exported))
    for _ in range(2):
        assert summary(run(collector, log)) == b"3 lines: 3 sent, 0 not understood, 0 rejected"
    assert len(stored(collector)) == 3
    first = collector.events[0]
    assert first == event | {"site_id": "blog", "event_id": first["event_id"]}
    assert collector.events[2]["event_id"] == "c0ffee"


def test_a_file_of_no_known_format_costs_one_line_and_not_the_other_files(
    collector: StubCollector, log: Path
) -> None:
    other = log.with_name("other.txt")
    other.write_text("oops\n" * 10)
    done = run(collector, other, log)
    assert (done.returncode, len(collector.events)) == (1, 3)
    assert done.stderr.decode() == (
        f"import: {other}: its format is not recognised; --format says which it is\n"
    )
    done = run(collector, other, "--format", "combined")
    assert summary(done) == b"10 lines: 0 sent, 10 not understood, 0 rejected"


def test_the_name_that_scripts_know_imports_as_well(collector: StubCollector, log: Path) -> None:
    command = [sys.executable, "-m", "ingest.accesslog", log, "--site=a", "--url", collector.url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    assert (done.returncode, len(collector.events)) == (0, 3)


def test_a_real_log_run_twice_is_stored_once(collector: StubCollector) -> None:
    for _ in range(2):
        done = run(collector, APACHE)
        assert summary(done) == b"10000 lines: 10000 sent, 0 not understood, 0 rejected"
    assert len(collector.events) == 20_000
    assert len(stored(collector)) == 10_000
    assert len(collector.clients) == 2
    assert [len(batch) for batch in collector.batches] == [1000] * 20


def test_a_file_named_twice_is_stored_once(collector: StubCollector, log: Path) -> None:
    packed = log.with_suffix(".gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    run(collector, log, log, packed)
    assert (len(collector.events), len(stored(collector))) == (9, 3)


def test_identical_lines_of_piped_files_are_events_of_their_own(
    collector: StubCollector, log: Path
) -> None:
    run(collector, "-", stdin=log.read_bytes() * 2)
    assert len(stored(collector)) == 6


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_dash_is_standard_input(pack: Callable[[bytes], bytes], collector: StubCollector) -> None:
    done = run(collector, "-", stdin=pack((log_line("/a") + "oops\n").encode()))
    assert summary(done) == b"2 lines: 1 sent, 1 not understood, 0 rejected"
    assert done.stderr == b"import: (standard input):2: not understood\n"


def test_only_the_first_few_lines_that_are_no_log_lines_are_named(
    collector: StubCollector, log: Path
) -> None:
    log.write_text(log_line("/a") + "oops\n" * 100)
    done = run(collector, log)
    assert (done.returncode, done.stdout.split(b",")[1]) == (0, b" 100 not understood")
    assert done.stderr.decode().splitlines() == [
        f"import: {log}:{number}: not understood" for number in range(2, 7)
    ]


def test_rejected_events_are_named_and_counted_and_the_rest_is_sent(
    collector: StubCollector, log: Path
) -> None:
    log.write_text("".join(log_line(f"/{n}") for n in range(BATCH_EVENTS_MAX + 3)))
    future = {"index": 1, "code": "timestamp_out_of_range", "detail": "in the future"}
    invalid = {"code": "invalid_event", "detail": "none of it"}
    collector.script = [
        Reply(207, {"accepted": 999, "rejected": 1, "errors": [future]}),
        Reply(422, invalid),
    ]
    done = run(collector, log)
    assert done.returncode == 1
    assert summary(done) == b"1003 lines: 999 sent, 0 not understood, 4 rejected"
    assert done.stderr.decode().splitlines() == [
        f"import: {log}:2: rejected: timestamp_out_of_range in the future",
        f"import: {log}:1001: rejected: invalid_event none of it",
    ]


def test_only_the_first_few_rejected_events_are_named(collector: StubCollector, log: Path) -> None:
    log.write_text(log_line("/a") * BATCH_EVENTS_MAX * 2)
    errors = [{"index": index, "code": "invalid_event"} for index in range(3)]
    receipt = {"accepted": BATCH_EVENTS_MAX - 3, "rejected": 3, "errors": errors}
    collector.script = [Reply(207, receipt)] * 2
    assert run(collector, log).stderr.count(b"rejected") == 5


def test_another_refusal_stops_with_one_line(collector: StubCollector, log: Path) -> None:
    collector.script = [Reply(404, {"code": "not_found", "detail": "no such page"})]
    done = run(collector, log)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"import: {collector.url}: answered 404 not_found no such page"
        f" (0 events were sent before; {SAFE})\n"
    )


def test_nobody_at_the_url_ends_with_one_line(log: Path) -> None:
    with stub_collector() as gone:
        pass
    done = run(gone, log)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"import: {gone.url}: [Errno 111] Connection refused; gave up after 0 s"
        f" (0 events were sent before; {SAFE})\n"
    )


def test_a_missing_file_costs_one_line_and_not_the_other_files(
    collector: StubCollector, log: Path
) -> None:
    done = run(collector, log.with_name("missing.log"), log)
    assert (done.returncode, len(collector.events)) == (1, 3)
    assert done.stderr.decode() == (
        f"import: {log.with_name('missing.log')}: No such file or directory\n"
    )


def test_a_directory_costs_one_line(collector: StubCollector, tmp_path: Path) -> None:
    done = run(collector, tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.endswith(b": Is a directory\n")


def test_what_a_gzip_cut_short_still_holds_is_sent(collector: StubCollector, log: Path) -> None:
    cut = log.with_name("cut.log.gz")
    cut.write_bytes(APACHE.read_bytes()[:-20_000])
    done = run(collector, cut)
    assert done.returncode == 1
    assert 8_000 < len(collector.events) < 10_000
    assert f"{len(collector.events)} sent, 0 not understood" in done.stdout.decode()
    assert done.stderr.decode().startswith(f"import: {cut}: Compressed file ended before")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["by default", "not with --quiet"])
def test_a_terminal_sees_progress(quiet: list[str], collector: StubCollector, log: Path) -> None:
    terminal, side_of_the_process = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = [*COMMAND, str(log), "--site", "blog", "--url", collector.url, *quiet]
    subprocess.run(command, cwd=ROOT, stderr=side_of_the_process, timeout=ENDS_WITHIN_S, check=True)
    os.write(side_of_the_process, b".")
    os.close(side_of_the_process)
    assert (b"100%" in os.read(terminal, 65536)) is not bool(quiet)
    os.close(terminal)


def test_ctrl_c_ends_with_one_line(collector: StubCollector, log: Path) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        released.wait()

    collector.before_answer = hold
    # A shell makes its background jobs ignore SIGINT, and their children after them.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*COMMAND, log, "--site", "blog", "--url", collector.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    signal.signal(signal.SIGINT, inherited)
    assert arrived.wait(ENDS_WITHIN_S)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=ENDS_WITHIN_S)
    released.set()
    assert (process.returncode, out) == (130, b"")
    assert err.decode() == f"import: interrupted (0 events were sent before; {SAFE})\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_of_the_output_who_left_causes_no_traceback(
    stream: str, collector: StubCollector, log: Path
) -> None:
    log.write_text(log_line("/a") + "oops\n")
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [*COMMAND, log, "--site", "blog", "--url", collector.url],
        cwd=ROOT,
        env=BUFFERED | {"DATA_DIR": os.environ["DATA_DIR"]},
        stdout=writer if stream == "stdout" else subprocess.PIPE,
        stderr=writer if stream == "stderr" else subprocess.PIPE,
    )
    os.close(writer)
    _out, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 141
    assert b"Traceback" not in (err or b"") and b"Exception" not in (err or b"")


@pytest.mark.parametrize(
    "args, complaint",
    [
        ([], "the following arguments are required: --site"),
        (["--site", ""], "must be 1 to 64 printable characters"),
        (["--site", "x" * 65], "must be 1 to 64 printable characters"),
        (["--site", "a\tb"], "must be 1 to 64 printable characters"),
        (["--site", "blog", "--url", "127.0.0.1:8000"], "must look like http://host:8000"),
        (["--site", "blog", "--url", "http://"], "must look like http://host:8000"),
        (["--site", "blog", "--url", "ftp://host"], "must look like http://host:8000"),
        (["--site", "blog", "--url", "http://host/?ack=synced"], "must look like"),
        (["--site", "blog", "--url", "http://host:99999"], "argument --url: invalid"),
    ],
)
def test_a_bad_argument_is_explained(args: list[str], complaint: str) -> None:
    done = subprocess.run([*COMMAND, "x.log", *args], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert complaint in done.stderr


# Visitors


def users(collector: StubCollector) -> list[str]:
    return [event["user_id"] for event in collector.events]


def test_runs_agree_on_their_visitors_and_nobody_without_the_secret_finds_them(
    collector: StubCollector, log: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(collector, log)
    run(collector, log)
    secret = data_dir / "visitors" / "imports.secret"
    assert (len(secret.read_bytes()), stat.S_IMODE(secret.stat().st_mode)) == (32, 0o600)
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    [here] = set(users(collector))
    assert len(bytes.fromhex(here.removeprefix("d:"))) == 8 and here.startswith("d:")
    guess = b"2015-05-17\x1f203.0.113.9\x1f"
    for digest in (sha256(guess), sha256(b"blog\0" + guess), blake2b(b"blog\0" + guess)):
        assert here.removeprefix("d:") != digest.hexdigest()[:16]
    (elsewhere := data_dir / "elsewhere").mkdir()
    monkeypatch.setenv("DATA_DIR", str(elsewhere))
    run(collector, log)
    assert users(collector)[-1] != here


def test_once_the_secret_is_destroyed_an_import_still_adds_nothing(
    collector: StubCollector, log: Path, data_dir: Path
) -> None:
    run(collector, log)
    forget = subprocess.run(
        [*COMMAND, "--destroy-secret"], cwd=ROOT, capture_output=True, text=True
    )
    assert (forget.returncode, forget.stderr) == (0, "the secret is destroyed\n")
    assert list((data_dir / "visitors").iterdir()) == []
    run(collector, log)
    assert len(set(users(collector))) == 2
    assert len(stored(collector)) == 3
    again = subprocess.run([*COMMAND, "--destroy-secret"], cwd=ROOT, capture_output=True)
    assert again.returncode == 0


def test_an_event_id_does_not_tell_the_address() -> None:
    addresses = [f"203.0.{n // 250}.{n % 250}" for n in range(2_000)]
    lines = [log_line("/a").replace("203.0.113.9", address).encode() for address in addresses]
    records = {raw: Mapping().record(request) for raw in lines if (request := read(raw))}
    seeds = {seed(record, raw) for raw, record in records.items()}
    assert 200 < len(seeds) <= 256


def test_a_data_dir_without_room_for_the_secret_costs_one_line(
    collector: StubCollector, log: Path, data_dir: Path
) -> None:
    (data_dir / "visitors").touch()
    done = run(collector, log)
    assert (done.returncode, collector.events) == (2, [])
    assert done.stderr.count(b"\n") == 1 and b"DATA_DIR" in done.stderr


def test_a_collector_that_takes_less_at_a_time_is_sent_less(
    collector: StubCollector, log: Path
) -> None:
    log.write_text("".join(log_line(f"/{n}") for n in range(10)))
    too_large = Reply(413, {"code": "too_large", "detail": "five"})
    rejected = {"accepted": 4, "rejected": 1, "errors": [{"index": 3, "code": "invalid_event"}]}
    taken = Reply(202, {"accepted": 5, "rejected": 0})
    collector.script = [too_large, taken, Reply(207, rejected)]
    done = run(collector, log)
    assert summary(done) == b"10 lines: 9 sent, 0 not understood, 1 rejected"
    assert done.stderr.startswith(f"import: {log}:9: rejected".encode())


def test_a_batch_ends_at_the_most_events_or_bytes() -> None:
    small, large = Event("", "", b"x"), Event("", "", b"x" * (BATCH_BYTES_MAX // 2))
    assert [len(b) for b in batches_of([small] * 2500)] == [1000, 1000, 500]
    assert [len(b) for b in batches_of([large, small, large, large])] == [2, 1, 1]
    assert list(batches_of([])) == []
    dates = [Event("", f"date {n}", b"x") for n in range(70)]
    assert [len(b) for b in batches_of(dates)] == [31, 31, 8]
