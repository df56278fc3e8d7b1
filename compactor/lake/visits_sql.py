"""The visits of a lake as SQL, for who has no other code: a row a visit, see visits.

What settled parts say of their dates is believed; of dates that have rows in recent parts visits
are found by window functions over all rows, by the same rules.
"""

from compactor.lake.format import RECENT
from compactor.lake.visit_keys import KINDS
from compactor.lake.visits import GAP_MS_MAX, ORDER

_ORDER = ", ".join(f'"{name}" NULLS LAST' for name in ("timestamp", *ORDER))
_BACKWARDS = ", ".join(f'"{name}" DESC NULLS FIRST' for name in ("timestamp", *ORDER))
_VIEW, _ENGAGEMENT = KINDS

# Of {events}, which have their `filename`, these {columns}.
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
