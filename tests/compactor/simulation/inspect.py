"""What a data folder holds, taken apart without any code of the compactor's passes."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from compactor.lake.format import FOOTER_KEY, Footer
from tests.compactor.simulation.life import Expectation
from tests.compactor.simulation.model import State

MARKER = re.compile(rb"/n\d+\.")


@dataclass
class Findings:
    """Where each line is, by its marker; and what is wrong whatever was expected."""

    places: dict[str, list[str]] = field(default_factory=dict)
    lines_of: Counter[str] = field(default_factory=Counter)  # that footers tell, by segment id
    parts: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def found(self, markers: list[str], place: str) -> None:
        for marker in markers:
            self.places.setdefault(marker, []).append(place)


def inspect(state: State) -> Findings:
    findings = Findings()
    named: set[tuple[str, str]] = set()
    keys: Counter[tuple[str, ...]] = Counter()
    for path, content in state.items():
        if content is None:
            if path.startswith("lake/staging/"):
                findings.problems.append(f"left behind: {path}")
        elif path.endswith("-tail.jsonl"):
            pass
        elif path.startswith("quarantine/") or "/quarantine/" in path:
            findings.found(markers_in(decompressed(content)), "quarantine")
        elif path.startswith(("lake/events/", "expired/")):
            _take_part(findings, path, content, named, keys)
        elif path.startswith("spool/"):
            findings.found(markers_in(content), path)
        elif path.endswith(".staged"):
            findings.problems.append(f"left behind: {path}")
    findings.problems += [f"{key} is stored twice" for key, count in keys.items() if count > 1]
    return findings


def _take_part(
    findings: Findings,
    path: str,
    content: bytes,
    named: set[tuple[str, str]],
    keys: Counter[tuple[str, ...]],
) -> None:
    top, *_, folder, name = path.split("/")
    try:
        markers, event_ids, footer = read_part(content)
    except (pa.ArrowException, OSError, KeyError) as error:
        findings.problems.append(f"{path}: {error}")
        return
    findings.parts[name] = content
    findings.found(markers, top)
    if top == "lake":  # what has been moved out is not known any more
        keys.update((folder, *key) for key in event_ids)
    if len(markers) != footer.rows:
        findings.problems.append(f"{path}: its footer says {footer.rows} rows of {len(markers)}")
    for id, counts in footer.segments.items():
        findings.lines_of[id] += counts.lines
        if (folder, id) in named:
            findings.problems.append(f"{folder}: two parts name {id}")
        named.add((folder, id))


@lru_cache(10_000)
def read_part(content: bytes) -> tuple[list[str], list[tuple[str, str]], Footer]:
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    rows = file.read(["site_id", "event_id", "path"]).to_pylist()
    keys = [(row["site_id"], row["event_id"]) for row in rows if row["event_id"]]
    footer = msgspec.json.decode(file.metadata.metadata[FOOTER_KEY], type=Footer)
    return [row["path"] for row in rows], keys, footer


def decompressed(content: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        return stream.read()


def markers_in(content: bytes) -> list[str]:
    return [marker.decode() for marker in MARKER.findall(content)]


def compare(findings: Findings, expects: Expectation, power_cut: bool) -> list[str]:
    """What a recovered data folder has that it should not have, and the other way round."""
    problems = list(findings.problems)
    surely = expects.synced if power_cut else expects.lines.keys()
    segments: dict[str, list[str]] = {}
    for marker, segment in expects.lines.items():
        segments.setdefault(segment, []).append(marker)
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
    for group, told in counted_together(segments.keys(), findings.lines_of):
        markers = [marker for segment in group for marker in segments[segment]]
        if surely >= set(markers) and told != len(markers):
            problems.append(f"{told} of {len(markers)} lines of {', '.join(group)}")
    problems += [
        f"{name} has other bytes than before"
        for name, content in findings.parts.items()
        if expects.parts.get(name, content) != content
    ]
    return problems


def counted_together(
    segments: Iterable[str], lines_of: Mapping[str, int]
) -> Iterator[tuple[list[str], int]]:
    """Segments of which some footer tells a sum, and the sum of what footers tell of them."""
    groups = {segment: ([segment], [segment]) for segment in segments}
    for key in lines_of:
        first, _, last = key.partition("..")
        inside = [
            s for s in groups if s[14:22] == first[14:22] and first[23:] <= s[23:] <= last[23:]
        ]
        if not inside:
            continue
        joined: tuple[list[str], list[str]] = ([], [key])
        for group in {id(groups[segment]): groups[segment] for segment in inside}.values():
            joined[0].extend(group[0])
            joined[1].extend(group[1])
        groups |= dict.fromkeys(joined[0], joined)
    for members, keys in {id(group): group for group in groups.values()}.values():
        yield members, sum(lines_of[key] for key in set(keys))


def visible(state: State, expects: Expectation) -> list[str]:
    """What a reader could see at this moment that is not a whole part."""
    return [
        f"{path} is not what was published"
        for path, content in state.items()
        if content is not None
        and path.startswith("lake/events/")
        and expects.parts.get(path.rpartition("/")[2]) != content
    ]
