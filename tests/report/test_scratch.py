"""The private folder of a report process."""

import tempfile
import threading

from report.engine.scratch import Scratch


def test_two_that_start_at_once_leave_each_other_their_folders(tmp_path, monkeypatch):
    make = tempfile.mkdtemp
    others = []
    other = threading.Thread(target=lambda: others.append(Scratch(tmp_path)))

    def make_while_another_starts(**where):
        folder = make(**where)
        if not other.ident:
            other.start()
            other.join(0.2)  # as long as it may: it is through by then, or waits for us
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", make_while_another_starts)
    one = Scratch(tmp_path)
    other.join()
    assert one.folder.is_dir() and others[0].folder.is_dir()
    for scratch in (one, *others):
        scratch.close()
    assert list((tmp_path / "tmp").iterdir()) == []
