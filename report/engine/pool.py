"""Runs questions in threads: bounded, fair to small ones, and ended when nobody waits for them."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import duckdb
from anyio.to_thread import run_sync

from report.problem import Code, Problem
from report.settings import Settings

logger = logging.getLogger("report.engine.pool")

Answer = TypeVar("Answer")
Cursor = duckdb.DuckDBPyConnection

SMALL_ROWS = 4_000_000  # a question that has more to look through is a heavy one
# What DuckDB raises for the bytes of a damaged part: the base class itself too, but no other of it
DAMAGE = (duckdb.InvalidInputException, duckdb.Error)
INTERRUPT_AGAIN_S = 0.02  # an interrupt that comes between two queries of a question is lost


class Vanished(Exception):
    """A file that the question was asked of is gone: take another snapshot."""


class Pool:
    """Heavy questions have places of their own, so that small ones never wait behind them."""

    def __init__(self, settings: Settings, database: duckdb.DuckDBPyConnection) -> None:
        # Fixed for the life of the process
        self._database = database
        self._query_s_max = settings.query_s_max
        self._waiting_max = settings.waiting_max
        self._small = anyio.CapacityLimiter(settings.queries_max)
        self._heavy = anyio.CapacityLimiter(max(1, settings.queries_max // 2))

        # Every cursor is in one of the two
        self._idle: list[Cursor] = []
        self._busy: set[Cursor] = set()

    async def run(
        self,
        question: Callable[[Cursor], Answer],
        rows: int,
        left: Callable[[], Awaitable[None]],
    ) -> Answer:
        """`rows`: how many the question looks through; `left` returns when the client has gone.

        Raises Problem when it takes too long, in the queue or after it, and Vanished.
        """
        lane = self._small if rows <= SMALL_ROWS else self._heavy
        deadline = anyio.current_time() + self._query_s_max
        async with self._place(lane, deadline):
            cursor = self._idle.pop() if self._idle else self._database.cursor()
            self._busy.add(cursor)
            try:
                return await self._watched(question, cursor, deadline, left)
            finally:
                self._busy.remove(cursor)
                self._idle.append(cursor)

    @property
    def running(self) -> int:
        return len(self._busy)

    async def close(self) -> None:
        """End what still runs."""
        while self._busy:
            for cursor in self._busy:
                cursor.interrupt()
            await anyio.sleep(INTERRUPT_AGAIN_S)

    @asynccontextmanager
    async def _place(self, lane: anyio.CapacityLimiter, deadline: float) -> AsyncIterator[None]:
        if lane.statistics().tasks_waiting >= self._waiting_max:
            raise Problem(Code.OVERLOADED, "Too many questions are waiting.")
        borrower = object()
        with anyio.CancelScope(deadline=deadline) as scope:
            await lane.acquire_on_behalf_of(borrower)
        if scope.cancelled_caught:
            raise self._too_long()
        try:
            yield
        finally:
            lane.release_on_behalf_of(borrower)

    async def _watched(
        self,
        question: Callable[[Cursor], Answer],
        cursor: Cursor,
        deadline: float,
        left: Callable[[], Awaitable[None]],
    ) -> Answer:
        answers: list[Answer] = []
        errors: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_interrupt_after, left, deadline, cursor)
            try:
                answers.append(await run_sync(question, cursor, limiter=_unlimited()))
            except Exception as error:
                errors.append(error)
            tasks.cancel_scope.cancel()
        if errors:
            raise self._explained(errors[0])
        return answers[0]

    def _explained(self, error: Exception) -> Exception:
        match error:
            case duckdb.InterruptException():
                return self._too_long()
            case duckdb.OutOfMemoryException():
                return Problem(Code.OVERLOADED, "It needs more memory than there is.")
            case duckdb.IOException() | FileNotFoundError():
                return Vanished(str(error))
        if type(error) in DAMAGE:
            logger.error("the lake is damaged: %s", error)
            return Problem(Code.LAKE_UNAVAILABLE, "A part of the lake is damaged.")
        return error

    def _too_long(self) -> Problem:
        return Problem(Code.OVERLOADED, f"It took longer than {self._query_s_max:g} seconds.")


async def _interrupt_after(
    left: Callable[[], Awaitable[None]], deadline: float, cursor: Cursor
) -> None:
    """At the deadline, or when the client has left. Ends by being cancelled."""
    with anyio.CancelScope(deadline=deadline):
        await left()
    while True:
        cursor.interrupt()
        await anyio.sleep(INTERRUPT_AGAIN_S)


def _unlimited() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(1)  # its place is taken already
