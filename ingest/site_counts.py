"""How often each site refused, in the cells of a worker's page: rows of [site, count by code…].

A site is known there by a hash of its name, so that a row is of one size and pages of all workers
add up. The names are those of sites.toml alone: what a stranger calls a site is no label. A site
that finds no free row is counted with those that have no name, in the first.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeAlias

from ingest.refusal import Refusal

ROWS_MAX = 1_000
COUNTED = (
    Refusal.UNKNOWN_SITE,
    Refusal.FOREIGN_HOST,
    Refusal.KEY_NEEDED,
    Refusal.UNKNOWN_KEY,
)
WIDTH = 1 + len(COUNTED)
CELLS = ROWS_MAX * WIDTH
NAMELESS = ""

Cells: TypeAlias = "memoryview[int]"  # int64
Counts = dict[tuple[str, Refusal], int]

_POSITION = {refusal: n for n, refusal in enumerate(COUNTED, start=1)}


class SiteCounts:
    """Those of one worker."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._rows = {NAMELESS: 0}  # where the row of each begins

    def add(self, site_id: str, refusal: Refusal, count: int = 1) -> None:
        row = self._rows.get(site_id)
        if row is None:
            row = self._new(site_id)
        self._cells[row + _POSITION[refusal]] += count

    def _new(self, site_id: str) -> int:
        row = len(self._rows) * WIDTH
        if row == CELLS:
            return 0
        self._rows[site_id] = row
        self._cells[row] = _hash(site_id)
        return row


def summed(pages: Iterable[Cells], names: Iterable[str]) -> Counts:
    """Over the pages of all workers. A site that is none of `names` is not named."""
    by_hash = {_hash(name): name for name in names}
    counts: Counts = {}
    for cells in pages:
        for row in range(0, CELLS, WIDTH):
            if row and not cells[row]:
                break
            name = by_hash.get(cells[row], NAMELESS)
            for refusal, position in _POSITION.items():
                count = cells[row + position]
                if count:
                    counts[name, refusal] = counts.get((name, refusal), 0) + count
    return counts


def _hash(site_id: str) -> int:
    return int.from_bytes(blake2b(site_id.encode(), digest_size=8).digest(), signed=True)
