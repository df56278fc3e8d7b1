"""Answers given before, by their entity tag: as that says all they depend on, none is stale."""

from collections import OrderedDict

ENTRY_BYTES = 400  # of an entry, beside its body: the tag and Python's objects


class AnswerCache:
    """Forgets what was not asked for longest. For one thread."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, tag: str) -> bytes | None:
        body = self._bodies.get(tag)
        if body is not None:
            self._bodies.move_to_end(tag)
        return body

    def put(self, tag: str, body: bytes) -> None:
        if tag in self._bodies:
            return
        self._bodies[tag] = body
        self._bytes += ENTRY_BYTES + len(body)
        while self._bytes > self._bytes_max:
            _, oldest = self._bodies.popitem(last=False)
            self._bytes -= ENTRY_BYTES + len(oldest)
