"""A short run of tests.chaos.adversary: every attack, on all three processes, beside visitors."""

from tests.chaos.adversary import ATTACKS, adversary


def test_no_stranger_costs_an_ordinary_visitor_more_than_a_moment(tmp_path):
    totals, problems = adversary(tmp_path, seconds=12, seed=1, names=list(ATTACKS))
    assert problems == [], totals
    assert sum(totals["attacks"].values()) > 20
    assert totals["acknowledged"] > 500
