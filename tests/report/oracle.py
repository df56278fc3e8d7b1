"""The report API by hand: slow, obvious Python. No SQL, no list of offsets, no index."""

import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MISSING = object()


def unique(passes, spool):
    """The events that count. `passes`: what was compacted, pass by pass; `spool`: what was not."""
    seen, kept = set(), []
    for events in [*passes, spool]:
        for event in sorted(events, key=lambda event: event.received_at):  # stable
            key = (event.site_id, event.timestamp.astimezone(UTC).date(), event.event_id)
            if event.event_id is None or key not in seen:
                seen.add(key)
                kept.append(event)
    return kept


def host(referrer):
    pattern = r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)"
    match = re.match(pattern, referrer or "")
    return (match[1].lower() if match else None) or None


def value(event, by):
    match by.partition("."):
        case "props", _, key:
            found = (event.props or {}).get(key)
            return found if found is None or isinstance(found, str) else json.dumps(found)
    return {
        "path": event.path,
        "referrer": event.referrer or None,
        "referrer_host": host(event.referrer),
        "event_type": event.event_type,
        "user_id": event.user_id,
    }[by]


def select(events, site_id, first=None, last=None, tz="UTC", event_type="page_view", **filters):
    zone = ZoneInfo(tz)
    for event in events:
        day = event.timestamp.astimezone(zone).date()
        if event.site_id != site_id or (event_type and event.event_type != event_type):
            continue
        if (first and day < first) or (last and day > last):
            continue
        if all(value(event, name) == (wanted or None) for name, wanted in filters.items()):
            yield event


def counts(events):
    events = list(events)
    return len(events), len({event.user_id for event in events} - {None})


def stats(events, limit=10):
    events = list(events)
    views, users = counts(events)
    paths = Counter(event.path for event in events if event.path is not None)
    top = sorted(paths.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return views, users, [{"path": path, "views": views} for path, views in top]


def breakdown(events, by, limit, offset):
    groups = defaultdict(list)
    for event in events:
        groups[value(event, by)].append(event)
    rows = [(value, *counts(group)) for value, group in groups.items()]
    rows.sort(key=lambda row: (-row[1], row[0] is None, row[0] or ""))
    keys = ("value", "views", "users")
    return len(rows), [dict(zip(keys, row, strict=True)) for row in rows[offset : offset + limit]]


def bucket(at, interval):
    """What two instants of one bucket have in common."""
    match interval:
        case "hour":
            return at.date(), at.hour, at.utcoffset()
        case "day":
            return at.date()
        case "week":
            return at.isocalendar()[:2]
        case "month":
            return at.year, at.month


STEP = timedelta(minutes=15)  # every offset of the zones we ask about is a multiple of it


def timeseries(events, interval, tz, first=None, last=None):
    """Every bucket, found by walking through time in steps."""
    zone = ZoneInfo(tz)
    groups = defaultdict(list)
    for event in events:
        groups[bucket(event.timestamp.astimezone(zone), interval)].append(event)
    days = [event.timestamp.astimezone(zone).date() for group in groups.values() for event in group]
    if (first is None or last is None) and not days:
        return []
    first_day, last_day = first or min(days), last or max(days)
    starts = {}
    wanted = set()
    at = datetime.combine(first_day, datetime.min.time(), UTC) - timedelta(days=34)
    while at < datetime.combine(last_day, datetime.min.time(), UTC) + timedelta(days=3):
        local = at.astimezone(zone)
        starts.setdefault(bucket(local, interval), local.isoformat())
        if first_day <= local.date() <= last_day:
            wanted.add(bucket(local, interval))
        at += STEP
    found = [key for key in starts if key in wanted]
    if first is None and interval == "hour":
        while found[0] not in groups:
            found.pop(0)
    if last is None and interval == "hour":
        while found[-1] not in groups:
            found.pop()
    rows = ((starts[key], *counts(groups.get(key, ()))) for key in found)
    keys = ("start", "views", "users")
    return [dict(zip(keys, row, strict=True)) for row in rows]


def sites(events):
    groups = defaultdict(list)
    for event in events:
        groups[event.site_id].append(event.timestamp.astimezone(UTC))
    rows = [
        {
            "site_id": site,
            "events": len(times),
            "first_event": f"{min(times):%Y-%m-%dT%H:%M:%S.%f}Z",
            "last_event": f"{max(times):%Y-%m-%dT%H:%M:%S.%f}Z",
        }
        for site, times in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["events"], row["site_id"]))
