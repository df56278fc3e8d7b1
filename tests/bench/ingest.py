"""What an acknowledged event costs: throughput, CPU and latency of the ingest process.

    python -m tests.bench.ingest [--seconds 3] [--rounds 5] [--json]

    single    POST /event, 64 connections kept alive, ack=written
    half      the same with pauses, at about half of that rate: a server that is not full
    written   POST /event, 256 connections
    synced    POST /event?ack=synced, 256 connections
    daily     like single, POST /event?visitor=daily with what the tracker sends: all that is
              derived of a request
    agents    the same, of 5,000 different user agents in turn
    batch     POST /events of 500 events, 4 connections
    route     like single, through the plain Starlette route on uvicorn's own protocol
    nginx     like single, a fixed 202 that throws the body away; when nginx is installed

The server has one core to itself and the load another. CPU is what the kernel charged to the
server, user and system, so it holds on a busy machine; throughput and latency need a quiet one.
All servers are up all the while and take turns; the figures are the medians of the rounds.
Not shown: the network, TLS, and connections that come and go.
"""

import argparse
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from statistics import median

import httpx2
import orjson

from tests.bench.load import python_load
from tests.processes import PROJECT, clean_environment, free_port, wait_for

SERVER_CORE, LOAD_CORE = "0", "1"
BATCH_EVENTS = 500
AGENTS = 5_000
BODIES = 997  # different ones, in turn
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_buffer_size 128k;
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        location / {{ return 202 '{{"status":"accepted"}}'; }}
    }}
}}
"""

LUA = r"""
local lines, bodies, n = {{}}, {{}}, 0
for line in io.lines("{bodies}") do lines[#lines + 1] = (line:gsub("\x1e", "\n")) end
for i = 1, math.max(#lines, {agents}) do
    bodies[i] = wrk.format("POST", "{target}", {{
        ["Host"] = "127.0.0.1", ["Content-Type"] = "application/json",
        ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            .. "Chrome/" .. 100 + i % {agents} .. ".0.0.0 Safari/537.36",
        ["Accept-Language"] = "de-AT,de;q=0.9,en;q=0.8",
    }}, lines[i % #lines + 1])
end
request = function() n = n % #bodies + 1; return bodies[n] end
local pause_ms = {pause_ms}
if pause_ms > 0 then delay = function() return math.floor(2 * pause_ms * math.random()) end end
done = function(summary, latency, requests)
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests,
        summary.errors.status + summary.errors.read + summary.errors.timeout, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


@dataclass
class Figures:
    """Of one run. Rates and CPU are per event, latencies per request."""

    name: str
    events_per_s: float
    user_us: float
    system_us: float
    p50_ms: float
    p99_ms: float
    p999_ms: float

    @property
    def cpu_us(self) -> float:
        return self.user_us + self.system_us


def event(rng: random.Random) -> bytes:
    return orjson.dumps(
        {
            "site_id": f"site-{rng.randrange(50)}",
            "event_type": "page_view",
            "path": f"/articles/{rng.randrange(5000)}",
            "user_id": f"u{rng.randrange(100_000)}",
        }
    )


def tracked(rng: random.Random) -> bytes:
    """As the tracker sends it."""
    fields = orjson.loads(event(rng)) | {
        "hostname": "www.example.com",
        "time_zone": rng.choice(["Europe/Berlin", "America/New_York", "Asia/Calcutta"]),
        "event_id": f"1795600000000{rng.random()}",
    }
    del fields["user_id"]
    return orjson.dumps(fields)


def bodies(batch: int, is_tracked: bool = False) -> list[bytes]:
    """For wrk a newline within a body is written as a record separator."""
    rng = random.Random(7)
    if is_tracked:
        return [tracked(rng) for _ in range(BODIES)]
    if batch == 1:
        return [event(rng) for _ in range(BODIES)]
    return [b"\x1e".join(event(rng) for _ in range(batch)) for _ in range(20)]


# Servers


@contextmanager
def server(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command],
        cwd=PROJECT,
        env=clean_environment() | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def footfall(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    settings = {"DATA_DIR": str(folder), "INGEST_PORT": str(port)}
    return [sys.executable, "-m", "ingest"], settings


def plain_route(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    options = ["--factory", "--http", "httptools", "--loop", "uvloop", "--no-access-log"]
    command = [sys.executable, "-m", "uvicorn", "ingest.app:create_app", "--port", str(port)]
    return [*command, *options], {"DATA_DIR": str(folder)}


def nginx(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port))
    return ["nginx", "-c", str(configuration)], {}


def answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health").status_code in (200, 202)
    except httpx2.TransportError:
        return False


def cpu_us(pid: int) -> tuple[float, float]:
    """User and system time of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    user = system = 0
    for each in (pid, *children):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        user, system = user + int(fields[11]), system + int(fields[12])
    return user * TICK_US, system * TICK_US


# Load


class Bench:
    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.wrk = shutil.which("wrk")

    def run(
        self,
        name: str,
        pid: int,
        port: int,
        target: str,
        connections: int,
        batch: int = 1,
        events_per_s: float = 0,
        agents: int = 1,
    ) -> Figures:
        """As fast as it goes, or at about that rate."""
        before = cpu_us(pid)
        bodies = self._bodies(batch, "visitor" in target)
        if self.wrk:
            measured = self._wrk(port, target, connections, bodies, events_per_s, agents)
        else:
            measured = python_load(port, target, connections, self.seconds, bodies, events_per_s)
        requests, errors, spent_us, *latencies = measured
        after = cpu_us(pid)
        assert not errors, f"{name}: {errors:.0f} requests failed"
        events = requests * batch
        user, system = ((b - a) / events for a, b in zip(before, after, strict=True))
        return Figures(name, events / spent_us * 1e6, user, system, *(us / 1e3 for us in latencies))

    def _bodies(self, batch: int, is_tracked: bool) -> Path:
        path = self.folder / f"bodies-{batch}"
        path.write_bytes(b"\n".join(bodies(batch, is_tracked)) + b"\n")
        return path

    def _wrk(
        self,
        port: int,
        target: str,
        connections: int,
        bodies: Path,
        events_per_s: float,
        agents: int,
    ) -> list[float]:
        # wrk can pause between an answer and the next request: whole milliseconds, drawn by chance
        pause_ms = connections / events_per_s * 1000 + 0.5 if events_per_s else 0
        script = self.folder / "load.lua"
        script.write_text(
            LUA.format(bodies=bodies, target=target, pause_ms=pause_ms, agents=agents)
        )
        command = [
            "taskset",
            "-c",
            LOAD_CORE,
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{self.seconds:.0f}s",
        ]
        url = f"http://127.0.0.1:{port}"
        done = subprocess.run(
            [*command, "-s", str(script), url], capture_output=True, text=True, check=True
        )
        found = re.search(r"RESULT (.*)", done.stdout)
        assert found, done.stdout + done.stderr
        return [float(number) for number in found[1].split()]


Kind = tuple[str, str, str, int, int]  # name, server, target, connections, events in a request

KINDS: list[Kind] = [
    ("single", "footfall", "/event", 64, 1),
    ("half", "footfall", "/event", 64, 1),
    ("written", "footfall", "/event", 256, 1),
    ("synced", "footfall", "/event?ack=synced", 256, 1),
    ("daily", "footfall", "/event?visitor=daily", 64, 1),
    ("agents", "footfall", "/event?visitor=daily", 64, 1),
    ("batch", "footfall", "/events", 4, BATCH_EVENTS),
    ("route", "route", "/event", 64, 1),
    ("nginx", "nginx", "/event", 64, 1),
]


def measure(seconds: float, rounds: int) -> list[Figures]:
    """Each kind in turn, again and again, so that a slow minute of the machine meets all."""
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as name, ExitStack() as stack:
        bench = Bench(Path(name), seconds)
        servers = {}
        for title, make in (("footfall", footfall), ("route", plain_route), ("nginx", nginx)):
            if title == "nginx" and not shutil.which("nginx"):
                continue
            folder, port = Path(name) / title, free_port()
            folder.mkdir()
            command, environment = make(folder, port)
            process = stack.enter_context(server(*command, **environment))
            wait_for(lambda port=port: answers(port), title)
            servers[title] = process.pid, port
        runs: dict[str, list[Figures]] = {kind[0]: [] for kind in KINDS if kind[1] in servers}
        for _ in range(rounds):
            for kind, title, target, connections, batch in KINDS:
                if title in servers:
                    rate = runs["single"][-1].events_per_s / 2 if kind == "half" else 0
                    agents = AGENTS if kind == "agents" else 1
                    run = bench.run(kind, *servers[title], target, connections, batch, rate, agents)
                    runs[kind].append(run)
        return [medians(each) for each in runs.values()]


def medians(runs: list[Figures]) -> Figures:
    values = [[getattr(run, field.name) for run in runs] for field in fields(Figures)[1:]]
    return Figures(runs[0].name, *map(median, values))


def ratios(results: list[Figures]) -> dict[str, float]:
    by_name = {figures.name: figures for figures in results}
    found = {
        "CPU of route / single": by_name["route"].cpu_us / by_name["single"].cpu_us,
        "CPU of daily / single": by_name["daily"].cpu_us / by_name["single"].cpu_us,
        "CPU of agents / single": by_name["agents"].cpu_us / by_name["single"].cpu_us,
        "throughput of synced / written": by_name["synced"].events_per_s
        / by_name["written"].events_per_s,
    }
    if "nginx" in by_name:
        found["CPU of single / nginx"] = by_name["single"].cpu_us / by_name["nginx"].cpu_us
    return found


def about() -> dict[str, str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True
    )
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "python": platform.python_version(),
        "uvicorn": version("uvicorn"),
        "uvloop": version("uvloop"),
        "load": "wrk" if shutil.which("wrk") else "Python, for want of wrk: slower than the server",
        "commit": commit.stdout.strip() or "not a repository",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = measure(options.seconds, options.rounds)
    if options.json:
        figures = [asdict(figures) for figures in results]
        print(
            orjson.dumps({**about(), "runs": figures, "ratios": ratios(results)}).decode(),
        )
        return
    print(", ".join(f"{name}: {value}" for name, value in about().items()))
    print(f"{'':8} {'events/s':>10} {'user µs':>8} {'sys µs':>7} {'CPU µs':>7} ", end="")
    print(f"{'p50 ms':>7} {'p99 ms':>7} {'p99.9':>7}")
    for run in results:
        print(
            f"{run.name:8} {run.events_per_s:10,.0f} {run.user_us:8.2f} {run.system_us:7.2f} "
            f"{run.cpu_us:7.2f} {run.p50_ms:7.2f} {run.p99_ms:7.2f} {run.p999_ms:7.2f}"
        )
    for name, value in ratios(results).items():
        print(f"{value:7.2f}  {name}")


if __name__ == "__main__":
    main()
