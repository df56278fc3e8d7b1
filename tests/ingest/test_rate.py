"""What one address may send: offices are not refused, floods are, and memory has an end."""

import random
import sys
from collections import Counter
from datetime import date

import httpx2
import pytest

from ingest.rate import Rate
from ingest.refusal import Refused
from ingest.settings import Settings
from tests.processes import running

ADDRESS = "198.41.0.4"
OFFICE = 1_000  # people behind one address


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def passes(rate, address=ADDRESS):
    try:
        rate.take(address)
        return True
    except Refused:
        return False


def test_a_burst_passes_and_then_so_many_a_second(clock):
    rate = Rate(10, 50, clock=clock)
    assert [passes(rate) for _ in range(60)] == [True] * 50 + [False] * 10
    clock.now += 1.0
    assert sum(passes(rate) for _ in range(60)) == 10
    with pytest.raises(Refused) as refused:
        rate.take(ADDRESS)
    assert refused.value.headers == {"retry-after": "1"}
    clock.now += 3_600
    assert sum(passes(rate) for _ in range(60)) == 50


def test_a_batch_is_taken_whole_and_the_next_one_waits_for_it(clock):
    rate = Rate(10, 50, clock=clock)
    rate.take(ADDRESS)
    rate.take_more(ADDRESS, 999)
    clock.now += 94.0
    with pytest.raises(Refused) as refused:
        rate.take(ADDRESS)
    assert refused.value.headers == {"retry-after": "2"}  # 1,000 events are 50 and 95 s
    clock.now += 2.0
    assert passes(rate)


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("198.41.0.4", "198.41.0.5", False),
        ("2606:4700:1:2::1", "2606:4700:1:2:ffff::9", True),
        ("2606:4700:1:2::1", "2606:4700:1:3::1", False),
        ("198.41.0.4", "::ffff:198.41.0.4", True),
        ("fe80::1%eth0", "fe80::1%eth0", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("10.1.2.3", "10.1.2.3", False),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3", False),
        ("::1", "::1", False),
        ("", "", False),
    ],
)
def test_an_address_and_a_64_have_a_bucket_and_this_machine_and_its_networks_none(
    one, other, are_one, clock
):
    rate = Rate(1, 1, clock=clock)
    assert passes(rate, one)
    assert passes(rate, other) != are_one


def test_a_flood_of_addresses_costs_bounded_memory_and_refuses_nobody_else(clock):
    rate = Rate(100, 3_000, buckets_max=1_000, clock=clock)
    for n in range(10_000):
        clock.now += 1e-4
        assert passes(rate, f"2606:4700:{n >> 8:x}:{n & 255:x}::1")
    generations = rate._young, rate._old
    assert max(map(len, generations)) <= 1_000
    assert sum(map(sys.getsizeof, generations)) < 200_000
    assert passes(rate)


def test_who_is_silent_is_forgotten(clock):
    rate = Rate(100, 3_000, clock=clock)
    rate.take(ADDRESS)
    for _ in range(2):
        clock.now += 131  # the emptiest bucket is full: (3,000 + 10,000) / 100
        rate.take("198.41.0.5")
    assert len(rate._young) == 1 and len(rate._old) == 1


def test_an_office_behind_one_address_is_never_refused_with_the_defaults(clock):
    """1,000 people: all open the site within ten seconds of nine o'clock, and read on for five
    minutes, a page in 30 s; each page is a view, an engagement when hidden, one when left."""
    settings = Settings()
    rate = Rate(settings.rate_per_s, settings.rate_burst, clock=clock)
    rng = random.Random(date(2026, 11, 25).toordinal())
    times = []
    for _ in range(OFFICE):
        at = rng.uniform(0, 10)
        while at < 300:
            leaves = at + rng.expovariate(1 / 30)
            times += [at, rng.uniform(at, leaves), leaves]
            at = leaves
    assert max(Counter(map(int, times)).values()) > settings.rate_per_s  # they live on the burst
    for clock.now in sorted(times):
        assert passes(rate)


def test_a_flood_is_told_to_wait_and_a_bystander_is_not(tmp_path):
    """Through a proxy whose word is believed; what stands left of it is a stranger's claim."""
    settings = {"rate_per_s": 1, "rate_burst": 5, "trusted_proxies": "127.0.0.1"}
    body = {"site_id": "blog", "event_type": "page_view"}

    def post(path, address, json):
        headers = {"x-forwarded-for": f"1.1.1.1, {address}", "origin": "https://a.example"}
        return client.post(ingest.url + path, json=json, headers=headers)

    with running("ingest", tmp_path, **settings) as ingest, httpx2.Client() as client:
        answers = [post("/event", ADDRESS, body) for _ in range(7)]
        assert [each.status_code for each in answers] == [202] * 5 + [429] * 2
        assert answers[-1].json()["code"] == "rate_limited"
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[-1].headers["access-control-allow-origin"] == "*"
        assert post("/events", ADDRESS, [body]).status_code == 429
        assert post("/event", "198.41.0.5", body).status_code == 202
        assert post("/events", "198.41.0.6", [body] * 20).status_code == 202
        waits = post("/events", "198.41.0.6", [body])
        assert (waits.status_code, waits.headers["retry-after"]) == (429, "16")
        assert client.get(ingest.url + "/health", headers={"x-forwarded-for": ADDRESS}).is_success
        text = client.get(ingest.url + "/metrics").text
        assert 'ingest_refused_total{code="rate_limited"} 4.0' in text
        assert ADDRESS not in text + ingest.log.read_text()
        here = [client.post(ingest.url + "/event", json=body) for _ in range(9)]
        assert {each.status_code for each in here} == {202}
