"""The one way of a request, whatever it speaks: read, completed, kept, answered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ingest.batch import to_lines
from ingest.context.request import joined
from ingest.dialects.dialect import Message, Options, Outcome, Route
from ingest.http.body import decoded
from ingest.receipt import Identify, Receipt
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
    reading = route.read(message)
    receipt = receipt_of(request, route)
    identify = visitor_of(request, receipt) if reading.options.visitor else None
    dates_max = request.state["settings"].batch_dates_max
    return reading.options, to_lines(reading, receipt, identify, dates_max)


async def message_of(request: Request[State], bytes_max: int) -> Message:
    """Raises Refused."""
    encoding = request.headers.get("content-encoding", "identity")
    body = decoded(await request.body(), encoding, bytes_max)
    ack = request.state["settings"].ack
    return Message(request.url.path, request.query_params, request.headers, body, ack)


def receipt_of(request: Request[State], route: Route) -> Receipt:
    receipt = request.state["spool"].receipt()
    authorization = request.headers.get("authorization")
    if authorization is None or route.plain_targets:
        return receipt
    data_dir = request.state["settings"].data_dir
    return receipt.of_history() if is_import(authorization, data_dir) else receipt


def visitor_of(request: Request[State], receipt: Receipt) -> Identify:
    peer = request.client.host if request.client else ""
    return request.state["context"].identify(peer, joined(request.headers.raw), receipt)


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
    for what, number in outcome.left_out.items():
        metrics.leave_out(what, number)
    if not route.plain_targets:
        metrics.batch_events.observe(outcome.accepted + outcome.rejected)


def origin_of(request: Request[Any]) -> str | None:
    return request.headers.get("origin")
