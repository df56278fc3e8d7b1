"""Segments for benchmarks: generated traffic, or a real access log repeated, as ingest writes them.

Generated: 200 sites and 5,000 paths by Zipf's law, sessions of six events, a referrer on 60 % and
props on 10 %, times a few milliseconds apart. Everything follows from the seed.
"""

import gzip
import itertools
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import msgspec

from ingest.event import StoredEvent

SEGMENT_BYTES = 64 * 1024 * 1024
START = datetime(2026, 11, 20, 8, tzinfo=UTC)
REAL_LOG = Path(__file__).parent.parent / "data" / "elastic_apache" / "apache_logs.gz"
WORDS = (
    *("alpha", "beta", "pricing", "guide", "cloud", "mobile", "garden", "summer", "winter"),
    *("coat", "lamp", "recipe", "tokyo", "café"),
)
TYPES = ["page_view"] * 16 + ["click", "click", "scroll", "signup"]
_LOG_LINE = re.compile(
    r'(?P<ip>\S+) \S+ \S+ \[(?P<at>[^]]+)\] "\S+ (?P<path>\S+)[^"]*" \d+ \S+ '
    r'"(?P<ref>[^"]*)" "(?P<agent>[^"]*)"'
)


def write_segments(folder: Path, events: Iterator[StoredEvent]) -> list[Path]:
    """As ingest would close them, of 64 MiB."""
    folder.mkdir(parents=True)
    encode = msgspec.json.Encoder().encode
    paths: list[Path] = []
    pending: list[bytes] = []
    size = 0
    for event in events:
        line = encode(event) + b"\n"
        if size + len(line) > SEGMENT_BYTES:
            paths.append(_write(folder, len(paths), pending))
            pending, size = [], 0
        pending.append(line)
        size += len(line)
    paths.append(_write(folder, len(paths), pending))
    return paths


def _write(folder: Path, seq: int, lines: list[bytes]) -> Path:
    opened_ms = int(START.timestamp() * 1000) + seq
    path = folder / f"{opened_ms:013d}-be7cbe7c-{seq:06d}.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def generated(count: int, event_ids: bool = False, seed: int = 1) -> Iterator[StoredEvent]:
    draw = random.Random(seed)
    sites = [f"{draw.choice(WORDS)}-{draw.choice(WORDS)}{n}.example" for n in range(200)]
    paths = [f"/{draw.choice(WORDS)}/{draw.choice(WORDS)}/{n}" for n in range(5_000)]
    referrers = [f"https://{draw.choice(WORDS)}{n}.com/{draw.choice(WORDS)}" for n in range(1_500)]
    weights = {len(each): zipf(len(each)) for each in (sites, paths, referrers)}
    sessions: dict[str, list[str]] = {site: [] for site in sites}
    at = START
    for _ in range(count // 10_000 + 1):
        chosen = zip(
            *(
                draw.choices(each, cum_weights=weights[len(each)], k=10_000)
                for each in (sites, paths, referrers)
            ),
            strict=True,
        )
        for site, path, referrer in itertools.islice(chosen, min(10_000, count)):
            at += timedelta(microseconds=draw.expovariate(1 / 2_000))
            yield StoredEvent(
                site_id=site,
                event_type=draw.choice(TYPES),
                path=path,
                user_id=visitor(draw, sessions[site]),
                timestamp=at - timedelta(microseconds=draw.expovariate(1 / 40_000)),
                event_id=f"{draw.getrandbits(64):016x}" if event_ids else None,
                referrer=referrer if draw.random() < 0.6 else None,
                props={"plan": draw.choice(WORDS), "n": draw.randrange(50)}
                if draw.random() < 0.1
                else None,
                received_at=at + timedelta(microseconds=draw.randrange(200, 6_000)),
            )
        count -= 10_000


def zipf(count: int) -> list[float]:
    return list(itertools.accumulate(1 / (n + 1) for n in range(count)))


def visitor(draw: random.Random, live: list[str]) -> str:
    if len(live) < 3 or draw.random() < 1 / 6:
        live.append(f"{draw.getrandbits(64):016x}")
        if len(live) > 500:
            live.pop(draw.randrange(len(live)))
        return live[-1]
    return draw.choice(live)


def real(count: int) -> Iterator[StoredEvent]:
    """The log's requests of four days, each of them several times, a second apart."""
    with gzip.open(REAL_LOG, "rt", errors="replace") as lines:
        events = [event for line in lines if (event := _event(line))]
    copies = -(-count // len(events))
    for n in range(count):
        event, shift = events[n // copies], timedelta(seconds=n % copies)
        received_at = event.received_at + shift
        yield msgspec.structs.replace(
            event, timestamp=event.timestamp + shift, received_at=received_at
        )


def _event(line: str) -> StoredEvent | None:
    match = _LOG_LINE.match(line)
    if not match:
        return None
    at = datetime.strptime(match["at"], "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
    who = blake2b((match["ip"] + match["agent"]).encode(), digest_size=8).hexdigest()
    return StoredEvent(
        site_id="semicomplete.com",
        event_type="page_view",
        path=match["path"][:2_048],
        user_id=who,
        timestamp=at,
        referrer=None if match["ref"] == "-" else match["ref"][:2_048],
        received_at=at,
    )
