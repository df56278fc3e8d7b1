"""What a request asks: its query string, and what its site's owner has said of it."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from starlette.requests import Request

from ingest.sites.watched import Watched
from report.http.query_string import decode
from report.terms.query.selected import Named
from report.terms.selection import UTC, Dated

Asked = TypeVar("Asked", bound=msgspec.Struct)


def asked_of(request: Request, kind: type[Asked]) -> Asked:
    """Of a site with a time zone, that one's days are meant unless it says others. Raises
    Problem."""
    asked = decode(request.scope["query_string"], kind)
    if not isinstance(asked, Dated) or asked.tz is not msgspec.UNSET:
        return asked
    watched: Watched | None = request.state.watched
    site = watched.sites.by_id.get(asked.site_id) if watched else None
    if site is None or site.time_zone is msgspec.UNSET:
        return asked
    return msgspec.structs.replace(asked, tz=site.time_zone)


def named(request: Request, sites: Sequence[str]) -> Named:
    """What the owners of these sites have said of all of them alike."""
    watched: Watched | None = request.state.watched
    every = [watched.sites.by_id.get(site) for site in sites] if watched else []
    if not every or None in every:
        return Named()
    first, *others = [site for site in every if site is not None]
    zones = {site.time_zone for site in (first, *others)}
    zone = first.time_zone
    return Named(
        UTC if len(zones) > 1 or zone is msgspec.UNSET else zone,
        tuple(goal for goal in first.goals if all(goal in site.goals for site in others)),
        tuple(each for each in first.segments if all(each in site.segments for site in others)),
        tuple(each for each in first.funnels if all(each in site.funnels for site in others)),
    )
