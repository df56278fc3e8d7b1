"""The table of routes: what clients may speak, and where."""

from ingest.dialects import native
from ingest.dialects.dialect import Options, Route
from ingest.event import BATCH_BYTES_MAX, EVENT_BYTES_MAX

ROUTES = (
    Route(
        "/event",
        ("POST",),
        native.read_event,
        native.answer_event,
        EVENT_BYTES_MAX,
        plain_targets=native.plain_targets,
    ),
    Route("/events", ("POST",), native.read_events, native.answer_events, BATCH_BYTES_MAX),
)


def plain_targets(routes: tuple[Route, ...], ack: str) -> dict[bytes, Options]:
    """The request targets that ingest.fast_path answers by itself, and what they ask for."""
    found: dict[bytes, Options] = {}
    for route in routes:
        if route.plain_targets:
            found |= route.plain_targets(ack)
    return found
