"""The columns that visits are found by, as numbers: a bounded share of the users at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import INSTANT
from compactor.lake.writer import one_chunk, prepare_columns, sort_order

BUCKETS_MAX = 16  # so that to find the visits of very many rows does not take ever longer a row
KEYS = ("site_id", "timestamp", "user_id", "event_type", "bot", "engaged_ms")
VIEW, ENGAGEMENT, OTHER = 0, 1, 2  # what an event is to a visit
KINDS = ("page_view", "engagement")
_KINDS = pa.array(KINDS)
_DAY_US = 86_400_000_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio: spreads what differs little
_HALF = np.uint64(32)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # of a word's first n bytes
_PIECE_ROWS = 65_536  # what a step works on stays in the processor's cache

_NOTHING = pa.table(
    {
        "site_id": pa.array([], pa.string()),
        "timestamp": pa.array([], INSTANT),
        "event_type": pa.array([], pa.string()),
    }
)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that can be read several times: always the same ones in the same order.

    `read` is given names and has the tables of these columns, one after another. A row's position
    counts from 0 over all of them. What a table has no column of is null.
    """

    count: int
    read: Callable[[Sequence[str]], Iterable[pa.Table]]

    def at(self, name: str, positions: Array) -> pa.Array:
        """The values of a column at positions, which ascend."""
        pieces, start = [pa.nulls(0)], 0
        for table in self.read([name]):
            end = start + table.num_rows
            low, high = np.searchsorted(positions, (start, end))
            if low < high:
                column = column_of(table, name)
                pieces.append(_plain(column.take(pa.array(positions[low:high] - start))))
            start = end
        return one_chunk(pa.concat_tables(map(_alone, pieces), promote_options="default")[0])


@dataclass(frozen=True, slots=True)
class Members:
    """The rows that may belong to visits, all of some users, sorted by user, site and time.

    Arrays of one length.
    """

    position: Array  # in the rows
    time_us: Array
    kind: Array
    engaged_ms: Array
    is_first: Array  # of its site, user and UTC date

    def __len__(self) -> int:
        return len(self.position)


def members(rows: Rows, bucket_rows: int) -> Iterator[Members]:
    """Every row that has a user_id and no bot, once.

    A bucket has whole users, of `bucket_rows` rows as long as BUCKETS_MAX are enough: the rows are
    read once for each. (What one user alone did is in one bucket, however much it is.)
    """
    buckets = max(1, min(-(-rows.count // bucket_rows), BUCKETS_MAX))
    bucket_of = _bucket_of_each(rows, buckets) if buckets > 1 else np.zeros(rows.count, np.uint8)
    for bucket in range(buckets):
        yield _sorted(_keys(rows, bucket_of == bucket))


def column_of(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name in table.column_names:
        return table[name]
    return pa.chunked_array([pa.nulls(table.num_rows)])


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without codes."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _alone(column: pa.ChunkedArray | pa.Array) -> pa.Table:
    return pa.table({"": column})


def _pieces(rows: Rows, names: Sequence[str]) -> Iterator[pa.Table]:
    for table in rows.read(names):
        for start in range(0, table.num_rows, _PIECE_ROWS):
            yield table.slice(start, _PIECE_ROWS)


def _bucket_of_each(rows: Rows, buckets: int) -> Array:
    """A byte a row."""
    return np.concatenate(
        [
            _bucket_of(one_chunk(column_of(table, "user_id").cast(pa.string())), buckets)
            for table in _pieces(rows, ["user_id"])
        ]
    )


def _bucket_of(users: pa.Array, buckets: int) -> Array:
    """Of each user the bucket: equal texts have the same; different ones need not differ.

    The first eight bytes and the last eight are enough to share users out evenly.
    """
    _, offsets, data = users.buffers()
    ends = np.frombuffer(offsets, np.int32)[users.offset :][: len(users) + 1].astype(np.int64)
    start, end = ends[:-1], ends[1:]
    text = bytes(data or b"")[: end[-1]] + bytes(8)
    words = np.ndarray(len(text) - 7, "<u8", text, strides=(1,))  # from each byte on
    mask = _MASKS[np.minimum(end - start, 8)]
    mixed = (words[start] & mask) * _GOLDEN
    mixed = (mixed ^ (mixed >> _HALF)) + (words[np.maximum(end - 8, start)] & mask)
    result: Array = ((mixed * _GOLDEN >> _HALF) % np.uint64(buckets)).astype(np.uint8)
    return result


def _keys(rows: Rows, is_asked: Array) -> pa.Table:
    pieces, start = [_keys_of(_NOTHING, 0, is_asked)], 0
    for table in _pieces(rows, KEYS):
        pieces.append(_keys_of(table, start, is_asked))
        start += table.num_rows
    assert start == rows.count, "the rows are not those that were counted"
    return pa.concat_tables(pieces)


def _keys_of(table: pa.Table, start: int, is_asked: Array) -> pa.Table:
    is_member = pc.and_(
        pc.and_(pc.is_valid(column_of(table, "user_id")), pc.is_null(column_of(table, "bot"))),
        pa.array(is_asked[start : start + table.num_rows]),
    )
    table = table.filter(is_member)
    return pa.table(
        {
            "site_id": pc.dictionary_encode(table["site_id"]),
            "timestamp": table["timestamp"].cast(INSTANT).cast(pa.int64()),
            "user_id": column_of(table, "user_id").cast(pa.string()),
            "kind": _kind_of(table["event_type"]),
            "engaged_ms": pc.fill_null(column_of(table, "engaged_ms").cast(pa.int64()), 0),
            "position": pa.array(start + np.flatnonzero(is_member.to_numpy())),
        }
    )


def _kind_of(event_type: pa.ChunkedArray) -> pa.Array:
    """Looks at each type once, not at each row."""
    coded = one_chunk(pc.dictionary_encode(event_type).unify_dictionaries())
    kinds = pc.fill_null(pc.index_in(coded.dictionary, _KINDS), OTHER)
    return kinds.cast(pa.int8()).take(coded.indices)


def _sorted(keys: pa.Table) -> Members:
    # codes tell users apart for certain, and are sorted in a fraction of the time of texts
    user = _indices(pc.dictionary_encode(keys["user_id"]))
    keys = keys.drop_columns(["user_id"])
    site = _indices(keys["site_id"].unify_dictionaries())
    time_us = _numbers(keys["timestamp"])
    by_time = None
    if not _is_sorted(site, time_us):
        by_time = sort_order(prepare_columns(keys.select(["site_id", "timestamp"]))).to_numpy()
        user = user[by_time]
    # a row's place by site and time stands in the low bits: one sort of plain numbers does it
    key = user.astype(np.int64)
    key <<= 32
    key |= np.arange(len(key))
    key.sort()
    order = key & 0xFFFFFFFF
    order = order if by_time is None else by_time[order]
    key >>= 32
    time_us = time_us[order]
    is_first = changes(key) | changes(site[order]) | changes(time_us // _DAY_US)
    del key
    position, kind, engaged_ms = (
        _numbers(keys[name])[order] for name in ("position", "kind", "engaged_ms")
    )
    return Members(position, time_us, kind, engaged_ms, is_first)


def _is_sorted(site: Array, time_us: Array) -> bool:
    """By time within site, and each site in one piece: as the lake has them."""
    is_new = changes(site)
    runs = site[is_new]
    ascends = is_new[1:] | (time_us[1:] >= time_us[:-1])
    return bool(ascends.all()) and len(np.unique(runs)) == len(runs)


def changes(values: Array) -> Array:
    """True where a value is not the one before it, and at the first."""
    return np.concatenate(([True], values[1:] != values[:-1]))[: len(values)]


def _indices(coded: pa.ChunkedArray) -> Array:
    """Codes; the chunks have one dictionary, as dictionary_encode() and unify_dictionaries() do."""
    chunks = (chunk.indices.to_numpy() for chunk in coded.chunks)
    return np.concatenate([np.empty(0, np.int32), *chunks])


def _numbers(column: pa.ChunkedArray) -> Array:
    """Straight into one array: Arrow would need as much once more to join the chunks."""
    result: Array = column.to_numpy()
    return result
