"""DuckDB as report uses it: in memory, bounded, and closed to all but the data folder."""

from pathlib import Path

import duckdb

from report.settings import Settings
from report.terms import sources


def connect(settings: Settings, scratch: Path) -> duckdb.DuckDBPyConnection:
    """An empty database that can read the data folder, write to `scratch`, and nothing else."""
    database = duckdb.connect(
        ":memory:",
        config={
            "threads": settings.threads,
            "memory_limit": f"{settings.query_bytes_max}B",
            "temp_directory": str(scratch),
            "max_temp_directory_size": f"{settings.temp_bytes_max - settings.spilled_bytes_max}B",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "preserve_insertion_order": False,
        },
    )
    database.execute("SET GLOBAL TimeZone = 'UTC'")  # or TIMESTAMPTZ is told in the machine's zone
    database.execute("SET GLOBAL parquet_metadata_cache = true")
    folders = [str(settings.data_folder), str(scratch)]
    database.execute("SET allowed_directories = $folders", {"folders": folders})
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    sources.define(database)
    return database
