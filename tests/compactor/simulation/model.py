"""What a file system still has after a power cut: a model of files, names and what was synced.

Every change is an operation that lasts for certain only once it is synced: the bytes of a file by
syncing the file, a name by syncing each folder that the change touched. A power cut loses any of
the others. Those are kept in their order; one that depends on a lost one is lost with it. Bytes
that were not synced may be there, or not, or in part: by sectors of 512 bytes, cut off or zeros.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, product

SECTOR = 512
ROOT = 0

State = dict[str, bytes | None]  # path to content; None is a folder


@dataclass(slots=True)
class Tree:
    folders: dict[int, dict[str, int]]
    files: dict[int, bytes]

    def copy(self) -> "Tree":
        return Tree({n: dict(names) for n, names in self.folders.items()}, dict(self.files))

    def state(self) -> State:
        found: State = {}
        self._walk(ROOT, "", found)
        return found

    def _walk(self, folder: int, prefix: str, found: State) -> None:
        for name, inode in self.folders[folder].items():
            path = prefix + name
            if inode in self.folders:
                found[path] = None
                self._walk(inode, path + "/", found)
            else:
                found[path] = self.files[inode]


@dataclass(slots=True)
class Change:
    """One operation, and what has to be synced before it lasts."""

    kind: str
    arguments: tuple
    waits_for: set[int] = field(default_factory=set)
    torn: tuple[bytes, ...] = ()  # contents that a power cut may leave, for a write

    def apply(self, tree: Tree, content: bytes | None = None) -> None:
        getattr(self, "_" + self.kind)(
            tree, *self.arguments, *(() if content is None else (content,))
        )

    def _name(self, tree: Tree, folder: int, name: str, inode: int) -> None:
        if name not in tree.folders[folder]:
            tree.folders[folder][name] = inode

    def _folder(self, tree: Tree, folder: int, name: str, inode: int) -> None:
        tree.folders.setdefault(inode, {})
        self._name(tree, folder, name, inode)

    def _remove(self, tree: Tree, folder: int, name: str, inode: int) -> None:
        if tree.folders[folder].get(name) == inode and not tree.folders.get(inode):
            del tree.folders[folder][name]

    def _rename(
        self, tree: Tree, source: int, name: str, inode: int, target: int, new: str, _: int | None
    ) -> None:
        if tree.folders[source].get(name) == inode:
            tree.folders[target][new] = tree.folders[source].pop(name)

    def _exchange(
        self, tree: Tree, one: int, name: str, inode: int, other: int, new: str, second: int
    ) -> None:
        names = tree.folders
        if (names[one].get(name), names[other].get(new)) == (inode, second):
            names[one][name], names[other][new] = second, inode

    def _write(self, tree: Tree, inode: int, new: bytes, content: bytes | None = None) -> None:
        tree.files[inode] = new if content is None else content


class FileSystem:
    def __init__(self, state: State) -> None:
        """Everything in `state` lasts."""
        self._base = Tree({ROOT: {}}, {})
        self.now = self._base.copy()
        self.changes: list[Change] = []
        self._next = ROOT
        for path in sorted(state):
            content = state[path]
            if content is None:
                self.make_folder(path)
            else:
                self.write(path, content)
        self._base = self.now.copy()
        self.changes.clear()

    def copy(self) -> "FileSystem":
        twin = FileSystem({})
        twin._base, twin.now, twin._next = self._base.copy(), self.now.copy(), self._next
        twin.changes = [Change(c.kind, c.arguments, set(c.waits_for), c.torn) for c in self.changes]
        return twin

    # What happens

    def write(self, path: str, content: bytes) -> None:
        folder, name = self._place(path)
        inode = self.now.folders[folder].get(name)
        if inode is None:
            inode = self._new()
            self._base.files[inode] = self.now.files[inode] = b""
            self._change("name", folder, name, inode, waits_for={folder})
        old = self.now.files[inode]
        self._change("write", inode, content, waits_for={inode}, torn=torn(old, content))

    def truncate(self, path: str, size: int) -> None:
        inode = self._inode(path)
        old = self.now.files[inode]
        self._change("write", inode, old[:size], waits_for={inode}, torn=(old,))

    def make_folder(self, path: str) -> None:
        folder, name = self._place(path)
        inode = self._new()
        self._base.folders[inode] = {}  # it is there, though perhaps by no name
        self._change("folder", folder, name, inode, waits_for={folder})

    def remove(self, path: str) -> None:
        folder, name = self._place(path)
        self._change("remove", folder, name, self._inode(path), waits_for={folder})

    def link(self, source: str, target: str) -> None:
        folder, name = self._place(target)
        self._change("name", folder, name, self._inode(source), waits_for={folder})

    def rename(self, source: str, target: str) -> None:
        self._both("rename", source, target)

    def exchange(self, one: str, other: str) -> None:
        self._both("exchange", one, other)

    def sync(self, path: str) -> None:
        self._lasts(self._inode(path))
        while self.changes and not self.changes[0].waits_for:
            self.changes.pop(0).apply(self._base)

    def _lasts(self, inode: int) -> None:
        for change in self.changes:
            if inode in change.waits_for:
                change.waits_for.remove(inode)
                if change.kind == "remove" and not change.waits_for:
                    removed = change.arguments[2]
                    if removed in self.now.folders:  # one that has gone for good was empty
                        self._lasts(removed)

    # What is left

    def after_power_cut(self, lost_max: int) -> Iterator[State]:
        """Every state in which at most `lost_max` operations that were not synced are lost."""
        at_risk = [change for change in self.changes if change.waits_for]
        for count in range(lost_max + 1):
            for lost in combinations(at_risk, count):
                yield from self._without(lost)

    def _without(self, lost: tuple[Change, ...]) -> Iterator[State]:
        for contents in product(*(change.torn or (None,) for change in lost)):
            instead = dict(zip(map(id, lost), contents, strict=True))
            tree = self._base.copy()
            for change in self.changes:
                if id(change) not in instead:
                    change.apply(tree)
                elif instead[id(change)] is not None:
                    change.apply(tree, instead[id(change)])
            yield tree.state()

    def _change(
        self, kind: str, *arguments: object, waits_for: set[int], torn: tuple[bytes, ...] = ()
    ) -> None:
        change = Change(kind, arguments, waits_for, torn)
        change.apply(self.now)
        self.changes.append(change)

    def _both(self, kind: str, source: str, target: str) -> None:
        (one, name), (other, new) = self._place(source), self._place(target)
        inode, second = self.now.folders[one][name], self.now.folders[other].get(new)
        self._change(kind, one, name, inode, other, new, second, waits_for={one, other})

    def _new(self) -> int:
        self._next += 1
        return self._next

    def _place(self, path: str) -> tuple[int, str]:
        parent, _, name = path.rpartition("/")
        return self._inode(parent), name

    def _inode(self, path: str) -> int:
        inode = ROOT
        for name in path.split("/") if path else ():
            inode = self.now.folders[inode][name]
        return inode


def torn(old: bytes, new: bytes) -> tuple[bytes, ...]:
    """Contents that a power cut in the middle of a write may leave."""
    sectors = range(len(old) // SECTOR * SECTOR, len(new), SECTOR)
    ends = [max(end, len(old)) for end in (*sectors[:2], *sectors[-1:])]
    cut = [new[:end] for end in ends]
    zeros = [new[:end] + bytes(len(new) - end) for end in ends]
    hole = (
        [new[: ends[0]] + bytes(min(SECTOR, len(new) - ends[0])) + new[ends[0] + SECTOR :]]
        if ends
        else []
    )
    return tuple(dict.fromkeys([old, *cut, *zeros, *(each[: len(new)] for each in hole)]))
