"""The segments of a footer, so that it stays short: many of one writer become one entry.

    key := segment_id | first_segment_id ".." last_segment_id      a run

A run counts what its segments count together. It stands for every segment of the writer from the
first to the last number: no other part of the date has rows of one of these. A segment may join a
run once it, and all that its writer opened before it, are gone from the spool for certain.
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping

from compactor.lake.format import RUN, Counts, Run
from ingest.segment import SegmentName


def fold(
    segments: Mapping[str, Counts], present: Iterable[SegmentName], elsewhere: Collection[str]
) -> dict[str, Counts]:
    """The same counts with as few entries as may be.

    `present`: what the spool has. `elsewhere`: the keys of the date's other parts.
    """
    floor: dict[str, float] = {}
    for name in present:
        floor[name.writer] = min(name.seq, floor.get(name.writer, math.inf))
    bounds: dict[str, list[int]] = {}
    for run in map(Run.of, elsewhere):
        bounds.setdefault(run.writer, []).append(run.first)
    for numbers in bounds.values():
        numbers.sort()

    def joins(run: Run, other: Run) -> bool:
        """May it become one with the next of its writer?"""
        between = bounds.get(run.writer, [])
        return (
            run.writer == other.writer
            and other.last < floor.get(run.writer, math.inf)
            and bisect_left(between, run.first) == bisect_left(between, other.last)
        )

    runs: list[tuple[Run, str, Counts]] = []
    for run, key in sorted((Run.of(key), key) for key in segments):
        counts = segments[key]
        if runs and joins(runs[-1][0], run):
            before, first_key, so_far = runs.pop()
            run = Run(run.writer, before.first, run.last)
            key = f"{first_key.partition(RUN)[0]}{RUN}{key.rpartition(RUN)[2]}"
            counts = so_far.plus(counts)
        runs.append((run, key, counts))
    runs.sort(key=lambda entry: (RUN not in entry[1], entry[1]))
    return {key: counts for _, key, counts in runs}
