"""Strangers that send what a server should not have to bear, while ordinary visitors come.

    python -m tests.chaos.adversary [--seconds 60] [--seed 1] [--attack NAME ...]

Ingest, compactor and report run with their defaults, but for shorter deadlines and fewer places.
Ordinary clients send events, one at a time and in batches, and ask for the figures of their site;
all the while attacks are drawn from the table ATTACKS and made, several at once. Exits 1 if

- an event that was acknowledged is not counted, or one is counted twice;
- an ordinary request is refused with anything but 503, or more often than REFUSED_SHARE_MAX;
- an ordinary request or a GET /health takes longer than its bound;
- a process has more memory at its peak than its bound, or ends, or logs a traceback.

Not shown: what a network of strangers does to a line, and attacks on what stands in front.
"""

import argparse
import asyncio
import gzip
import multiprocessing
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import orjson

from tests.http.messages import chunked, get, request, statuses
from tests.http.messages import run as run_in_uvloop
from tests.processes import Stage, wait_for

SITE = "ordinary"
VISITORS = 6
ATTACKERS = 4  # at once
HEALTH_S_MAX, ORDINARY_S_MAX = 3.0, 5.0  # on two cores that the attackers have, too
REFUSED_SHARE_MAX = 0.2
MIB = 1 << 20
PEAK_BYTES_MAX = {"ingest": 400 * MIB, "compactor": 900 * MIB, "report": 1024 * MIB}
PLACES = {"ingest": 200, "report": 100}
GZIP = b"Content-Encoding: gzip"
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")
STATS = get(b"/stats?site_id=" + SITE.encode())
SCRIPT = b"/dashboard/uPlot.iife.min.js"


class World:
    """The three processes, and what ordinary clients know of them."""

    def __init__(self, data_dir: Path) -> None:
        deadlines = {"headers_s_max": 2, "body_s_max": 5, "answer_s_max": 5}
        often = {"segment_age_s_max": 3}
        self.ingest = Stage(
            "ingest", data_dir, connections_max=PLACES["ingest"], **deadlines, **often
        )
        self.report = Stage("report", data_dir, connections_max=PLACES["report"], **deadlines)
        self.compactor = Stage("compactor", data_dir, pass_age_s_max=2)
        self.stages = [self.ingest, self.report, self.compactor]
        for stage in self.stages:
            stage.wait_until_up()
        self.is_over = False
        self.acknowledged = 0
        self.unsure = 0  # sent, and not answered
        self.longest: dict[str, float] = {}  # seconds
        self.answers: Counter[str] = Counter()
        self.problems: list[str] = []

    async def ask(self, stage: Stage, message: bytes, name: str) -> tuple[int, bytes]:
        """One ordinary request on a connection of its own; status 0 if there was no answer."""
        started = time.perf_counter()
        status, body = 0, b""
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(30):
                status, body = await converse(stage.port, to(stage.name, message))
        took = time.perf_counter() - started
        self.longest[name] = max(self.longest.get(name, 0), took)
        self.answers[f"{name} {status or 'no answer'}"] += 1
        return status, body


async def converse(port: int, message: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        return statuses(head)[0], await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()


# Ordinary clients


async def visit(world: World, number: int) -> None:
    """Sends events until it is over, in turn one and ten at a time, each with an id of its own."""
    sent = 0
    while not world.is_over:
        for target, count in ((b"/event", 1), (b"/events", 10)):
            events = [event(f"{number}-{sent + n}") for n in range(count)]
            sent += count
            message = request(b"\n".join(events), target)
            status, _ = await world.ask(world.ingest, message, "event")
            if status == 202:
                world.acknowledged += count
            elif status == 0:
                world.unsure += count
            elif status != 503:
                world.problems.append(f"an ordinary event got {status}")
            await asyncio.sleep(0.02)


def event(event_id: str) -> bytes:
    return orjson.dumps(
        {"site_id": SITE, "event_type": "page_view", "path": "/", "event_id": event_id}
    )


async def read_figures(world: World) -> None:
    """Every figure is at least what was acknowledged before the question."""
    while not world.is_over:
        known = world.acknowledged
        status, body = await world.ask(world.report, STATS, "stats")
        if status == 200:
            views = orjson.loads(body)["total_views"]
            if views < known:
                world.problems.append(f"{views} views of {known} that were acknowledged")
        elif status not in (0, 503):
            world.problems.append(f"an ordinary question got {status}: {body!r}")
        await asyncio.sleep(0.2)


async def look_at_health(world: World, stage: Stage) -> None:
    while not world.is_over:
        await world.ask(stage, get(b"/health"), f"{stage.name} /health")
        await asyncio.sleep(0.1)


# Attacks. Each is given the stage that was drawn, and may leave its connections open for a while.


class Attacker:
    """In a process of its own, so that nobody ordinary waits for it but at the servers."""

    def __init__(self, ports: dict[str, int], seed: int) -> None:
        self.ports = ports
        self.random = random.Random(seed)
        self.attacks: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.problems: list[str] = []

    async def attack_in_turn(self, names: list[str], until: float) -> None:
        while time.monotonic() < until:
            name = self.random.choice(names)
            self.attacks[name] += 1
            await ATTACKS[name](self, self.random.choice(list(self.ports)))

    def expect(self, what: str, answers: bytes, expected: list[int]) -> None:
        """Beside others' attacks a connection may be ended to make room, or refused: 503."""
        found = statuses(answers)
        if found != expected[: len(found)] and found[-1:] != [503]:
            self.problems.append(f"{what} got {Counter(found)}")
        self.answers[f"{what}: {'whole' if found == expected else 'cut short'}"] += 1


async def send(
    attacker: Attacker,
    stage: str,
    message: bytes,
    reads_s: float = 0,
    receive_bytes: int = 0,
    half_close: bool = False,
) -> bytes:
    """What comes back in that time; nothing is read at all for 0 seconds, and for 2 it is open."""
    loop = asyncio.get_running_loop()
    received = b""
    with socket.socket() as client, suppress(OSError, TimeoutError):
        client.setblocking(False)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        async with asyncio.timeout(reads_s or 2):
            await loop.sock_connect(client, ("127.0.0.1", attacker.ports[stage]))
            await loop.sock_sendall(client, message)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            if not reads_s:
                await asyncio.sleep(2)
            while reads_s and (data := await loop.sock_recv(client, MIB)):
                received += data
    return received


async def crowd(
    attacker: Attacker, count: int, stage: str, message: bytes, reads_s: float = 0, **how: int
) -> None:
    each = (send(attacker, stage, message, reads_s, **how) for _ in range(count))
    await asyncio.gather(*each)


def to(stage: str, message: bytes) -> bytes:
    """Report answers to the names of its machine."""
    return message.replace(b"Host: x", b"Host: localhost") if stage == "report" else message


async def batches_of_many_elements(attacker: Attacker, stage: str) -> None:
    elements = b"[" + b"1," * 5_242_878 + b"1]"
    body = gzip.compress(elements, 1)
    await crowd(attacker, 2, "ingest", request(body, b"/events", headers=(GZIP,)), reads_s=10)


async def pipelined_floods(attacker: Attacker, stage: str) -> None:
    health = to(stage, get(b"/health"))
    await crowd(attacker, 30, stage, health * (250_000 // len(health)))


async def readers_that_read_nothing(attacker: Attacker, stage: str) -> None:
    target = SCRIPT if stage == "report" else b"/metrics"
    await crowd(attacker, PLACES[stage], stage, to(stage, get(target)) * 150, receive_bytes=4096)


async def gzip_of_empty_members(attacker: Attacker, stage: str) -> None:
    body = gzip.compress(b"", mtime=0) * (4 * MIB // 20)
    await crowd(attacker, 2, "ingest", request(body, b"/events", headers=(GZIP,)), reads_s=10)
    await crowd(attacker, 2, "ingest", chunked(body * 4, (GZIP,), target=b"/events"), reads_s=10)


async def half_bodies(attacker: Attacker, stage: str) -> None:
    await crowd(attacker, PLACES[stage] + 20, stage, request(target=b"/events")[:-1])


async def uploads_that_stall(attacker: Attacker, stage: str) -> None:
    await crowd(attacker, 8, "ingest", request(b" " * (10 * MIB - 1), b"/events")[:-1])


async def slow_heads(attacker: Attacker, stage: str) -> None:
    await crowd(attacker, PLACES[stage] + 20, stage, b"GET /health HTTP/1.1\r\nHost: loc")


async def upgrades(attacker: Attacker, stage: str) -> None:
    asks = to(stage, get(b"/health", *UPGRADE)) * 2_000
    answers = await send(attacker, stage, asks, 10, half_close=True)
    attacker.expect("2,000 upgrades", answers, [200] * 2_000)


async def half_closes(attacker: Attacker, stage: str) -> None:
    whole = to(stage, get(b"/health"))
    for half in (b"", b"GET /x HTTP/1.1\r\nHo", request()[:-5]):
        answers = await send(attacker, stage, whole * 3 + half, 10, half_close=True)
        attacker.expect("a half close", answers, [200] * 3 + [400] * bool(half))


async def malformed_requests(attacker: Attacker, stage: str) -> None:
    for message in (b"nonsense\r\n\r\n", request(headers=(b"Content-Length: 1",)), b"\x16\x03\x01"):
        answers = await send(attacker, stage, message, 10, half_close=True)
        attacker.expect("a malformed request", answers, [400])


async def questions_without_end(attacker: Attacker, stage: str) -> None:
    targets = [b"/ready", b"/", SCRIPT, b"/sites", b"/ledger"]
    await asyncio.gather(
        *(
            crowd(attacker, 8, "report", to("report", get(target)) * 20, reads_s=3)
            for target in targets
        )
    )


async def invented_sites(attacker: Attacker, stage: str) -> None:
    names = [f"invented-{attacker.random.randrange(1 << 40)}" for _ in range(200)]
    lines = [orjson.dumps({"site_id": name, "event_type": "page_view"}) for name in names]
    await send(attacker, "ingest", request(b"\n".join(lines), b"/events"), 5, half_close=True)
    asks = [to("report", get(b"/stats?site_id=" + name.encode())) for name in names]
    await send(attacker, "report", b"".join(asks), 10, half_close=True)


async def batches_of_many_dates(attacker: Attacker, stage: str) -> None:
    lines = b"\n".join(
        b'{"site_id":"dates","event_type":"page_view","timestamp":"%d-%02d-%02dT00:00:00Z"}'
        % (year, month, day)
        for year in range(1990, 2020)
        for month in range(1, 13)
        for day in range(1, 28)
    )
    body = gzip.compress(lines, 1)
    await send(attacker, "ingest", request(body, b"/events", headers=(GZIP,)), 10, half_close=True)


async def names_that_come_back(attacker: Attacker, stage: str) -> None:
    line = b'{"site_id":"a","event_type":"b","%s":1}' % (b"x" * 60_000)
    answers = await send(
        attacker, "ingest", request(b"\n".join([line] * 160), b"/events"), 10, half_close=True
    )
    if len(answers) > MIB:
        attacker.problems.append(f"{len(answers):,} bytes were answered to names of 60,000")


Attack = Callable[[Attacker, str], Awaitable[None]]
ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        batches_of_many_elements,
        pipelined_floods,
        readers_that_read_nothing,
        gzip_of_empty_members,
        half_bodies,
        uploads_that_stall,
        slow_heads,
        upgrades,
        half_closes,
        malformed_requests,
        questions_without_end,
        invented_sites,
        batches_of_many_dates,
        names_that_come_back,
    )
}


def attack(
    ports: dict[str, int], seed: int, seconds: float, names: list[str]
) -> tuple[Counter[str], Counter[str], list[str]]:
    """How often which, what was answered, and what was wrong with that."""
    attacker = Attacker(ports, seed)

    async def main() -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(attacker.attack_in_turn(names, until) for _ in range(ATTACKERS)))

    run_in_uvloop(main())
    return attacker.attacks, attacker.answers, attacker.problems


# The run


async def run(world: World, seed: int, seconds: float, names: list[str]) -> Counter[str]:
    """The attacks that were made."""
    ordinary = [
        *(visit(world, number) for number in range(VISITORS)),
        read_figures(world),
        look_at_health(world, world.ingest),
        look_at_health(world, world.report),
    ]
    ports = {stage.name: stage.port for stage in (world.ingest, world.report)}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        attacks = loop.run_in_executor(pool, attack, ports, seed, seconds, names)
        clients = asyncio.gather(*ordinary)
        made, answers, problems = await attacks
        world.is_over = True
        await clients
    world.answers += answers
    world.problems += problems
    return made


def judge(world: World, attacks: Counter[str]) -> dict[str, object]:
    """After the attacks: the figures, the memory, the times, the logs."""
    peaks = {stage.name: peak_bytes(stage.process.pid) for stage in world.stages}
    for name, peak in peaks.items():
        if peak > PEAK_BYTES_MAX[name]:
            world.problems.append(f"{name} had {peak / MIB:.0f} MiB")
    for name, longest in world.longest.items():
        if longest > (HEALTH_S_MAX if "health" in name else ORDINARY_S_MAX):
            world.problems.append(f"{name} took {longest:.1f} s")
    refused = sum(
        n for name, n in world.answers.items() if name.startswith("event ") and "202" not in name
    )
    events = sum(n for name, n in world.answers.items() if name.startswith("event "))
    if refused > REFUSED_SHARE_MAX * events:
        world.problems.append(f"{refused} of {events} ordinary events were refused")
    views = wait_for(lambda: views_of(world), "report to answer", 30)
    if not world.acknowledged <= views <= world.acknowledged + world.unsure:
        world.problems.append(f"{views} views of {world.acknowledged}, {world.unsure} unsure")
    ledger = wait_for(lambda: ledger_of(world), "report to answer", 30)
    if not ledger["balanced"]:
        world.problems.append(f"the ledger is not balanced: {ledger}")
    for stage in world.stages:
        if (status := stage.process.poll()) is not None:
            world.problems.append(f"{stage.name} ended with {status}")
        elif (status := stage.stop()) != 0:
            world.problems.append(f"{stage.name} stopped with {status}")
        if "Traceback" in stage.log.read_text():
            world.problems.append(f"{stage.name} logged a traceback: {stage.log}")
    return {
        "attacks": dict(sorted(attacks.items())),
        "answers": dict(sorted(world.answers.items())),
        "longest, s": {name: round(seconds, 2) for name, seconds in world.longest.items()},
        "peak, MiB": {name: peak // MIB for name, peak in peaks.items()},
        "acknowledged": world.acknowledged,
        "views": views,
        "ledger": {name: ledger[name] for name in ("accepted", "lake", "spool", "duplicates")},
        "log lines": {
            stage.name: len(stage.log.read_text().splitlines()) for stage in world.stages
        },
    }


def views_of(world: World) -> int | None:
    status, body = run_in_uvloop(world.ask(world.report, STATS, "stats, in the end"))
    return int(orjson.loads(body)["total_views"]) if status == 200 else None


def ledger_of(world: World) -> dict[str, int] | None:
    status, body = run_in_uvloop(world.ask(world.report, get(b"/ledger"), "ledger, in the end"))
    return orjson.loads(body) if status == 200 else None


def peak_bytes(pid: int) -> int:
    """VmHWM: the most that a process ever had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) << 10


def adversary(
    data_dir: Path, seconds: float, seed: int, names: list[str]
) -> tuple[dict[str, object], list[str]]:
    """The totals, and what was wrong."""
    world = World(data_dir)
    try:
        attacks = run_in_uvloop(run(world, seed, seconds, names))
        return judge(world, attacks), world.problems
    finally:
        for stage in world.stages:
            if stage.process.poll() is None:
                stage.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--attack", choices=ATTACKS, action="append", help="only this one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footfall-adversary-") as folder:
        totals, problems = adversary(
            Path(folder), options.seconds, options.seed, options.attack or list(ATTACKS)
        )
    for name, value in totals.items():
        print(f"{name}: {value}")
    for problem, count in Counter(problems).items():
        print(f"WRONG, {count} times: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
