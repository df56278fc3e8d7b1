"""What a request asks: its query string, and what its site's owner has said of it."""

from typing import TypeVar

import msgspec
from starlette.requests import Request

from ingest.sites.watched import Watched
from report.http.query_string import decode
from report.terms.selection import Dated

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
