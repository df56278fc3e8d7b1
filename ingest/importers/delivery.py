"""Sends batches of events to a running ingest, and outlasts its short absences.

A batch is tried again when there is no answer (refused, reset, timed out) and when the answer
means "later" (429, 503; 502 and 504 from a proxy whose ingest is restarting). The collector may
have kept a batch whose answer was lost: the event_id in every event makes the repeat harmless.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import msgspec

TRY_S_MAX = 30.0
ANSWER_BYTES_MAX = 1024 * 1024
LATER = {429, 502, 503, 504}
HEADERS = {"Content-Type": "application/x-ndjson", "User-Agent": "footfall-accesslog"}


class Undelivered(Exception):
    """The collector cannot be reached, or does not take events. Trying again would not help."""


class TooLarge(Exception):
    """The collector takes less at a time."""


class NotNow(Exception):
    """This try failed; the next one may not."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Rejection(msgspec.Struct, frozen=True):
    index: int
    code: str = ""
    detail: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What ingest says: a receipt for a batch, or the code and detail of a problem."""

    accepted: int = 0
    rejected: int = 0
    errors: tuple[Rejection, ...] = ()
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between two tries, and how long one batch may take in all."""

    first_s: float = 0.5
    longest_s: float = 10.0
    total_s: float = 120.0
    # Seams: tests have a clock that goes on only when they sleep.
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Delivery:
    """One kept connection to one collector; `token` is what ingest knows an import by, or a key
    of the site."""

    def __init__(
        self, url: str, patience: Patience, on_wait: Callable[[str], None], token: str = ""
    ) -> None:
        self._headers = HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        self._path = urlsplit(url).path.rstrip("/") + "/events"
        self._connection = connection(url)
        self._patience = patience
        self._on_wait = on_wait

    def send(self, events: Sequence[bytes]) -> Answer:
        """The receipt for `events`, after as many tries as patience allows. A collector, or a proxy
        before it, that finds them too many is sent the halves."""
        try:
            return self._send(events)
        except TooLarge as refusal:
            if len(events) == 1:
                raise Undelivered(str(refusal)) from None
            middle = len(events) // 2
            return joined(self.send(events[:middle]), middle, self.send(events[middle:]))

    def _send(self, events: Sequence[bytes]) -> Answer:
        body = b"\n".join(events)
        waits = Waits(self._patience, self._on_wait)
        while True:
            try:
                return receipt(*self._post(body), len(events))
            except NotNow as reason:
                waits.wait(reason)

    def close(self) -> None:
        self._connection.close()

    def _post(self, body: bytes) -> tuple[int, str, Answer]:
        try:
            self._connection.request("POST", self._path, body, self._headers)
            response = self._connection.getresponse()
            content = response.read(ANSWER_BYTES_MAX)
        except (OSError, HTTPException) as error:
            self._connection.close()  # the next request opens it again
            raise NotNow(str(error) or type(error).__name__) from error
        return response.status, response.getheader("Retry-After", ""), answer(content)


class Waits:
    """The pauses of one batch: each twice the last, or what the collector asks for."""

    def __init__(self, patience: Patience, on_wait: Callable[[str], None]) -> None:
        self._patience = patience
        self._on_wait = on_wait
        self._started_s = patience.clock()
        self._pause_s = patience.first_s
        self._announced = False

    def wait(self, reason: NotNow) -> None:
        pause_s = max(self._pause_s, reason.retry_after_s)
        waited_s = self._patience.clock() - self._started_s
        if waited_s + pause_s > self._patience.total_s:
            raise Undelivered(f"{reason}; gave up after {waited_s:.0f} s") from reason
        if not self._announced:
            self._on_wait(f"{reason}; trying again for up to {self._patience.total_s:.0f} s")
            self._announced = True
        self._patience.sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, self._patience.longest_s)


def connection(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname, url
    # The port is always given: without one, http.client takes the end of an IPv6 address for it.
    if parts.scheme == "https":
        return HTTPSConnection(parts.hostname, parts.port or 443, timeout=TRY_S_MAX)
    return HTTPConnection(parts.hostname, parts.port or 80, timeout=TRY_S_MAX)


def answer(content: bytes) -> Answer:
    try:
        return msgspec.json.decode(content, type=Answer)
    except msgspec.DecodeError:
        return Answer()  # not from ingest: a proxy's error page


def joined(first: Answer, count: int, second: Answer) -> Answer:
    """The receipt for `count` events and those after them."""
    later = (Rejection(e.index + count, e.code, e.detail) for e in second.errors)
    return Answer(
        first.accepted + second.accepted,
        first.rejected + second.rejected,
        (*first.errors, *later),
    )


def receipt(status: int, retry_after: str, answer: Answer, count: int) -> Answer:
    """The receipt in an answer to `count` events. Raises NotNow or Undelivered if it is none."""
    said = f"answered {status} {answer.code} {answer.detail}".strip()
    if status in LATER:
        # Only the form in seconds: ingest sends no date, and without it the pauses still grow.
        seconds = int(retry_after) if re.fullmatch(r"\d{1,6}", retry_after) else 0
        raise NotNow(said, seconds)
    if status == 413:
        raise TooLarge(said)
    if status == 422:
        errors = answer.errors or (Rejection(0, answer.code, answer.detail),)
        return Answer(rejected=count, errors=errors)
    if status not in {202, 207}:
        raise Undelivered(said)
    if answer.accepted + answer.rejected != count:
        raise Undelivered(f"{said}, but not how many of {count} events it took; is it Footfall?")
    return answer
