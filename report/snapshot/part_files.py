"""Parts as SQL sources. Those of an older format lack the columns that came later: null there."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from compactor.lake.columns import DATE, FORMAT_VERSION, STORED, names_in, null
from report.snapshot.listed_part import ListedPart, Source
from report.terms.period import Dates

ROWS = "SELECT {columns} FROM read_parquet(${name}, hive_partitioning = false)"
OF_DATES = f" WHERE {DATE.name} BETWEEN ${{name}}_first AND ${{name}}_last"


def files(
    name: str,
    parts: Sequence[ListedPart],
    dates: Dates,
    source: Source,
    parameters: dict[str, Any],
) -> Iterator[str]:
    """A source for each format among the parts, with the rows of these dates alone. What it is
    bound to becomes parameters: paths with that name, and the first and the last date."""
    for version, group in of_each_format(parts):
        name_of_group = name if version == FORMAT_VERSION else f"{name}_v{version}"
        parameters[name_of_group] = [str(source(each.part)) for each in group]
        absent = [null(column) for column in STORED.names if column not in names_in(version)]
        rows = ROWS.format(columns=", ".join(["*", *absent]), name=name_of_group)
        if not all(part.is_within(dates) for part in group):
            parameters[f"{name}_first"] = dates.first or date.min
            parameters[f"{name}_last"] = dates.last or date.max
            rows += OF_DATES.format(name=name)
        yield f"({rows})"


def of_each_format(parts: Sequence[ListedPart]) -> Iterator[tuple[int, list[ListedPart]]]:
    for version, group in groupby(sorted(parts, key=_version), key=_version):
        yield version, list(group)


def _version(part: ListedPart) -> int:
    return part.version
