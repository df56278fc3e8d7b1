"""What a sites.toml costs an event at receipt.

    python -m tests.bench.sites [--seconds 2] [--rounds 5] [--before FOLDER]

    before    the code in another folder, as it was
    absent    this code, without FOOTFALL_SITES
    file      this code, with a sites.toml of 10,000 sites; how long that takes to read is told

    single    POST /event, 64 connections kept alive
    daily     POST /event?visitor=daily with what the tracker sends
    batch     POST /events of 500 events, 4 connections

Microseconds of CPU an event, user and system, as the kernel charged them to the server: the medians
of the rounds, in which all servers take turns. The rate of an address is looked up, and is never
reached: the load comes from the loopback. Not shown: the network, TLS, and a key (a SHA-256, 1 µs).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from ingest.sites.document import read
from tests.bench.ingest import BATCH_EVENTS, SERVER_CORE, Bench, answers
from tests.processes import PROJECT, clean_environment, free_port, wait_for

SITES = 10_000
KINDS = {
    "single": ("/event", 64, 1),
    "daily": ("/event?visitor=daily", 64, 1),
    "batch": ("/events", 4, BATCH_EVENTS),
}


def sites_toml() -> str:
    of_the_load = "".join(f"[site-{n}]\nhosts = ['www.example.com', '*']\n" for n in range(50))
    others = (f"[other-{n}]\nhosts = ['www.other-{n}.example']\n" for n in range(SITES - 50))
    return of_the_load + "".join(others)


def start(code: Path, folder: Path, port: int, **settings: str) -> subprocess.Popen[bytes]:
    folder.mkdir()
    environment = clean_environment() | {"DATA_DIR": str(folder), "INGEST_PORT": str(port)}
    return subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, sys.executable, "-m", "ingest"],
        cwd=code,
        env=environment | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path, help="the folder of the code as it was")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        file = folder / "sites.toml"
        file.write_text(sites_toml())
        began = time.perf_counter()
        read(str(file))
        print(f"{SITES:,} sites, {file.stat().st_size:,} bytes: ", end="")
        print(f"read in {time.perf_counter() - began:.2f} s")
        cases: dict[str, tuple[Path, dict[str, str]]] = {
            "absent": (PROJECT, {}),
            "file": (PROJECT, {"FOOTFALL_SITES": str(file)}),
        }
        if options.before:
            cases = {"before": (options.before, {})} | cases
        servers = {}
        for case, (code, settings) in cases.items():
            port = free_port()
            process = start(code, folder / case, port, **settings)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_for(lambda port=port: answers(port), case)
            servers[case] = process.pid, port
        bench = Bench(folder, options.seconds)
        cpu: dict[tuple[str, str], list[float]] = {}
        for _ in range(options.rounds):
            for kind, (target, connections, batch) in KINDS.items():
                for case, (pid, port) in servers.items():
                    run = bench.run(kind, pid, port, target, connections, batch)
                    cpu.setdefault((kind, case), []).append(run.cpu_us)
    first = next(iter(cases))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; CPU µs an event, and ratios")
    for kind in KINDS:
        told = {case: median(cpu[kind, case]) for case in cases}
        figures = (f"{case} {us:6.2f} ({us / told[first]:.2f})" for case, us in told.items())
        print(f"{kind:8}", "   ".join(figures))


if __name__ == "__main__":
    main()
