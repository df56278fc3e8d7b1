import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from ingest.importers.delivery import Answer, Delivery, Patience, Rejection, Undelivered
from tests.ingest.importers.stub_collector import HANG_UP, Reply, StubCollector, stub_collector

EVENTS = [b'{"n":1}', b'{"n":2}']
TAKEN = Answer(accepted=2)


class Clock:
    """Goes on only while somebody sleeps, and remembers for how long."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.pauses: list[float] = []
        self.notices: list[str] = []
        self.deliveries = ExitStack()

    def sleep(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.pauses.append(pause_s)

    def delivery(self, url: str, total_s: float = 60.0) -> Delivery:
        patience = Patience(1.0, 4.0, total_s, clock=lambda: self.now_s, sleep=self.sleep)
        delivery = Delivery(url, patience, on_wait=self.notices.append)
        return self.deliveries.enter_context(closing(delivery))


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with clock.deliveries:
        yield clock


@pytest.fixture
def collector() -> Iterator[StubCollector]:
    with stub_collector() as collector:
        yield collector


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_batch_is_one_post_of_one_event_a_line(collector: StubCollector, clock: Clock) -> None:
    assert clock.delivery(collector.url).send(EVENTS) == TAKEN
    assert collector.paths == ["/events"]
    assert collector.bodies == [b'{"n":1}\n{"n":2}']


def test_the_path_of_the_url_stays_in_front(collector: StubCollector, clock: Clock) -> None:
    clock.delivery(collector.url + "/footfall/").send(EVENTS)
    assert collector.paths == ["/footfall/events"]


def test_all_batches_share_one_connection(collector: StubCollector, clock: Clock) -> None:
    delivery = clock.delivery(collector.url)
    for _ in range(5):
        delivery.send(EVENTS)
    assert len(collector.clients) == 1


@pytest.mark.parametrize("later", [Reply(503), Reply(502), Reply(504), HANG_UP], ids=str)
def test_a_batch_is_repeated_until_it_is_taken(
    later: Reply, collector: StubCollector, clock: Clock
) -> None:
    collector.script = [later] * 3
    assert clock.delivery(collector.url).send(EVENTS) == TAKEN
    assert collector.bodies == [b"\n".join(EVENTS)] * 4


def test_pauses_double_up_to_the_longest(collector: StubCollector, clock: Clock) -> None:
    collector.script = [Reply(503)] * 5
    clock.delivery(collector.url).send(EVENTS)
    assert clock.pauses == [1, 2, 4, 4, 4]


def test_pauses_start_anew_with_the_next_batch(collector: StubCollector, clock: Clock) -> None:
    collector.script = [Reply(503), Reply(503), Reply(202, {"accepted": 2}), Reply(503)]
    delivery = clock.delivery(collector.url)
    delivery.send(EVENTS)
    delivery.send(EVENTS)
    assert clock.pauses == [1, 2, 1]


def test_retry_after_makes_a_pause_longer_but_not_shorter(
    collector: StubCollector, clock: Clock
) -> None:
    collector.script = [Reply(503, headers={"Retry-After": seconds}) for seconds in "91"]
    clock.delivery(collector.url).send(EVENTS)
    assert clock.pauses == [9, 2]


@pytest.mark.parametrize("odd", ["Fri, 31 Dec 1999 23:59:59 GMT", "-1", "9" * 5000, "soon"])
def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(
    odd: str, collector: StubCollector, clock: Clock
) -> None:
    collector.script = [Reply(503, headers={"Retry-After": odd})]
    clock.delivery(collector.url).send(EVENTS)
    assert clock.pauses == [1]


def test_a_wait_is_announced_once_for_a_batch(collector: StubCollector, clock: Clock) -> None:
    collector.script = [Reply(503, {"code": "overloaded", "detail": "too busy"})] * 3
    clock.delivery(collector.url).send(EVENTS)
    assert clock.notices == ["answered 503 overloaded too busy; trying again for up to 60 s"]


def test_it_gives_up_when_the_next_pause_would_pass_the_total(
    collector: StubCollector, clock: Clock
) -> None:
    collector.script = [Reply(503)] * 99
    with pytest.raises(Undelivered, match="answered 503; gave up after 7 s"):
        clock.delivery(collector.url, total_s=10).send(EVENTS)
    assert clock.pauses == [1, 2, 4]


def test_it_gives_up_at_once_when_asked_to_wait_longer_than_the_total(
    collector: StubCollector, clock: Clock
) -> None:
    collector.script = [Reply(503, headers={"Retry-After": "3600"})]
    with pytest.raises(Undelivered, match="gave up after 0 s"):
        clock.delivery(collector.url).send(EVENTS)


def test_nobody_at_the_port_is_waited_for_too(clock: Clock) -> None:
    with pytest.raises(Undelivered, match="Connection refused; gave up after"):
        clock.delivery(f"http://127.0.0.1:{closed_port()}", total_s=10).send(EVENTS)
    assert clock.pauses == [1, 2, 4]


def test_the_time_that_tries_take_counts_too(collector: StubCollector, clock: Clock) -> None:
    collector.script = [HANG_UP]
    delivery = clock.delivery(collector.url, total_s=10)
    collector.before_answer = lambda: clock.sleep(30)
    with pytest.raises(Undelivered, match="gave up after 30 s"):
        delivery.send(EVENTS)


def test_an_https_url_is_spoken_to_in_tls(collector: StubCollector, clock: Clock) -> None:
    url = collector.url.replace("http:", "https:")
    with pytest.raises(Undelivered, match="SSL"):
        clock.delivery(url, total_s=0).send(EVENTS)
    assert collector.bodies == []


def test_rejected_events_are_in_the_receipt(collector: StubCollector, clock: Clock) -> None:
    errors = [{"index": 1, "code": "invalid_event", "detail": "why"}]
    collector.script = [Reply(207, {"accepted": 1, "rejected": 1, "errors": errors})]
    assert clock.delivery(collector.url).send(EVENTS) == Answer(
        accepted=1, rejected=1, errors=(Rejection(1, "invalid_event", "why"),)
    )


@pytest.mark.parametrize(
    "body",
    [
        {"code": "invalid_event", "detail": "why"},
        {"rejected": 2, "errors": [{"index": 0, "code": "invalid_event", "detail": "why"}]},
    ],
    ids=["one problem", "a list of errors"],
)
def test_422_rejects_the_whole_batch(
    body: dict[str, object], collector: StubCollector, clock: Clock
) -> None:
    collector.script = [Reply(422, body)]
    assert clock.delivery(collector.url).send(EVENTS) == Answer(
        rejected=2, errors=(Rejection(0, "invalid_event", "why"),)
    )


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 415, 500])
def test_any_other_answer_stops_at_once(
    status: int, collector: StubCollector, clock: Clock
) -> None:
    collector.script = [Reply(status, {"code": "some_code", "detail": "some detail"})]
    with pytest.raises(Undelivered, match=f"answered {status} some_code some detail$"):
        clock.delivery(collector.url).send(EVENTS)
    assert clock.pauses == []


@pytest.mark.parametrize("body", [{}, {"accepted": 1}, {"accepted": 3}, {"accepted": "two"}])
def test_a_receipt_that_does_not_add_up_is_none(
    body: dict[str, object], collector: StubCollector, clock: Clock
) -> None:
    collector.script = [Reply(202, body)]
    with pytest.raises(Undelivered, match="how many of 2 events"):
        clock.delivery(collector.url).send(EVENTS)


def test_the_answer_of_something_else_is_no_receipt(collector: StubCollector, clock: Clock) -> None:
    collector.script = [Reply(202, "<html>Welcome to nginx!</html>")]
    with pytest.raises(Undelivered, match="answered 202, but not how many"):
        clock.delivery(collector.url).send(EVENTS)
