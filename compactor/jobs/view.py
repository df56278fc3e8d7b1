"""data/lake.duckdb: a database with nothing but two views over the lake, `events` and `visits`.

    events   every event of the lake, with `date` (UTC) and what settled parts say of its visit
    visits   a row a visit: where it began and ended, what it came to, and what its first page view
             says of the visitor

`visits` is right at any moment: of dates that have rows in recent parts it is counted when it is
asked, by the rules of compactor.lake.visits; of others it is in the rows.
"""

from pathlib import Path

import duckdb

from compactor.lake.columns import STORED, names_of
from compactor.lake.disk import STAGED, Disk
from compactor.lake.format import RECENT
from compactor.lake.store import Store
from compactor.lake.visit_keys import KINDS
from compactor.lake.visits import GAP_MS_MAX, ORDER
from ingest.event import Role

_NAMES = STORED.names
_OBJECTS = names_of(Role.OBJECT)
_OF_VISITOR = (
    *("hostname", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_content"),
    *("utm_term", "click_id", "browser", "os", "device", "country", "language"),
)
STORAGE_VERSION = "v1.0.0"  # DuckDB 1.4 and later open it

_ORDER = ", ".join(f'"{name}" NULLS LAST' for name in ("timestamp", *ORDER))
_BACKWARDS = ", ".join(f'"{name}" DESC NULLS FIRST' for name in ("timestamp", *ORDER))
_VIEW, _ENGAGEMENT = KINDS

VISITS = f"""
    WITH rows AS (
        SELECT *, contains(parse_filename(filename), '{RECENT}.') AS is_recent FROM {{events}}
    ),
    open AS (SELECT DISTINCT site_id, date FROM rows WHERE is_recent),
    stretches AS (
        SELECT *, sum(begins::INTEGER) OVER (
            PARTITION BY site_id, user_id, date ORDER BY "timestamp" ROWS UNBOUNDED PRECEDING
        ) AS stretch FROM (
            SELECT *, coalesce("timestamp" - lag("timestamp") OVER (
                PARTITION BY site_id, user_id, date ORDER BY "timestamp"
            ) > to_milliseconds({GAP_MS_MAX}), false) AS begins
            FROM rows SEMI JOIN open USING (site_id, date)
            WHERE user_id IS NOT NULL AND bot IS NULL
        )
    ),
    counted AS (
        SELECT * REPLACE (
            count(*) FILTER (event_type = '{_VIEW}') OVER visit::INTEGER AS visit_views,
            count(*) FILTER (event_type NOT IN ('{_VIEW}', '{_ENGAGEMENT}'))
                OVER visit::INTEGER AS visit_events,
            (epoch_us(max("timestamp") OVER visit) - epoch_us(min("timestamp") OVER visit)) // 1000
                AS visit_ms,
            coalesce(sum(engaged_ms) OVER visit, 0)::BIGINT AS visit_engaged_ms,
            first_value(CASE event_type WHEN '{_VIEW}' THEN path END) OVER (
                PARTITION BY site_id, user_id, date, stretch
                ORDER BY event_type <> '{_VIEW}', {_BACKWARDS}
            ) AS visit_exit
        ) FROM stretches
        WINDOW visit AS (PARTITION BY site_id, user_id, date, stretch)
        QUALIFY row_number() OVER (
            PARTITION BY site_id, user_id, date, stretch ORDER BY
                CASE event_type WHEN '{_VIEW}' THEN 0 WHEN '{_ENGAGEMENT}' THEN 2 ELSE 1 END,
                {_ORDER}
        ) = 1
    ),
    numbered AS (
        SELECT * REPLACE (row_number() OVER (
            PARTITION BY site_id, user_id, date ORDER BY stretch
        )::INTEGER AS visit) FROM counted WHERE event_type <> '{_ENGAGEMENT}'
    )
    SELECT {{columns}} FROM rows ANTI JOIN open USING (site_id, date)
    WHERE visit_views IS NOT NULL
    UNION ALL
    SELECT {{columns}} FROM numbered
"""
_VISIT = """
    site_id, user_id, date, visit, "timestamp", visit_views, visit_events, visit_ms,
    visit_engaged_ms, path AS visit_entry, visit_exit
"""


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
    columns = (f"{name}::JSON AS {name}" if name in _OBJECTS else f'"{name}"' for name in _NAMES)
    return f"SELECT {', '.join(columns)} FROM {_parts(store)}"


def _visits(store: Store) -> str:
    return VISITS.format(
        events=_parts(store, "filename = true"), columns=", ".join([_VISIT, *_OF_VISITOR])
    )


def _parts(store: Store, *options: str) -> str:
    said = ", ".join(("union_by_name = true", "hive_partitioning = false", *options))
    return f"read_parquet({_text(store.glob())}, {said})"


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
