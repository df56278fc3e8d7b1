"""The one way of a request, whatever it speaks: read, completed, kept, answered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ingest.batch import to_lines
from ingest.client import Client
from ingest.context.request import joined
from ingest.dialects.dialect import Message, Options, Outcome, Route
from ingest.http.body import decoded
from ingest.refusal import Refused
from ingest.secret import is_import
from ingest.state import State
from ingest.telemetry import Metrics


def endpoint(route: Route) -> Callable[[Request[State]], Awaitable[Response]]:
    async def take(request: Request[State]) -> Response:
        answers = request.state["answers"]
        if request.method == "OPTIONS":
            return answers.preflight(origin_of(request), route.methods)
        options, outcome = understood(request, route, await message_of(request, route.bytes_max))
        if outcome.accepted:
            await keep(request, outcome.lines, options.synced)
        answer = route.answer(outcome)
        count(request.state["metrics"], route, outcome)
        return answers.respond(origin_of(request), answer)

    return take


def understood(request: Request[State], route: Route, message: Message) -> tuple[Options, Outcome]:
    """Raises Refused. The events end here, not with the request: those of all requests that wait
    for the spool, alive at once, cost a batch a quarter more CPU."""
    client, admission = client_of(request), request.state["admission"]
    imports = shows_import(request, route)
    sender = admission.sender(client, imports)
    is_owner = imports or (sender is not None and sender.shows_key)
    reading = route.read(message)
    admission.take_more(client, is_owner, len(reading.events) + len(reading.rejected) - 1)
    receipt = request.state["spool"].receipt()
    if is_owner and not route.plain_targets:
        receipt = receipt.of_history()
    identify = None
    if reading.options.visitor:
        identify = request.state["context"].identify(client, receipt)
    dates_max = request.state["settings"].batch_dates_max
    return reading.options, to_lines(reading, receipt, identify, dates_max, sender)


async def message_of(request: Request[State], bytes_max: int) -> Message:
    """Raises Refused."""
    encoding = request.headers.get("content-encoding", "identity")
    body = decoded(await request.body(), encoding, bytes_max)
    ack = request.state["settings"].ack
    return Message(request.url.path, request.query_params, request.headers, body, ack)


def client_of(request: Request[State]) -> Client:
    peer = request.client.host if request.client else ""
    proxies = request.state["settings"].trusted_proxies
    return Client(peer, joined(request.headers.raw), proxies)


def shows_import(request: Request[State], route: Route) -> bool:
    """Whether this installation's importers send it: beside who shows a site's key, they alone
    bring history."""
    authorization = request.headers.get("authorization")
    if authorization is None or route.plain_targets:
        return False
    return is_import(authorization, request.state["settings"].data_dir)


async def keep(request: Request[State], lines: bytes, synced: bool) -> None:
    """Returns once the spool has kept the lines. Raises Refused."""
    kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(refused: Refused | None) -> None:
        if refused:
            kept.set_exception(refused)
        else:
            kept.set_result(None)

    request.state["spool"].append(lines, synced, done)
    await kept


def count(metrics: Metrics, route: Route, outcome: Outcome) -> None:
    """A refusal of the whole request is counted where it is told."""
    for refusal, number in outcome.refused.items():
        metrics.refuse(refusal, number)
    for (site_id, refusal), number in outcome.refused_by_site.items():
        metrics.refused_by_site.add(site_id, refusal, number)
    for what, number in outcome.left_out.items():
        metrics.leave_out(what, number)
    if not route.plain_targets:
        metrics.batch_events.observe(outcome.accepted + outcome.rejected)


def origin_of(request: Request[Any]) -> str | None:
    return request.headers.get("origin")
