"""What `?visitor=daily` costs an event.   python -m tests.bench.visitor

    plain       to_line, as for POST /event
    named       the same for ?visitor=daily, with the event's own user_id and facts
    visitor     the same, with all that is derived of a request
    zone        the same, of an event with a time zone, as the tracker sends it
    agents      the same, of 5,000 different agents in turn
    strangers   the same, of an agent that was never seen before

Microseconds of one core, the best of seven runs. Not shown: the HTTP parser, which has taken the
headers apart already.
"""

import itertools
import tempfile
import time
import timeit
from datetime import UTC, datetime

import orjson

from ingest.client import Client
from ingest.context.request import Context
from ingest.receipt import Receipt, to_line
from ingest.settings import Settings
from ingest.visitor import Visitors

ROUNDS = 20_000
AGENT = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0"
HEADERS = {b"user-agent": AGENT % 140, b"accept-language": b"de-AT,de;q=0.9,en;q=0.8"}
EVENT = {
    "site_id": "example.com",
    "event_type": "page_view",
    "path": "/pricing",
    "referrer": "https://news.example/item",
    "event_id": "2886794753-1193046",
}
FACTS = {"browser": "Chrome", "country": "AT", "language": "de", "user_id": "1bad1deadbeef123"}


def main() -> None:
    body = orjson.dumps(EVENT)
    named = orjson.dumps(EVENT | FACTS)
    zone = orjson.dumps(EVENT | {"time_zone": "Europe/Vienna"})
    receipt = Receipt(datetime.now(UTC))
    agents = itertools.cycle([HEADERS | {b"user-agent": AGENT % n} for n in range(5_000)])
    strangers = (HEADERS | {b"user-agent": AGENT % n} for n in itertools.count(10_000))
    with tempfile.TemporaryDirectory() as data_dir:
        context = Context(Settings(), Visitors(data_dir))

        def sender(headers):
            return context.identify(Client("203.0.113.7", headers, ""), receipt)

        cases = {
            "plain": lambda: to_line(body, receipt),
            "named": lambda: to_line(named, receipt, sender(HEADERS)),
            "visitor": lambda: to_line(body, receipt, sender(HEADERS)),
            "zone": lambda: to_line(zone, receipt, sender(HEADERS)),
            "agents": lambda: to_line(body, receipt, sender(next(agents))),
            "strangers": lambda: to_line(body, receipt, sender(next(strangers))),
        }
        for name, case in cases.items():
            runs = timeit.repeat(case, timer=time.process_time, number=ROUNDS, repeat=7)
            print(f"{name:10} {min(runs) / ROUNDS * 1e6:6.2f} µs")


if __name__ == "__main__":
    main()
