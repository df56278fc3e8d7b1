"""Parts as SQL sources. Those of an older format lack the columns that came later: null there."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from compactor.lake.columns import FORMAT_VERSION, SCHEMA, names_in, null
from report.snapshot.listed_part import ListedPart, Source


def files(
    name: str, parts: Sequence[ListedPart], source: Source, parameters: dict[str, Any]
) -> Iterator[str]:
    """A source for each format among the parts; their paths become parameters with that name."""
    for version, group in of_each_format(parts):
        name_of_group = name if version == FORMAT_VERSION else f"{name}_v{version}"
        parameters[name_of_group] = [str(source(each.part)) for each in group]
        rows = f"read_parquet(${name_of_group}, hive_partitioning = false)"
        absent = [null(column) for column in SCHEMA.names if column not in names_in(version)]
        yield f"(SELECT {', '.join(['*', *absent])} FROM {rows})" if absent else rows


def of_each_format(parts: Sequence[ListedPart]) -> Iterator[tuple[int, list[ListedPart]]]:
    for version, group in groupby(sorted(parts, key=_version), key=_version):
        yield version, list(group)


def _version(part: ListedPart) -> int:
    return part.version
