"""What every store has to do, asked of each; an object store would be one more of them."""

import threading
from contextlib import contextmanager, suppress
from datetime import date

import pytest

from compactor.lake.format import Part
from compactor.lake.local import LocalStore
from compactor.lake.lock import POLL_S, Busy, Lost
from compactor.lake.store import Store
from tests.processes import wait_for

DAY = date(2026, 11, 22)
FOLDER = "date=2026-11-22"
READERS_S_MAX = 0.2


class MemoryStore:
    """Parts in a dictionary; bytes get a file when they are asked for, as an object store's do."""

    def __init__(self, cache):
        self._cache = cache
        self._parts, self._retired = {}, {}
        self._turn, self._changes = threading.Lock(), 0
        self._readers, self._held = 0, False

    def names(self, day=None):
        return _names(self._parts, day)

    def mark(self, day=None):
        if not self.names(day):
            raise FileNotFoundError(day)
        return self._changes

    def source(self, part):
        return self._file(self._cache, self._parts, part)

    def size(self, part):
        return len(_get(self._parts, part))

    def glob(self):
        raise NotImplementedError

    def retired(self, day=None):
        return _names(self._retired, day)

    def retired_source(self, part):
        return self._file(self._cache, self._retired, part)

    def prepare(self):
        pass

    sweep = prepare

    def publish(self, part, fill):
        if part in self._parts:
            raise FileExistsError(part.name)
        self._change(self._parts | {part: self._filled(fill)})

    def confirm(self, day):
        pass

    def can_replace(self):
        return True

    def replace(self, day, old, new):
        self._await_readers()
        made = {part: self._filled(fill) for part, fill in new}
        self._change({p: c for p, c in self._parts.items() if p not in old} | made)

    def remove(self, parts):
        self.replace(None, parts, ())

    def retire(self, day):
        return self._move(self._parts, self._retired, day)

    def restore(self, day):
        return self._move(self._retired, self._parts, day)

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

    def _move(self, source, target, day):
        self._await_readers()
        moved = [part for part in source if part.date == day]
        for part in moved:
            target[part] = source.pop(part)
        self._changes += 1
        return len(moved)

    def _change(self, parts):
        self._parts, self._changes = parts, self._changes + 1

    def _await_readers(self):
        with suppress(AssertionError):
            wait_for(lambda: not self._readers, "readers", READERS_S_MAX)
            return
        raise Busy("readers")


def _names(parts, day):
    return sorted({p.name if day else f"date={p.date}" for p in parts if day in (None, p.date)})


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


def part(n, day=DAY):
    return Part(day, f"179530560000{n}-aaaaaaaa-000001.parquet")


def holding(content):
    return lambda file: file.write(content)


def read(store, *parts):
    return [store.source(each).read_bytes() for each in parts]


def test_an_empty_store_has_no_names_and_no_marks(store):
    assert store.names() == store.names(DAY) == store.retired() == store.retired(DAY) == []
    with pytest.raises(FileNotFoundError):
        store.mark(DAY)


def test_a_part_is_there_once_it_is_published_and_its_name_is_never_given_again(store):
    store.publish(part(1), holding(b"one"))
    with pytest.raises(FileExistsError):
        store.publish(part(1), holding(b"other"))
    store.sweep()
    assert (store.names(), store.names(DAY)) == ([FOLDER], [part(1).name])
    assert (read(store, part(1)), store.size(part(1))) == ([b"one"], 3)
    store.confirm(DAY)


def test_a_part_whose_writing_fails_is_not_there(store):
    def fails(file):
        file.write(b"half")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="middle"):
        store.publish(part(1), fails)
    assert store.names(DAY) == []
    store.publish(part(1), holding(b"one"))
    with pytest.raises(ValueError, match="middle"):
        store.replace(DAY, [part(1)], [(part(2), holding(b"two")), (part(3), fails)])
    store.sweep()
    assert (store.names(DAY), read(store, part(1))) == ([part(1).name], [b"one"])


def test_parts_of_a_date_are_replaced_in_one_step_and_others_stay(store):
    for n in (1, 2, 3):
        store.publish(part(n), holding(b"%d" % n))
    other = part(1, date(2026, 11, 21))
    store.publish(other, holding(b"other"))
    assert store.can_replace()
    store.replace(DAY, [part(1), part(2)], [(part(4), holding(b"1 2"))])
    assert store.names(DAY) == [part(3).name, part(4).name]
    assert read(store, part(3), part(4), other) == [b"3", b"1 2", b"other"]
    with pytest.raises(FileNotFoundError):
        store.size(part(1))
    store.remove([part(3)])
    assert store.names(DAY) == [part(4).name]


def test_a_mark_is_another_one_after_a_change(store):
    def mark():
        return wait_for(lambda: store.mark(DAY), "a mark")

    store.publish(part(1), holding(b"1"))
    first = mark()
    assert mark() == first
    store.replace(DAY, [part(1)], [(part(2), holding(b"2"))])
    assert store.mark(DAY) != first


def test_a_date_moves_out_and_back(store):
    store.publish(part(1), holding(b"1"))
    assert store.retire(DAY) == 1
    assert store.names() == []
    assert (store.retired(), store.retired(DAY)) == ([FOLDER], [part(1).name])
    assert store.retired_source(part(1)).read_bytes() == b"1"
    assert store.retire(DAY) == 0
    assert store.restore(DAY) == 1
    assert (store.retired(), read(store, part(1))) == ([], [b"1"])


def test_while_readers_share_it_parts_are_only_added(store):
    store.publish(part(1), holding(b"1"))
    changes = [
        lambda: store.replace(DAY, [part(1)], [(part(3), holding(b"3"))]),
        lambda: store.remove([part(1)]),
        lambda: store.retire(DAY),
    ]
    with store.shared(), store.shared():
        store.publish(part(2), holding(b"2"))
        for change in changes:
            with pytest.raises(Busy):
                change()
        assert read(store, part(1), part(2)) == [b"1", b"2"]
    changes[0]()
    assert store.names(DAY) == [part(2).name, part(3).name]


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
    store.replace(DAY, [part(1)], [])
    assert store.held(place, part(1)).read_bytes() == b"1"
    with pytest.raises(FileNotFoundError):
        store.hold([part(1)], place)
