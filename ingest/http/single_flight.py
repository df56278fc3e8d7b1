"""One run at a time of what costs more than its question: who asks meanwhile shares the next."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Its answer is never older than the question."""

    def __init__(self, run: Callable[[], Awaitable[T]]) -> None:
        self._run = run
        self._under_way = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
        return await asyncio.shield(self._next)

    async def _in_turn(self) -> T:
        async with self._under_way:
            self._next = None  # who asks from here on wants a later one
            return await self._run()
