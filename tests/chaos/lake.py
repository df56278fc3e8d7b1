"""Kills ingest, the compactor and report under load, while real duckdb commands read the lake.

    python -m tests.chaos.lake --kills 200 --events 500000 --queries 20000

Clients send batches, each until it is acknowledged, and keep a journal of that. Every kill is
SIGKILL: at random, or by strace in the middle of a chosen link, rename, unlink, fsync or mkdir.
At the end everything is compacted, verified, and compared with the journals. Status 1 unless
nothing was lost, nothing was stored twice, no reader saw an error, a duplicate, a smaller count or
one row less of a site whose rows were all there before, and report's ledger never lacked an event
that was acknowledged before it was asked.

A batch in three has no event_ids: that it is stored once is the work of the footers alone. It is
sent once; if it was not acknowledged it may be there or not, but never twice. Dates settle at once,
and events come late to them. All the while persons come, are erased and never seen again, and dates
move out that are past their retention. Readers share the lake's lock, but for one: what a plain
glob may meet is a year's exchange, in which it gets an error or misses rows. Its queries that do
are counted apart.

Not shown: power cuts (see tests.chaos.crashes), more than one machine.
"""

import argparse
import collections
import fcntl
import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import httpx2
import orjson

from tests.processes import PROJECT, Stage, clean_environment, compact_once, wait_for

CALLS = (
    "link,linkat",
    "rename,renameat,renameat2",
    "unlink,unlinkat,rmdir",
    "fsync,fdatasync",
    "mkdir,mkdirat",
)
COMPACTOR = {"POLL_INTERVAL_S": "0.05", "PASS_AGE_S_MAX": "0.2", "CLOSE_AFTER_H": "0"}
COMPACTOR["READERS_S_MAX"] = "2"
BATCH_EVENTS = 250
COMPACTOR["RETENTION_DAYS"] = "30"
DATES = 4
FIXED, FIXED_ROWS = "fixed", 400  # a site whose rows share every date's parts with all others
OLD, ERASED = "old", "erased"  # sites whose rows may go away: dates past retention, persons


class Run:
    """The totals, shared by all threads, and when to end."""

    def __init__(self, folder: Path, kills: int, events: int, queries: int, seed: int) -> None:
        # Fixed
        self.folder = folder
        self.goals = {"kills": kills, "events": events, "queries": queries}
        self.random = random.Random(seed)
        self.patience_s = 3600
        self.events_glob = f"{folder}/lake/events/**/*.parquet"

        # Grow, under the lock
        self.lock = threading.Lock()
        self.totals: collections.Counter[str] = collections.Counter()
        self.problems: list[str] = []
        self.acknowledged: set[str] = set()  # paths, each of one event
        self.old: set[str] = set()  # those of dates that move out of the lake
        self.erased: set[str] = set()  # users of whom nothing may be found any more
        self.over = threading.Event()

        # Replaced at every start of ingest
        self.port = 0

    def add(self, name: str, count: int = 1) -> None:
        with self.lock:
            self.totals[name] += count
            if all(self.totals[goal] >= least for goal, least in self.goals.items()):
                self.over.set()

    def problem(self, text: str) -> None:
        with self.lock:
            self.problems.append(text)


def send(run: Run, client: int) -> None:
    """Batches, each again and again until it is acknowledged."""
    now = datetime.now(UTC)
    batch = 0
    while not run.over.is_set():
        batch += 1
        ids = [f"{client}-{batch}-{n}" for n in range(BATCH_EVENTS)]
        with_ids = batch % 3 > 0
        body = b"\n".join(orjson.dumps(event(id, now, n, with_ids)) for n, id in enumerate(ids))
        while not (kept := acknowledged(run, body)) and with_ids:
            run.add("retries")
            if run.over.wait(0.02):
                return
        if not kept:
            run.add("batches without ids and without an answer")
            continue
        with run.lock:
            run.acknowledged.update(ids)
        run.add("events", len(ids))
        if run.totals["events"] >= run.goals["events"]:
            run.over.wait(1)


def event(id: str, now: datetime, n: int, with_id: bool = True, site: str = "") -> dict[str, str]:
    return {
        "site_id": site or f"site-{n % 17}",
        "event_type": "page_view",
        "path": f"/{id}",
        "timestamp": (now - timedelta(days=n % DATES)).isoformat(),
    } | ({"event_id": id} if with_id else {})


def keep_old(run: Run) -> None:
    """Events of dates that are past their retention: the next look moves them out."""
    now = datetime.now(UTC)
    count = 0
    while not run.over.is_set():
        ids = [f"old-{count}-{n}" for n in range(50)]
        events = [
            event(id, now - timedelta(days=40 + n % 5), 0, site=OLD) for n, id in enumerate(ids)
        ]
        if acknowledged(run, b"\n".join(map(orjson.dumps, events))):
            count += 1
            with run.lock:
                run.old.update(ids)
            run.add("events past retention", len(ids))
        run.over.wait(random_s(run, 3.0))


def keep_erasing(run: Run) -> None:
    """A person comes, is erased, and nothing of them is found from then on."""
    now = datetime.now(UTC)
    count = 0
    while not run.over.is_set():
        user = f"eve-{count}"
        events = [event(f"{user}-{n}", now, n, site=ERASED) | {"user_id": user} for n in range(20)]
        if acknowledged(run, b"\n".join(map(orjson.dumps, events))) and erase(run, user):
            with run.lock:
                run.erased.add(user)
            run.add("persons erased")
            count += 1
        run.over.wait(random_s(run, 2.0))


def erase(run: Run, user: str) -> bool:
    """False when it has to be called again: a reader, or ingest, was in its way."""
    command = ["erase", "--site", ERASED, "--user", user, "--wait-s", "30"]
    settings = {f"COMPACTOR_{name}": value for name, value in COMPACTOR.items()}
    done = subprocess.run(
        [sys.executable, "-m", "compactor", *command],
        cwd=PROJECT,
        env=clean_environment() | settings | {"DATA_DIR": str(run.folder)},
        capture_output=True,
        text=True,
    )
    if "Traceback" in done.stderr:
        run.problem(f"erase: {done.stderr}")
    if done.returncode:
        run.add("erasures to be repeated")
    return done.returncode == 0


def store_fixed_rows(run: Run) -> None:
    """In the lake before anything is killed or read: every query has to count all of them."""
    now = datetime.now(UTC)
    ids = [f"fixed-{n}" for n in range(FIXED_ROWS)]
    body = b"\n".join(orjson.dumps(event(id, now, n, n % 2 > 0, FIXED)) for n, id in enumerate(ids))
    stage = Stage("ingest", run.folder)
    run.port = stage.port
    wait_for(stage.answers, "ingest", 120)
    assert acknowledged(run, body)
    stage.stop()
    run.acknowledged.update(ids)
    compact_once(run.folder)


def acknowledged(run: Run, body: bytes) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=10)
    try:
        connection.request("POST", "/events", body)
        return connection.getresponse().status == 202
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def keep_ingest(run: Run) -> None:
    while not run.over.is_set():
        stage = Stage("ingest", run.folder, segment_age_s_max=0.3, workers=1)
        run.port = stage.port
        wait_for(lambda: stage.answers() or run.over.is_set(), "ingest", 120)  # noqa: B023
        if not run.over.wait(random_s(run, 2.0)):
            stage.kill()
            run.add("kills")
    stage.stop()


def keep_compactor(run: Run) -> None:
    """Two of three under strace, to die in the middle of a call."""
    settings = {f"COMPACTOR_{name}": value for name, value in COMPACTOR.items()}
    environment = clean_environment() | settings | {"DATA_DIR": str(run.folder)}
    count = 0
    while not run.over.is_set():
        count += 1
        with (run.folder / "compactor.log").open("ab") as log:
            process = subprocess.Popen(
                [*(traced(run) if count % 3 else []), sys.executable, "-m", "compactor"],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        died = await_death(run, process, random_s(run, 6.0 if count % 3 else 2.0))
        if not run.over.is_set():
            run.add("kills in a call" if died else "kills at random")
            run.add("kills")
        if not died:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def keep_report(run: Run) -> None:
    """Asked for its ledger all the while, and killed like the others."""
    while not run.over.is_set():
        stage = Stage("report", run.folder)
        wait_for(lambda: stage.answers() or run.over.is_set(), "report", 120)  # noqa: B023
        until = time.monotonic() + random_s(run, 4.0)
        with httpx2.Client(base_url=stage.url, timeout=60) as http:
            while time.monotonic() < until and not run.over.is_set():
                audit(run, http)
        stage.kill()
        run.add("kills of report")
        run.add("kills")


def audit(run: Run, http: httpx2.Client) -> None:
    with run.lock:
        least = len(run.acknowledged)
    answer = http.get("/ledger")
    run.add("ledgers")
    if answer.status_code != 200:
        run.problem(f"report: {answer.status_code} {answer.text}")
        return
    told = answer.json()
    if not told["balanced"] or told["lake"] + told["spool"] < least:
        run.problem(f"report: {told} after {least} events")


def traced(run: Run) -> list[str]:
    calls, when = run.random.choice(CALLS), run.random.randint(1, 12)
    inject = f"inject={calls}:signal=KILL:when={when}"
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]


def await_death(run: Run, process: "subprocess.Popen[bytes]", patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and not run.over.is_set():
        if process.poll() is not None:
            return True
        time.sleep(0.01)
    return process.poll() is not None


def random_s(run: Run, mean: float) -> float:
    return 0.3 + run.random.random() * 2 * (mean - 0.3)


class Reader:
    """One long-lived `duckdb` command, asked again and again."""

    def __init__(self, run: Run, database: Path | None, source: str, shares_lock: bool) -> None:
        command = [str(Path(sys.executable).parent / "duckdb"), "-csv", "-noheader"]
        if database:
            command += ["-readonly", str(database)]
        self._run = run
        self._source = source
        self._shares_lock = shares_lock
        self._last = 0
        self._asked = 0
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read(self) -> None:
        while not self._run.over.is_set():
            self._asked += 1
            self._ask(distinct=self._asked % 50 == 0)
            self._run.over.wait(random_s(self._run, 0.33) - 0.3)  # or no exchange ever had its turn
        self._process.kill()
        self._process.communicate()

    def _ask(self, distinct: bool) -> None:
        twice = "count(*) - count(DISTINCT path)" if distinct else "0"
        fixed = f"count(*) FILTER (site_id = '{FIXED}')"
        ordinary = f"count(*) FILTER (site_id NOT IN ('{OLD}', '{ERASED}'))"
        with self._run.lock:
            gone = ", ".join(f"'{user}'" for user in self._run.erased) or "''"
        erased = f"count(*) FILTER (user_id IN ({gone}))"
        sql = f"SELECT {ordinary}, {fixed}, {twice}, {erased} FROM {self._source};"
        with self._lock() if self._shares_lock else nullcontext():
            answer = self._answer(sql)
        self._run.add("queries" if self._shares_lock else "queries without the lock")
        if not answer[0].replace(",", "").isdigit():
            text = " ".join(answer)
            met = "No such file" in text and ".parquet" in text
            self._lacks(f"a reader: {text}", met)
            return
        count, fixed_rows, duplicates, erased = map(int, answer[0].split(","))
        if fixed_rows < FIXED_ROWS:
            self._lacks(f"a reader: {fixed_rows} of {FIXED_ROWS} rows that were there before", True)
            return
        if count < self._last:
            self._lacks(f"a reader: {count} events after {self._last}", True)
            return
        if duplicates or fixed_rows > FIXED_ROWS:
            self._run.problem(f"a reader: {duplicates} events twice")
        if erased:
            self._run.problem(f"a reader: {erased} rows of persons who were erased")
        self._last = count

    def _lacks(self, text: str, met_an_exchange: bool) -> None:
        if met_an_exchange and not self._shares_lock:
            self._run.add("queries without the lock that met an exchange")
        else:
            self._run.problem(text)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """As `flock --shared data/lake/lock` holds it."""
        with (self._run.folder / "lake" / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def _answer(self, sql: str) -> list[str]:
        """All lines up to a mark that the command prints after its answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(sql + "\n.print =\n")
        self._process.stdin.flush()
        lines = []
        while (text := self._process.stdout.readline()) != "=\n":
            lines.append(text.strip())
            if not text:
                self._run.over.set()
                return ["the duckdb command has died:", *lines]
        return lines or ["no answer"]


def check(run: Run) -> None:
    """After everything has ended: the lake against the journals."""
    compact_once(run.folder)
    verified = subprocess.run(
        [sys.executable, "-m", "compactor", "verify"],
        cwd=PROJECT,
        env=clean_environment() | {"DATA_DIR": str(run.folder)},
        capture_output=True,
        text=True,
    )
    print(verified.stdout.strip())
    if verified.returncode:
        run.problem("verify: " + verified.stderr)
    globs = [run.events_glob, f"{run.folder}/expired/**/*.parquet"]
    present = [
        glob for glob in globs if list(run.folder.glob(f"{glob[len(str(run.folder)) + 1 :]}"))
    ]
    sql = f"""
        SELECT path[2:], count(*) FROM read_parquet({present}, hive_partitioning = false)
        WHERE site_id <> '{ERASED}' GROUP BY ALL
    """
    with duckdb.connect() as database:
        stored = dict(database.sql(sql).fetchall())
    run.totals["lost"] = len((run.acknowledged | run.old) - stored.keys())
    run.totals["twice"] = sum(count > 1 for count in stored.values())
    moved = list((run.folder / "expired").rglob("*.parquet"))
    run.totals["parts that moved out"] = len(moved)
    run.totals["parts"] = len(list((run.folder / "lake" / "events").rglob("*.parquet")))


def go(run: Run, clients: int = 3, readers: int = 3) -> None:
    store_fixed_rows(run)
    threads = [threading.Thread(target=keep_ingest, args=(run,))]
    threads += [threading.Thread(target=keep_compactor, args=(run,))]
    threads += [threading.Thread(target=keep_report, args=(run,))]
    threads += [threading.Thread(target=keep_old, args=(run,))]
    threads += [threading.Thread(target=keep_erasing, args=(run,))]
    threads += [threading.Thread(target=send, args=(run, client)) for client in range(clients)]
    for thread in threads:
        thread.start()
    view = run.folder / "lake.duckdb"
    while not view.exists() and not run.over.wait(0.1):
        pass
    glob = f"read_parquet('{run.events_glob}')"
    sources: list[tuple[Path | None, str, bool]] = [(None, glob, True)] * (readers - 2)
    sources += [(view, "events", True), (None, glob, False)]
    more = [threading.Thread(target=Reader(run, *source).read) for source in sources]
    for thread in more:
        thread.start()
    started = time.monotonic()
    while not run.over.wait(10):
        print(dict(run.totals), file=sys.stderr, flush=True)
        if time.monotonic() - started > run.patience_s:
            run.problem(f"not done after {run.patience_s} s")
            run.over.set()
    for thread in [*threads, *more]:
        thread.join()
    check(run)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work, and to leave what is there")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    run = Run(folder, arguments.kills, arguments.events, arguments.queries, arguments.seed)
    started = time.monotonic()
    go(run)
    for name, total in sorted(run.totals.items()):
        print(f"{total:>10,} {name}")
    for problem in run.problems[:20]:
        print(problem)
    print(
        f"{len(run.problems)} problems, {time.monotonic() - started:.0f} s, seed {arguments.seed}"
    )
    failed = run.problems or run.totals["lost"] or run.totals["twice"]
    if not failed:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
