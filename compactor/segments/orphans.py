"""The spool seen from its reader: closing what lost its writer, listing and releasing the rest."""

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from compactor.lake.disk import Disk
from compactor.plan import ClosedSegment
from compactor.segments.quarantine import Quarantine
from ingest.segment import CLOSED, OPEN, SegmentName, list_segments, try_lock

logger = logging.getLogger("compactor.segments.orphans")

TAIL_BYTES_AT_ONCE = 64 * 1024


def close_orphans(spool: Path, quarantine: Quarantine, disk: Disk) -> int:
    """Close the open segments whose writer is gone; returns how many."""
    orphans = 0
    for name in list_segments(spool):
        if name.state == OPEN:
            with suppress(FileNotFoundError):  # its writer closed it in this moment
                orphans += _close_orphan(spool, name, quarantine, disk)
    return orphans


def _close_orphan(spool: Path, name: SegmentName, quarantine: Quarantine, disk: Disk) -> bool:
    path = spool / str(name)
    fd = os.open(path, os.O_RDONLY)
    try:
        if not try_lock(fd, path):
            return False
        size = os.fstat(fd).st_size
        whole = _end_of_last_line(fd, size)
        if whole < size:
            torn = os.pread(fd, size - whole, whole)
            quarantine.keep_tail(name, torn)
            disk.truncate(path, whole)
        if whole == 0:
            disk.unlink(path)
        else:
            disk.sync_file(path)
            disk.rename(path, spool / str(name.closed()))
        # the folder is not synced: if the new name is lost, it is closed once more
        logger.info("closed %s, whose writer is gone: %d bytes, torn %d", name, whole, size - whole)
        return True
    finally:
        os.close(fd)


def _end_of_last_line(fd: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - TAIL_BYTES_AT_ONCE)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def closed_segments(spool: Path) -> list[ClosedSegment]:
    """What waits for compaction, oldest first."""
    waiting = []
    for name in list_segments(spool):
        if name.state == CLOSED:
            status = (spool / str(name)).stat()
            waiting.append(ClosedSegment(name, status.st_size, int(status.st_mtime * 1000)))
    return waiting


def release(spool: Path, segments: Iterable[SegmentName], disk: Disk) -> None:
    """Delete segments of which every line is accounted for in the lake.

    One that a power cut brings back is known by the parts that name it, and deleted again; so the
    folder is synced only before those names are forgotten, see compactor.jobs.expire.
    """
    for name in segments:
        disk.unlink(spool / str(name))
