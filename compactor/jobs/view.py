"""data/lake.duckdb: a database with nothing but a view `events` over the lake."""

from pathlib import Path

import duckdb

from compactor.lake.columns import STORED, names_of
from compactor.lake.disk import STAGED, Disk
from compactor.lake.store import Store
from ingest.event import Role

_NAMES = STORED.names
_OBJECTS = names_of(Role.OBJECT)
STORAGE_VERSION = "v1.0.0"  # DuckDB 1.4 and later open it


def write_view(data_dir: Path, store: Store, disk: Disk) -> None:
    """Make it anew, in place of an older one: whoever has that open keeps it.

    The path in it is absolute, so that it works wherever `duckdb` is called from; a data folder
    that was moved gets a new one when its compactor starts. The lake must have a part.
    """
    store.sweep()  # a crash may have left one, and DuckDB would open it
    staged = data_dir / "lake" / "staging" / ("lake.duckdb" + STAGED)
    target = data_dir / "lake.duckdb"
    with duckdb.connect(":memory:") as database:
        database.execute(f"ATTACH {_text(staged)} AS lake (STORAGE_VERSION '{STORAGE_VERSION}')")
        database.execute(f"CREATE VIEW lake.events AS {_events(store)}")
        database.execute("DETACH lake")
    disk.sync_file(staged)
    disk.rename(staged, target)
    disk.sync_folder(target.parent)


def _events(store: Store) -> str:
    columns = (f"{name}::JSON AS {name}" if name in _OBJECTS else f'"{name}"' for name in _NAMES)
    glob = _text(store.glob())
    return f"""
        SELECT {", ".join(columns)}
        FROM read_parquet({glob}, union_by_name = true, hive_partitioning = false)"""


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
