"""Exact intervals of consecutive numbers."""

from compactor.lake import numbers


def test_neighbours_become_one_span_whatever_their_order():
    found = numbers.joined(
        [{"a": [(5, 7)]}, {"a": [(1, 2)], "b": [(9, 9)]}, numbers.of([("a", 3), ("a", 4)])]
    )
    assert found == {"a": [(1, 7)], "b": [(9, 9)]}
    assert numbers.joined([{"a": [(1, 2), (4, 5)]}, {"a": [(2, 2)]}]) == {"a": [(1, 2), (4, 5)]}


def test_what_is_missing_between_them_is_not_in_it():
    found = numbers.of([("a", 1), ("a", 3)])
    assert [numbers.has(found, "a", n) for n in range(5)] == [False, True, False, True, False]
    assert not numbers.has(found, "b", 1)


def test_they_stay_short_and_the_oldest_owners_go_first():
    many = [
        numbers.of(("old", 2 * n) for n in range(600)),
        numbers.of(("new", 2 * n) for n in range(600)),
    ]
    assert sum(map(len, numbers.joined(many).values())) == 1_200, "who asks is told exactly"
    assert not numbers.within(many[0], many[1])
    found = numbers.to_keep(many)
    assert sum(map(len, found.values())) == numbers.SPANS_MAX
    assert len(found["new"]) == 600 and not numbers.has(found, "old", 0)
    assert numbers.has(found, "old", 2 * 599)
