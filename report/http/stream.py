"""A response that is made while it is sent, and ends when its reader leaves or takes nothing."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import anyio
import duckdb
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from report.problem import Code, Problem

logger = logging.getLogger("report.http.stream")


class Pieces:
    """Bytes that a query makes, pulled one piece at a time in a thread."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        cursor: duckdb.DuckDBPyConnection,
        query_s_max: float,
        close: Callable[[], None],
        leave: Callable[[], None],
    ) -> None:
        """`close` frees what they are made of, in a thread; `leave` comes after it."""
        self._pieces = pieces
        self._cursor = cursor
        self._query_s_max = query_s_max
        self._close = close
        self._leave = leave
        self._closed = False

    async def next(self) -> bytes | None:
        """The next piece, or None at the end. Raises Problem, and what DuckDB raises."""
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self._query_s_max, self._cursor.interrupt)
        try:
            return await run_sync(next, self._pieces, None)
        except duckdb.InterruptException:
            raise Problem(
                Code.OVERLOADED, f"Nothing was found in {self._query_s_max:g} seconds."
            ) from None
        finally:
            alarm.cancel()

    async def close(self) -> None:
        """May be called again."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await run_sync(self._close)
            self._leave()


class Stream(Response):
    """Without a length: one that breaks off lacks its end, so it cannot be taken for whole."""

    def __init__(
        self,
        first: bytes | None,
        pieces: Pieces,
        headers: dict[str, str],
        media_type: str,
    ) -> None:
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]  # of an empty body
        self._first = first
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_left, receive, tasks.cancel_scope)
                await self._send_all(send)
                tasks.cancel_scope.cancel()
        finally:
            await self._pieces.close()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        piece = self._first
        while piece is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            try:
                piece = await self._pieces.next()
            except (Problem, duckdb.Error, OSError) as error:
                logger.error("an export was broken off: %s", error)
                return  # without an end: the server closes the connection
        await self._pieces.close()  # who sees the end may ask for the next one at once
        await send({"type": "http.response.body", "body": b""})


def head(headers: dict[str, str], media_type: str) -> Response:
    """What HEAD is answered: nobody knows the length before it is sent."""
    response = Response(headers=headers, media_type=media_type)
    del response.headers["content-length"]
    return response


async def _until_left(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
