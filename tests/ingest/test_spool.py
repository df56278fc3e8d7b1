"""Every call that the spool makes of its disk fails once: what that costs, and what it must not."""

import asyncio
import errno
import json
import os
from datetime import UTC, datetime
from itertools import count

import pytest

from ingest.disk import Disk
from ingest.event import decode_line
from ingest.receipt import Receipt, to_line
from ingest.refusal import Refused
from ingest.settings import Settings
from ingest.spool import Spool
from ingest.telemetry import Metrics

EVENTS = 16


class FailingDisk(Disk):
    """Its `n`-th call fails, a write after `kept` bytes; notes a sync of a failed file."""

    def __init__(self, n, error, kept, cuts):
        self.calls = 0
        self.n, self.error, self.kept, self.cuts = n, error, kept, cuts
        self.failed = None
        self.bad_fds = set()
        self.synced_again = False

    def _fails(self, name, target):
        if name == "truncate":
            return not self.cuts
        if name == "sync" and target in self.bad_fds:
            self.synced_again = True
        self.calls += 1
        if self.calls - 1 != self.n:
            return False
        self.failed = name
        if name in ("write", "sync"):
            self.bad_fds.add(target)
        return True

    def _fail(self):
        raise OSError(self.error, os.strerror(self.error))

    def create(self, path):
        if self._fails("create", path):
            self._fail()
        fd = super().create(path)
        self.bad_fds.discard(fd)  # a number that was given out anew
        return fd

    def write(self, fd, data):
        if self._fails("write", fd):
            if not self.kept:
                self._fail()
            self.n += 1  # the next call says why this one was short
            self.bad_fds.discard(fd)
            kept, self.kept = self.kept, 0
            return super().write(fd, bytes(data)[:kept])
        return super().write(fd, data)


for _name in ("truncate", "sync", "sync_folder", "rename", "unlink"):

    def _call(self, target, *rest, _name=_name):
        if self._fails(_name, target):
            self._fail()
        return getattr(Disk, _name)(self, target, *rest)

    setattr(FailingDisk, _name, _call)


async def life(data_dir, disk):
    """Appends numbered events until each was acknowledged or refused; their numbers, by outcome."""
    settings = Settings(data_dir=str(data_dir), segment_bytes_max=600, sync_interval_s=0.001)
    spool = Spool(settings, Metrics(), disk=disk)
    outcomes = {}
    try:
        spool.open()
    except OSError:
        return None
    for number in range(EVENTS):
        event = {"site_id": "a", "event_type": "page_view", "user_id": str(number)}
        line = to_line(json.dumps(event).encode(), Receipt(datetime.now(UTC)))
        answer = asyncio.get_running_loop().create_future()
        try:
            spool.append(line, number % 2 == 1, answer.set_result)
        except Refused as refused:
            answer.set_result(refused)
        outcomes[number] = await asyncio.wait_for(answer, 5)
        if outcomes[number]:
            async with asyncio.timeout(5):  # service comes back by itself
                while spool.trouble:
                    await asyncio.sleep(0.01)
    await spool.close()
    return outcomes


@pytest.mark.parametrize(
    ("error", "kept", "cuts"),
    [(errno.EIO, 0, True), (errno.ENOSPC, 40, True), (errno.EIO, 40, False)],
)
def test_whichever_call_fails_acknowledged_events_are_kept_and_service_returns(
    tmp_path, error, kept, cuts, monkeypatch
):
    monkeypatch.setattr("ingest.spool.PROBE_INTERVAL_S", 0.01)
    failed = set()
    for n in count():
        data_dir = tmp_path / str(n)
        data_dir.mkdir()
        disk = FailingDisk(n, error, kept, cuts)
        outcomes = asyncio.run(life(data_dir, disk))
        if disk.failed is None:
            break
        failed.add(disk.failed)
        if outcomes is None:  # it did not start, and said so
            continue
        segments = [path.read_bytes() for path in sorted((data_dir / "spool").glob("1*"))]
        assert not cuts or all(content.endswith(b"\n") for content in segments if content)
        kept_numbers = [
            int(decode_line(line).user_id)
            for content in segments
            for line in content.split(b"\n")[:-1]
        ]
        assert not disk.synced_again, (n, disk.failed)
        acknowledged = {number for number, refused in outcomes.items() if refused is None}
        assert len(kept_numbers) == len(set(kept_numbers))
        assert acknowledged <= set(kept_numbers), (n, disk.failed)
        assert len(outcomes) - len(acknowledged) <= 1, (n, disk.failed, outcomes)
    assert failed == {"create", "write", "sync", "sync_folder", "rename", "unlink"}
    assert n > 40  # a call that goes round the seam would go untested
    assert outcomes == dict.fromkeys(range(EVENTS))


class Recording(Disk):
    def __init__(self):
        self.calls = []

    def sync_folder(self, folder):
        super().sync_folder(folder)
        self.calls.append(folder)

    def create(self, path):
        self.calls.append("create")
        return super().create(path)


async def open_and_close(data_dir, disk):
    spool = Spool(Settings(data_dir=str(data_dir)), Metrics(), disk=disk)
    spool.open()
    await spool.close()


def test_the_spools_own_name_lasts_before_anything_is_put_into_it(tmp_path):
    for _ in range(2):  # its maker may have died before the sync
        disk = Recording()
        asyncio.run(open_and_close(tmp_path, disk))
        assert disk.calls[0] == tmp_path
