"""A part of an older format becomes a recent one of today's, with the same rows and the same id."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from compactor.lake.columns import SCHEMA
from compactor.lake.footer import Footer
from compactor.lake.format import Folder, Part
from compactor.lake.reader import Merged, sample_of
from compactor.lake.store import Fill
from compactor.lake.writer import write_part


def name_of_today(part: Part) -> Part:
    """Whoever named the older one by its number has named this one, too."""
    return Part(part.id, part.first, part.last, True, Folder.of_year(part.first.year))


def renewed(
    part: Part, source: Path, footer: Footer, check: Callable[[], None] = lambda: None
) -> tuple[Part, Fill]:
    """`check` is called between row groups, and may raise. To fill it raises UnreadablePart."""

    def fill(file: BinaryIO) -> None:
        with Merged([source]) as merged:
            groups = (rows for _, rows in merged.groups(SCHEMA.names, check))
            write_part(file, groups, sample_of(source), footer)

    return name_of_today(part), fill
