"""What a request wishes in its query: the promise of its 202, and a name for the visitor."""

from dataclasses import dataclass

from starlette.datastructures import QueryParams

from ingest.refusal import Refusal, Refused
from ingest.settings import Settings

PARAMETERS = ("ack", "visitor")


@dataclass(frozen=True, slots=True)
class Wishes:
    synced: bool  # the 202 outlives a power cut
    visitor: bool  # an event without user_id gets the visitor's of this day


def wishes_of(parameters: QueryParams, settings: Settings) -> Wishes:
    """Raises Refused: a misspelt promise must not silently become a weaker one."""
    for name in parameters:
        if name not in PARAMETERS:
            raise _bad(f"There is no parameter {name[:64]!r}; there is {', '.join(PARAMETERS)}.")
        if len(parameters.getlist(name)) > 1:
            raise _bad(f"{name} is given more than once.")
    ack = parameters.get("ack", settings.ack)
    if ack not in ("written", "synced"):
        raise _bad("ack is either written or synced.")
    visitor = parameters.get("visitor")
    if visitor not in (None, "daily"):
        raise _bad("visitor is daily, or not given.")
    return Wishes(ack == "synced", visitor == "daily")


def plain_targets(settings: Settings) -> dict[bytes, Wishes]:
    """The request targets that ingest.fast_path answers itself, and what they wish."""
    acks = ("ack=written", "ack=synced")
    queries = ["", *acks, "visitor=daily"]
    queries += [f"{ack}&visitor=daily" for ack in acks] + [f"visitor=daily&{ack}" for ack in acks]
    return {
        f"/event?{query}".rstrip("?").encode(): wishes_of(QueryParams(query), settings)
        for query in queries
    }


def _bad(detail: str) -> Refused:
    return Refused(Refusal.BAD_PARAMETER, detail)
