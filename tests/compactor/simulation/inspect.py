"""What a data folder holds, taken apart without any code of the compactor's passes."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from compactor.lake.footer import FOOTER_KEY, Footer
from tests.compactor.simulation.life import Expectation
from tests.compactor.simulation.model import State
from tests.compactor.visits_by_hand import COLUMNS, by_hand

MARKER = re.compile(rb"/n\d+\.")


@dataclass
class Findings:
    """Where each line is, by its marker; and what is wrong whatever was expected."""

    places: dict[str, list[str]] = field(default_factory=dict)
    lines: int = 0  # that footers tell
    parts: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def found(self, markers: list[str], place: str) -> None:
        for marker in markers:
            self.places.setdefault(marker, []).append(place)


def inspect(state: State) -> Findings:
    findings = Findings()
    keys: Counter[tuple[object, ...]] = Counter()
    for path, content in state.items():
        if content is None:
            if path.startswith("lake/staging/"):
                findings.problems.append(f"left behind: {path}")
        elif path.endswith("-tail.jsonl"):
            pass
        elif path.startswith("quarantine/") or "/quarantine/" in path:
            findings.found(markers_in(decompressed(content)), "quarantine")
        elif path.startswith(("lake/events/", "expired/")):
            _take_part(findings, path, content, keys)
        elif path.startswith("spool/"):
            findings.found(markers_in(content), path)
        elif path.endswith(".staged"):
            findings.problems.append(f"left behind: {path}")
    findings.problems += [f"{key} is stored twice" for key, count in keys.items() if count > 1]
    return findings


def _take_part(
    findings: Findings, path: str, content: bytes, keys: Counter[tuple[object, ...]]
) -> None:
    top, *_, name = path.split("/")
    try:
        part = read_part(content)
    except (pa.ArrowException, OSError, KeyError) as error:
        findings.problems.append(f"{path}: {error}")
        return
    findings.parts[name] = content
    findings.found(part.markers, top)
    findings.lines += part.footer.total.lines
    if top == "lake":  # what has been moved out is not known any more
        keys.update(part.event_ids)
    findings.problems += [f"{path}: {problem}" for problem in part.problems]
    dates = name[:10], name[11:21]
    if not all(dates[0] <= str(day) <= dates[1] for day in part.dates):
        findings.problems.append(f"{path}: it has rows of {sorted(part.dates)}")
    if not name.endswith(".recent.parquet") and not part.has_its_visits:
        findings.problems.append(f"{path}: its visits are not those of its rows")


@dataclass(frozen=True)
class ReadPart:
    markers: list[str]
    event_ids: list[tuple[object, ...]]
    footer: Footer
    dates: set[date]
    problems: list[str]
    has_its_visits: bool


@lru_cache(10_000)
def read_part(content: bytes) -> ReadPart:
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    rows = file.read().to_pylist()
    footer = msgspec.json.decode(file.metadata.metadata[FOOTER_KEY], type=Footer)
    problems = []
    if [r["date"] for r in rows] != [r["timestamp"].date() for r in rows]:
        problems.append("a date is not its timestamp's")
    if rows != sorted(rows, key=lambda row: (row["site_id"], row["timestamp"])):
        problems.append("it is not sorted")
    dates = Counter(row["date"] for row in rows)
    told = {day: counts.rows for day, counts in footer.dates.items() if counts.rows}
    if dates != told:
        problems.append(f"it has the rows {dict(dates)}, its footer says {told}")
    visits = [{name: row[name] for name in COLUMNS} for row in rows]
    return ReadPart(
        [row["path"] for row in rows],
        [(row["site_id"], row["date"], row["event_id"]) for row in rows if row["event_id"]],
        footer,
        set(dates),
        problems,
        visits == by_hand(rows),
    )


def decompressed(content: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        return stream.read()


def markers_in(content: bytes) -> list[str]:
    return [marker.decode() for marker in MARKER.findall(content)]


def compare(findings: Findings, expects: Expectation, power_cut: bool) -> list[str]:
    """What a recovered data folder has that it should not have, and the other way round."""
    problems = list(findings.problems)
    surely = expects.synced if power_cut else expects.lines.keys()
    for marker in expects.lines:
        places = findings.places.get(marker, [])
        may_be_gone = marker not in surely or (expects.erasing and marker in expects.erasable)
        if len(places) > 1 or (not places and not may_be_gone):
            problems.append(f"line {marker} is in {places}")
        if places and expects.erased and marker in expects.erasable:
            problems.append(f"line {marker} should be erased and is in {places}")
        if marker in expects.damaged and places != ["quarantine"] and marker in surely:
            problems.append(f"damaged line {marker} is in {places}")
        if any(place.startswith("spool") for place in places):
            problems.append(f"line {marker} was not compacted")
    if not len(surely) <= findings.lines <= len(expects.lines):
        problems.append(f"{findings.lines} lines are told of {len(surely)}")
    problems += [
        f"{name} has other bytes than before"
        for name, content in findings.parts.items()
        if expects.parts.get(name, content) != content
    ]
    return problems


def visible(state: State, expects: Expectation) -> list[str]:
    """What a reader could see at this moment that is not a whole part."""
    return [
        f"{path} is not what was published"
        for path, content in state.items()
        if content is not None
        and path.startswith("lake/events/")
        and expects.parts.get(path.rpartition("/")[2]) != content
    ]
