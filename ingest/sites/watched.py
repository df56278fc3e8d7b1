"""The sites that are in force: those of the file as it is, or as it last was when it was right."""

import asyncio
import contextlib
import logging
import os

from ingest.sites.document import Identity, Invalid, Sites, identity_of, read

LOOK_INTERVAL_S = 0.5


class Watched:
    """A sites.toml over time. Belongs to one thread.

    A change is taken up once two looks have found the same file: half of what an editor or a copy
    is still writing would be taken for all of it.
    """

    def __init__(self, path: str, before: Sites | None = None) -> None:
        """`before` is in force if the file is wrong now; without it, that is raised: Invalid or
        OSError."""
        # Fixed for the life of the process
        self._path = path
        self._logger = logging.getLogger("sites")

        # Replaced when the file changes
        self.sites: Sites
        self.trouble: Exception | None = None  # why the file as it is now is not in force
        self._seen = self._read = _identity(path)
        self._take_up(before)

    @property
    def words(self) -> str | None:
        """What is wrong, for who may not know the names of sites; None: nothing is."""
        if self.trouble is None:
            return None
        where = f"line {self.trouble.line}" if isinstance(self.trouble, Invalid) else "the file"
        return f"{where} is wrong, and the sites from before are in force; the log says more"

    async def watch(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Takes up what has changed, or keeps what is in force and says so in the log, once."""
        found = _identity(self._path)
        is_settled = found == self._seen
        self._seen = found
        if is_settled and found != self._read:
            self._read = found
            self._take_up(self.sites)

    def _take_up(self, before: Sites | None) -> None:
        try:
            self.sites, self.trouble = read(self._path), None
            self._logger.info("%s: %d sites are in force", self._path, len(self.sites.by_id))
        except (Invalid, OSError) as error:
            if before is None:
                raise
            self.sites, self.trouble = before, error
            self._logger.error("%s", _words(self._path, error) + "; what was before stays in force")


def started(stage: str, path: str) -> Sites | None:
    """What a stage starts with; None if no file is named. Raises SystemExit with one line."""
    try:
        return read(path) if path else None
    except (Invalid, OSError) as error:
        raise SystemExit(f"{stage}: FOOTFALL_SITES {_words(path, error)}") from None


def _words(path: str, error: Exception) -> str:
    return f"{path}: {error.strerror if isinstance(error, OSError) else error}"


def _identity(path: str) -> Identity | None:
    with contextlib.suppress(OSError):
        return identity_of(os.stat(path))
    return None
