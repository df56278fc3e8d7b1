"""Can it answer? One look a second says so to all who ask, for anybody may."""

import math
import time
from collections.abc import Awaitable, Callable

import anyio

from report.problem import Problem

INTERVAL_S = 1.0


class Readiness:
    """For one event loop."""

    def __init__(self) -> None:
        self._looking = anyio.Lock()
        self._looked_at = -math.inf
        self._problem: Problem | None = None

    async def check(self, look: Callable[[], Awaitable[object]]) -> None:
        """Raises the Problem that `look` raised, within the last second."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= INTERVAL_S:
                await self._look_again(look)
        if self._problem:
            raise self._problem

    async def _look_again(self, look: Callable[[], Awaitable[object]]) -> None:
        try:
            await look()
            self._problem = None
        except Problem as problem:
            self._problem = problem
        self._looked_at = time.monotonic()
