"""Some lines of a segment by their numbers: its file is looked through once, whoever asks."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

PIECE_BYTES = 256 * 1024


class SegmentLines:
    """Of a closed segment. In memory are the ends of its lines, eight bytes each, once asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Lines by number, from 1, without their newlines."""
        if not numbers:
            return
        with self._path.open("rb") as file:
            for number in numbers:
                start = int(self._ends[number - 2]) + 1 if number > 1 else 0
                file.seek(start)
                yield number, file.read(self._end(number) - start)

    def _end(self, number: int) -> int:
        if number <= len(self._ends):
            return int(self._ends[number - 1])
        return self._path.stat().st_size  # the last line, which lacks its newline

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """Where each newline is."""
        ends = []
        at = 0
        with self._path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE_BYTES):
                ends.append(np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n")) + at)
                at += len(piece)
        return np.concatenate([np.empty(0, np.int64), *ends])
