"""What ?visitor=daily costs an event.   python -m tests.bench.visitor

    plain     to_line, as for POST /event
    visitor   the same, with a user_id for the sender
    named     the same, with the event's own user_id

Microseconds of one core, the best of seven runs. Not shown: reading the query string and the
two headers, which the HTTP parser has taken apart already.
"""

import tempfile
import timeit
from datetime import UTC, datetime

import orjson

from ingest.receipt import Receipt, to_line
from ingest.visitor import Visitors

ROUNDS = 50_000
AGENT = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
EVENT = {
    "site_id": "example.com",
    "event_type": "page_view",
    "path": "/pricing",
    "referrer": "https://news.example/item",
    "event_id": "2886794753-1193046",
}


def main() -> None:
    body = orjson.dumps(EVENT)
    named = orjson.dumps(EVENT | {"user_id": "1bad1deadbeef123"})
    receipt = Receipt(datetime.now(UTC))
    today = receipt.at.date()
    with tempfile.TemporaryDirectory() as data_dir:
        visitors = Visitors(data_dir)

        def sender():
            return visitors.sender("203.0.113.7", AGENT, today)

        cases = {
            "plain": lambda: to_line(body, receipt),
            "visitor": lambda: to_line(body, receipt, sender()),
            "named": lambda: to_line(named, receipt, sender()),
        }
        for name, case in cases.items():
            best = min(timeit.repeat(case, number=ROUNDS, repeat=7)) / ROUNDS
            print(f"{name:8} {best * 1e6:5.2f} µs")


if __name__ == "__main__":
    main()
