"""A clock that jumps is told in the log: events are dated by it."""

import asyncio
import logging
import time
from collections.abc import Callable

logger = logging.getLogger("ingest.clock")

JUMP_S = 60.0  # what is less is how clocks are set right
CHECK_INTERVAL_S = 1.0


async def watch(
    clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> None:
    """One line for each jump. Runs until it is cancelled."""
    expected = clock() - monotonic()
    while True:
        await asyncio.sleep(CHECK_INTERVAL_S)
        found = clock() - monotonic()
        if abs(found - expected) >= JUMP_S:
            logger.warning(
                "the clock went %s by %.0f s; what arrives now is dated by it",
                "ahead" if found > expected else "back",
                abs(found - expected),
            )
        expected = found
