"""Reads its own acknowledgements, again and again, while everything else goes on.

    python -m tests.chaos.freshness --asks 5000

Several clients post an event and ask for its site in a tight loop. Meanwhile segments close every
second, the compactor runs passes, closed dates are consolidated, and ingest and the compactor are
killed and started again. Each answer must count every acknowledged event of that client's site,
and none that was never sent: an event counted late is too few, one counted twice is too many.
Every second event belongs to one of the last days, every tenth is sent twice under its event_id.
Ends with status 1 if an answer was wrong.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from tests.processes import Stage, compact_once, running

CLIENTS = 4
KILL_EVERY_S = 3.0
DAYS = 40
SETTINGS = {
    "ingest": {"segment_age_s_max": 0.5},
    "compactor": {"pass_age_s_max": 0.5, "poll_interval_s": 0.2},
}
QUESTIONS = ("/stats", "/stats/timeseries", "/stats/breakdown", "/ledger")


class Client(threading.Thread):
    """Posts and asks about one site of its own."""

    def __init__(self, number: int, urls: "Urls", asks: int) -> None:
        super().__init__(daemon=True)
        self.site = f"site-{number}"
        self._urls = urls
        self._asks = asks
        self._http = httpx2.Client(timeout=30)
        self._random = random.Random(number)
        self._tag = ""

        # Unsure: sent, but the connection broke before an answer came
        self.acknowledged = 0
        self.unsure = 0
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        with self._http:
            while sum(self.answers.values()) < self._asks and not self.wrong:
                self._post(f"{self.site}-{self.acknowledged}-{self.unsure}")
                self._ask()

    def _post(self, event_id: str) -> None:
        event = {"site_id": self.site, "event_type": "page_view", "path": "/", "user_id": event_id}
        if self._random.random() < 0.5:
            at = datetime.now(UTC) - timedelta(days=self._random.randint(2, DAYS))
            event["timestamp"] = at.isoformat()
        again = self._random.random() < 0.1
        if again:
            event["event_id"] = event_id
        kept = [self._send(event) for _ in range(2 if again else 1)]
        if any(kept):
            self.acknowledged += 1
        else:
            self.unsure += 1

    def _send(self, event: dict[str, str]) -> bool:
        while True:
            try:
                return self._http.post(self._urls.ingest + "/event", json=event).status_code == 202
            except httpx2.ConnectError:  # nothing was sent
                time.sleep(0.01)
            except httpx2.TransportError:
                return False

    def _ask(self) -> None:
        path = self._random.choice(QUESTIONS)
        parameters = {} if path == "/ledger" else {"site_id": self.site}
        if path == "/stats/breakdown":
            parameters["by"] = "path"
        answer = self._http.get(self._urls.report + path, params=parameters)
        if answer.status_code != 200:
            self.wrong.append(f"{path}: {answer.status_code} {answer.text}")
            return
        self.answers[path] += 1
        for what, views in self._views(path, answer.json()):
            if not self.acknowledged <= views <= self.acknowledged + self.unsure:
                self.wrong.append(
                    f"{path} {what}: {views}, not {self.acknowledged} (+ {self.unsure} unsure)"
                )

    def _views(self, path: str, told: dict) -> list[tuple[str, int]]:
        match path:
            case "/stats":
                return [("views", told["total_views"]), ("users", told["unique_users"])]
            case "/ledger":
                own = next(row for row in told["sites"] if row["site_id"] == self.site)
                if not told["balanced"]:
                    self.wrong.append(f"the ledger is not balanced: {told}")
                total = own["lake"] + own["spool"] + own["duplicates"]
                return [] if total == own["accepted"] else [("ledger", -1)]
            case _:
                return [("views", sum(row["views"] for row in told["rows"]))]


class Urls:
    ingest: str
    report: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--asks", type=int, default=5_000)
    asks = parser.parse_args().asks
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), asks)


class Tidying(threading.Thread):
    """Compacts and consolidates whatever is due, again and again, beside the other compactor."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(daemon=True)
        self._data_dir = data_dir
        self.stop = threading.Event()
        self.consolidations = 0

    def run(self) -> None:
        while not self.stop.wait(0.5):
            self.consolidations += compact_once(self._data_dir).count("consolidated")


def run(data_dir: Path, asks: int, kill_every_s: float = KILL_EVERY_S) -> int:
    """Prints what was asked and what was wrong; returns the exit status."""
    urls = Urls()
    started = time.monotonic()
    with running("report", data_dir) as report:
        urls.report = report.url
        stages = {name: start(name, data_dir) for name in SETTINGS}
        urls.ingest = stages["ingest"].url
        tidying = Tidying(data_dir)
        tidying.start()
        clients = [Client(number, urls, asks // CLIENTS) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        kills, next_kill = 0, time.monotonic() + kill_every_s
        try:
            while any(client.is_alive() for client in clients):
                time.sleep(0.05)
                if time.monotonic() > next_kill:
                    name = "compactor" if kills % 3 == 2 else "ingest"
                    stages[name].kill()
                    stages[name] = start(name, data_dir)
                    urls.ingest = stages["ingest"].url
                    kills, next_kill = kills + 1, time.monotonic() + kill_every_s
        finally:
            tidying.stop.set()
            tidying.join()
            for stage in stages.values():
                stage.kill()
        parts = len(list((data_dir / "lake" / "events").glob("*/*.parquet")))
    print(f"{kills} kills of ingest and the compactor")
    print(f"{tidying.consolidations} consolidations, {parts} parts in the lake")
    return tell(clients, time.monotonic() - started)


def start(name: str, data_dir: Path) -> Stage:
    return Stage(name, data_dir, **SETTINGS[name]).wait_until_up()


def tell(clients: list[Client], seconds: float) -> int:
    answers = sum((client.answers for client in clients), Counter())
    wrong = [line for client in clients for line in client.wrong]
    print(
        f"{answers.total():,} answers in {seconds:.0f} s, {len(clients)} clients: {dict(answers)}"
    )
    print(
        f"{sum(client.acknowledged for client in clients):,} events acknowledged, "
        f"{sum(client.unsure for client in clients)} unsure"
    )
    print(f"{len(wrong)} wrong answers")
    for line in wrong[:10]:
        print("   ", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
