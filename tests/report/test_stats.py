"""/stats agrees with counting by hand, however the events lie in lake and spool."""

import json
import shutil
import tempfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compactor.compact import Compactor
from ingest.event import Receipt, decode_line, to_line
from ingest.segment import SegmentName
from report.query import Reports, Span
from report.settings import Settings

SITES = ("a", "b")
DAYS = [date(2026, 11, day) for day in (20, 21, 22)]
MOMENTS = st.builds(
    datetime.combine, st.sampled_from(DAYS), st.times().map(lambda t: t.replace(tzinfo=UTC))
)
EVENTS = st.fixed_dictionaries(
    {
        "site_id": st.sampled_from(SITES),
        "event_type": st.sampled_from(["page_view", "page_view", "signup"]),
        "timestamp": MOMENTS.map(datetime.isoformat),
    },
    optional={
        "path": st.sampled_from(["/", "/é", "/%", *(f"/{n}" for n in range(12))]),
        "user_id": st.sampled_from(["ann", "bob", "cat"]),
        "event_id": st.sampled_from(["x", "y"]),
    },
)
SPANS = [Span(), Span(DAYS[0], DAYS[0]), Span(DAYS[1], None), Span(None, DAYS[1]), Span(*DAYS[1:])]


def count_by_hand(events, site, span):
    """Slow and obvious. The first of the events with one id on one date counts."""
    seen, views, users = set(), Counter(), set()
    total = 0
    for event in events:
        day = event.timestamp.date()
        if event.site_id != site or day not in span:
            continue
        if event.event_id and (day, event.event_id) in seen:
            continue
        seen.add((day, event.event_id))
        if event.event_type == "page_view":
            total += 1
            views[event.path] += event.path is not None
            users |= {event.user_id} - {None}
    top = sorted(
        ((path, n) for path, n in views.items() if path), key=lambda row: (-row[1], row[0])
    )
    return {
        "total_views": total,
        "unique_users": len(users),
        "top_paths": [{"path": path, "views": n} for path, n in top[:10]],
    }


def write_spool(folder, segments):
    """Writes the segments and returns their events in the order of their receipt."""
    (folder / "spool").mkdir()
    events = []
    for n, segment in enumerate(segments):
        # the last one is still open
        state = "jsonl" if n < len(segments) - 1 else "open"
        receipt = Receipt(datetime(2026, 11, 22, 8, 0, n, tzinfo=UTC))
        lines = [to_line(json.dumps(event).encode(), receipt) for event in segment]
        name = SegmentName(1795335647000 + n, "00000000", n, state)
        (folder / "spool" / str(name)).write_bytes(b"".join(lines))
        events += map(decode_line, lines)
    return events


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(segments=st.lists(st.lists(EVENTS, max_size=20), min_size=1, max_size=4), data=st.data())
def test_duckdb_agrees_with_counting_by_hand(segments, data):
    folder = Path(tempfile.mkdtemp())
    try:
        events = write_spool(folder, segments)
        reports = Reports(Settings(data_dir=str(folder)))
        closed = sorted(
            name
            for path in (folder / "spool").iterdir()
            if (name := SegmentName.parse(path.name)) and name.state == "jsonl"
        )
        compactor = Compactor(folder)
        for segment in [None, *closed[: data.draw(st.integers(0, len(closed)))]]:
            if segment:
                path = folder / "spool" / str(segment)
                content = path.read_bytes()
                compactor.compact([segment])
                if data.draw(st.booleans()):
                    path.write_bytes(content)  # as if killed before it was released
            for site in SITES:
                for span in SPANS:
                    with reports.cursor() as cursor:
                        figures = reports.stats(cursor, site, span)
                    assert figures == count_by_hand(events, site, span)
        reports.close()
    finally:
        shutil.rmtree(folder)


def test_of_paths_viewed_as_often_the_first_by_name_are_listed(tmp_path):
    paths = [f"/{n:02d}" for n in range(15)]
    view = {"site_id": "a", "event_type": "page_view"}
    write_spool(tmp_path, [[{**view, "path": path} for path in reversed(paths)]])
    reports = Reports(Settings(data_dir=str(tmp_path)))
    with reports.cursor() as cursor:
        top = reports.stats(cursor, "a", Span())["top_paths"]
    reports.close()
    assert [row["path"] for row in top] == paths[:10]
