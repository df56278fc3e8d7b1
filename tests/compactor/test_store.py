"""What every store has to do, asked of each; an object store would be one more of them."""

import threading
from contextlib import contextmanager, suppress

import pytest

from compactor.lake.format import Folder, PartNames
from compactor.lake.local import LocalStore
from compactor.lake.lock import POLL_S, Busy, Lost
from compactor.lake.store import Store
from tests.processes import wait_for

FOLDER = Folder.of_year(2026)
NAMES = PartNames(lambda: 1_795_305_600.0, "aaaaaaaa")
PARTS = [NAMES(FOLDER.first, FOLDER.last, is_recent=True) for _ in range(5)]
OTHER = NAMES(Folder.of_year(2025).first, Folder.of_year(2025).last, is_recent=False)
READERS_S_MAX = 0.2


class MemoryStore:
    """Parts in a dictionary; bytes get a file when they are asked for, as an object store's do."""

    def __init__(self, cache):
        self._cache = cache
        self._parts, self._retired = {}, {}
        self._turn, self._changes = threading.Lock(), 0
        self._readers, self._held = 0, False

    def names(self, folder=None):
        return _names(self._parts, folder)

    def mark(self, folder=None):
        if not self.names(folder):
            raise FileNotFoundError(folder)
        return self._changes

    def source(self, part):
        return self._file(self._cache, self._parts, part)

    def size(self, part):
        return len(_get(self._parts, part))

    def glob(self):
        raise NotImplementedError

    def retired(self, folder=None):
        return _names(self._retired, folder)

    def retired_source(self, part):
        return self._file(self._cache, self._retired, part)

    def prepare(self):
        pass

    sweep = prepare

    def publish(self, part, fill):
        if part in self._parts:
            raise FileExistsError(part.name)
        self._change(self._parts | {part: self._filled(fill)})

    def confirm(self, folder):
        pass

    def can_replace(self):
        return True

    def replace(self, folder, old, new):
        self._await_readers()
        made = {part: self._filled(fill) for part, fill in new}
        self._change({p: c for p, c in self._parts.items() if p not in old} | made)

    def remove(self, parts):
        self.replace(None, parts, ())

    def retire(self, parts):
        self._move(self._parts, self._retired, {part: part for part in parts})

    def restore(self, parts):
        self._move(self._retired, self._parts, parts)

    def free_bytes(self):
        return 1 << 40

    @contextmanager
    def turn(self, wait):
        while not self._turn.acquire(blocking=False):
            wait(POLL_S)
        self._held = True
        try:
            yield
        finally:
            self._turn.release()

    def check_turn(self):
        if not self._turn.locked():
            raise Lost("nobody's")

    @contextmanager
    def shared(self):
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    def hold(self, parts, place):
        for part in parts:
            self._file(place, self._parts, part)

    def held(self, place, part):
        return place / part.path

    def _file(self, folder, parts, part):
        path = folder / part.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_get(parts, part))
        return path

    def _filled(self, fill):
        path = self._cache / "new"
        with path.open("wb") as file:
            fill(file)
        return path.read_bytes()

    def _move(self, source, target, parts):
        self._await_readers()
        for old, new in parts.items():
            target[new] = source.pop(old)
        self._changes += 1

    def _change(self, parts):
        self._parts, self._changes = parts, self._changes + 1

    def _await_readers(self):
        with suppress(AssertionError):
            wait_for(lambda: not self._readers, "readers", READERS_S_MAX)
            return
        raise Busy("readers")


def _names(parts, folder):
    if folder is None:
        return sorted({part.folder.name for part in parts})
    return sorted(part.name for part in parts if part.folder == folder)


def _get(parts, part):
    try:
        return parts[part]
    except KeyError:
        raise FileNotFoundError(part.path) from None


@pytest.fixture(params=["local", "in memory"])
def store(request, tmp_path) -> Store:
    (tmp_path / "spool").mkdir()
    local = request.param == "local"
    store = LocalStore(tmp_path, readers_s_max=READERS_S_MAX) if local else MemoryStore(tmp_path)
    store.prepare()
    return store


def part(n):
    return PARTS[n]


def holding(content):
    return lambda file: file.write(content)


def read(store, *parts):
    return [store.source(each).read_bytes() for each in parts]


def test_an_empty_store_has_no_names_and_no_marks(store):
    assert store.names() == store.names(FOLDER) == store.retired() == store.retired(FOLDER) == []
    with pytest.raises(FileNotFoundError):
        store.mark(FOLDER)


def test_a_part_is_there_once_it_is_published_and_its_name_is_never_given_again(store):
    store.publish(part(1), holding(b"one"))
    with pytest.raises(FileExistsError):
        store.publish(part(1), holding(b"other"))
    store.sweep()
    assert (store.names(), store.names(FOLDER)) == ([FOLDER.name], [part(1).name])
    assert (read(store, part(1)), store.size(part(1))) == ([b"one"], 3)
    store.confirm(FOLDER)


def test_a_part_whose_writing_fails_is_not_there(store):
    def fails(file):
        file.write(b"half")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="middle"):
        store.publish(part(1), fails)
    assert store.names(FOLDER) == []
    store.publish(part(1), holding(b"one"))
    with pytest.raises(ValueError, match="middle"):
        store.replace(FOLDER, [part(1)], [(part(2), holding(b"two")), (part(3), fails)])
    store.sweep()
    assert (store.names(FOLDER), read(store, part(1))) == ([part(1).name], [b"one"])


def test_parts_of_a_year_are_replaced_in_one_step_and_others_stay(store):
    for n in (1, 2, 3):
        store.publish(part(n), holding(b"%d" % n))
    store.publish(OTHER, holding(b"other"))
    assert store.can_replace()
    store.replace(FOLDER, [part(1), part(2)], [(part(4), holding(b"1 2"))])
    assert store.names(FOLDER) == [part(3).name, part(4).name]
    assert read(store, part(3), part(4), OTHER) == [b"3", b"1 2", b"other"]
    with pytest.raises(FileNotFoundError):
        store.size(part(1))
    store.remove([part(3)])
    assert store.names(FOLDER) == [part(4).name]


def test_a_mark_is_another_one_after_a_change(store):
    def mark():
        return wait_for(lambda: store.mark(FOLDER), "a mark")

    store.publish(part(1), holding(b"1"))
    first = mark()
    assert mark() == first
    store.replace(FOLDER, [part(1)], [(part(2), holding(b"2"))])
    assert store.mark(FOLDER) != first


def test_parts_move_out_and_back_to_another_name(store):
    for n in (1, 2):
        store.publish(part(n), holding(b"%d" % n))
    store.retire([part(2)])
    assert (store.names(FOLDER), store.retired(FOLDER)) == ([part(1).name], [part(2).name])
    store.retire([part(1)])
    assert store.names() == []
    assert store.retired() == [FOLDER.name]
    assert store.retired_source(part(1)).read_bytes() == b"1"
    store.restore({part(1): part(3), part(2): part(2)})
    assert (store.retired(), store.names(FOLDER)) == ([], [part(2).name, part(3).name])
    assert read(store, part(2), part(3)) == [b"2", b"1"]


def test_while_readers_share_it_parts_are_only_added(store):
    store.publish(part(1), holding(b"1"))
    changes = [
        lambda: store.replace(FOLDER, [part(1)], [(part(3), holding(b"3"))]),
        lambda: store.remove([part(1)]),
        lambda: store.retire([part(1)]),
    ]
    with store.shared(), store.shared():
        store.publish(part(2), holding(b"2"))
        for change in changes:
            with pytest.raises(Busy):
                change()
        assert read(store, part(1), part(2)) == [b"1", b"2"]
    changes[0]()
    assert store.names(FOLDER) == [part(2).name, part(3).name]


def test_one_compactor_has_the_turn(store):
    class Enough(Exception):
        pass

    def wait(seconds):
        raise Enough

    with store.turn(wait):
        store.check_turn()
        with pytest.raises(Enough), store.turn(wait):
            pass
    with store.turn(wait):
        pass


def test_what_is_held_stays(store, tmp_path):
    place = tmp_path / "held"
    place.mkdir()
    store.publish(part(1), holding(b"1"))
    for _ in range(2):
        store.hold([part(1)], place)
    store.replace(FOLDER, [part(1)], [])
    assert store.held(place, part(1)).read_bytes() == b"1"
    with pytest.raises(FileNotFoundError):
        store.hold([part(1)], place)
