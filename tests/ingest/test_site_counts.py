"""Refusals by site: they add up over workers, and no more are named than there is room for."""

import pytest

from ingest.refusal import Refusal
from ingest.site_counts import CELLS, COUNTED, ROWS_MAX, SiteCounts, summed


def page():
    return memoryview(bytearray(CELLS * 8)).cast("q")


def test_pages_of_workers_add_up_whatever_the_order_of_their_sites():
    first, second = page(), page()
    for cells, sites in ((first, "abc"), (second, "cxb")):
        counts = SiteCounts(cells)
        for site in sites:
            counts.add(site, Refusal.FOREIGN_HOST)
        counts.add("", Refusal.UNKNOWN_SITE)
    assert summed([first, second], ["a", "b", "c", "idle"]) == {
        ("a", Refusal.FOREIGN_HOST): 1,
        ("b", Refusal.FOREIGN_HOST): 2,
        ("c", Refusal.FOREIGN_HOST): 2,
        ("", Refusal.FOREIGN_HOST): 1,  # x, which is in sites.toml no more
        ("", Refusal.UNKNOWN_SITE): 2,
    }


@pytest.mark.parametrize("sites", [ROWS_MAX - 1, ROWS_MAX + 50])
def test_more_sites_than_rows_are_counted_without_a_name(sites):
    cells = page()
    counts = SiteCounts(cells)
    names = [f"site-{n}" for n in range(sites)]
    for name in names:
        for refusal in COUNTED:
            counts.add(name, refusal)
    told = summed([cells], names)
    assert len({name for name, _ in told if name}) == min(sites, ROWS_MAX - 1)
    assert sum(told.values()) == sites * len(COUNTED)
