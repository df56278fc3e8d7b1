"""A disk that takes nothing: the compactor says so once, goes on trying, and says when it ends."""

import threading

import compactor.scheduler
from compactor.lake.disk import Disk
from tests.compactor.folder import Folder, line
from tests.processes import wait_for


class Full(Disk):
    def __init__(self):
        self.refusals = 0
        self.is_full = True

    def link(self, source, target):
        if self.is_full:
            self.refusals += 1
            raise OSError("No space left on device")
        super().link(source, target)


def test_trouble_that_lasts_is_told_once_and_so_is_its_end(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(compactor.scheduler, "TROUBLE_WAIT_S", 0.01)
    caplog.set_level("WARNING", "compactor")
    folder = Folder(tmp_path, poll_interval_s=0.01, pass_age_s_max=0.001)
    folder.segment(line())
    folder.now = "2099-01-01T00:00:00"
    disk = Full()
    running = threading.Thread(target=folder.passes(disk).run)
    running.start()
    try:
        wait_for(lambda: disk.refusals >= 3, "repetitions")
        disk.is_full = False
        wait_for(folder.parts, "the part")
        wait_for(lambda: "passes go on again" in caplog.messages, "the end of it")
    finally:
        folder.stop.set()
        running.join()
    assert caplog.messages == [
        "the pass failed and will be repeated: No space left on device",
        "passes go on again",
    ]
