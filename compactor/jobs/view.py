"""data/lake.duckdb: a database with nothing but two views over the lake, `events` and `visits`.

    events   every event of the lake, with `date` (UTC) and what settled parts say of its visit
    visits   a row a visit: that of its first page view (its first event, if it has none), with what
             the visit came to; it began at visit_entry and ended at visit_exit

`visits` is right at any moment: of dates that have rows in recent parts it is counted when it is
asked, by the rules of compactor.lake.visits; of others it is in the rows.
"""

from pathlib import Path

import duckdb

from compactor.lake.columns import STORED, names_of
from compactor.lake.disk import STAGED, Disk
from compactor.lake.store import Store
from compactor.lake.visits_sql import VISITS
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
        database.execute(f"CREATE VIEW lake.visits AS {_visits(store)}")
        database.execute("DETACH lake")
    disk.sync_file(staged)
    disk.rename(staged, target)
    disk.sync_folder(target.parent)


def _events(store: Store) -> str:
    return f"SELECT {_columns()} FROM {_parts(store)}"


def _columns() -> str:
    columns = (f"{name}::JSON AS {name}" if name in _OBJECTS else f'"{name}"' for name in _NAMES)
    return ", ".join(columns)


def _visits(store: Store) -> str:
    return VISITS.format(
        events=_parts(store, "filename = true"), columns=f"{_columns()}, path AS visit_entry"
    )


def _parts(store: Store, *options: str) -> str:
    said = ", ".join(("union_by_name = true", "hive_partitioning = false", *options))
    return f"read_parquet({_text(store.glob())}, {said})"


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
