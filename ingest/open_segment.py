"""The segment that is written to: one file, from its creation until it is closed or given up."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ingest.disk import Disk
from ingest.refusal import Refused
from ingest.segment import SegmentName, try_lock

Done = Callable[[Refused | None], None]


class OpenSegment:
    """Its file and lock, and who waits for its next sync.

    write() and cut() are called on the event loop; sync(), close() and give_up(), which wait for
    the disk, in the one disk thread. Each raises OSError as the disk does.
    """

    def __init__(self, folder: Path, name: SegmentName, fd: int, disk: Disk) -> None:
        # Fixed for the life of the segment
        self.name = name
        self._folder = folder
        self._fd = fd
        self._disk = disk

        # Grow with every write
        self.bytes_written = 0
        self.first_line_at: float | None = None  # monotonic seconds

        # Since the sync that runs, or ran last, was started
        self.bytes_at_sync = 0
        self.waiting: list[Done] = []
        self._folder_synced = False  # is its name as durable as its bytes?

        # Set once: nothing is written, synced or acknowledged here after it. Linux reports a lost
        # write to one fsync only, so the next one would succeed without having kept anything.
        self.failure: OSError | None = None

    @classmethod
    def create(cls, folder: Path, name: SegmentName, disk: Disk) -> "OpenSegment | None":
        """None if the compactor was quicker, took it for an orphan and closed it."""
        path = folder / str(name)
        fd = disk.create(path)
        if try_lock(fd, path):
            return cls(folder, name, fd, disk)
        os.close(fd)
        return None

    def write(self, data: bytes) -> None:
        try:
            written = self._disk.write(self._fd, data)
            while written < len(data):  # a short write is followed by the reason for it
                written += self._disk.write(self._fd, memoryview(data)[written:])
        except OSError as error:
            self.failure = error
            raise
        self.bytes_written += len(data)

    def cut(self) -> None:
        """Take back what a failed write left, so that no line is kept which was not acknowledged.

        The segment is given up after this: a reader that sees a file shorter than
        before knows that it will never grow again.
        """
        with contextlib.suppress(OSError):  # then the compactor finds a torn tail
            self._disk.truncate(self._fd, self.bytes_written)

    def take_waiting(self) -> list[Done]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def sync(self) -> None:
        if self.failure:
            raise self.failure
        try:
            self._disk.sync(self._fd)
            if not self._folder_synced:
                self._disk.sync_folder(self._folder)
                self._folder_synced = True
        except OSError as error:
            self.failure = error
            raise

    def close(self) -> None:
        """Hand it to the compactor; an empty one leaves nothing behind."""
        path = self._folder / str(self.name)
        try:
            if self.bytes_written == 0:
                self._disk.unlink(path)
                return
            self.sync()
            self._disk.rename(path, self._folder / str(self.name.closed()))
            self._disk.sync_folder(self._folder)
        finally:
            os.close(self._fd)  # and with it the lock

    def give_up(self) -> None:
        """Leave it as it is: without its lock it is the compactor's to close."""
        os.close(self._fd)
