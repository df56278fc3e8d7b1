"""Sends the page views in web server logs to a running Footfall ingest.

Reads Apache and nginx logs in the common or combined format, plain or gzip; - is standard input.
Every line of that form is one page view, whatever its method or status (logline.py has
the mapping). Any other line is counted, and the first few are named.

Addresses and agents are not sent: a visitor is known by a hash of both, keyed with a secret of the
installation in DATA_DIR/visitors (an environment variable; by default data). The same visitor is
the same user_id as long as the secret is there. ingest, which has the same DATA_DIR, knows the
importer by it, and takes events of any time since 1970 from it alone.

It is safe to run again, after a failure or with a log that has grown: an event's id follows from
its line, so nothing is counted twice, while identical lines of one file are separate events.
Identical lines of different files pass for copies of one line (logfile.py says why), so
pipe the logs of several servers in as one: cat web1.log web2.log | ... -

Exit status: 0 all was sent; 1 all was sent but for events that the collector rejected or files
that could not be read to the end; 2 the collector was unreachable or refused; 130 Ctrl-C; 141
the output was closed.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

import msgspec
from tqdm import tqdm

from ingest.batch import BATCH_DATES_MAX
from ingest.importers.delivery import Answer, Delivery, Patience, Undelivered
from ingest.importers.formats import combined
from ingest.importers.lines import READ_ERRORS, EventIds, read_lines, size_bytes
from ingest.importers.record import seed
from ingest.secret import ImportSecret, destroy_import_secret, import_secret

BATCH_EVENTS_MAX = 1000
BATCH_BYTES_MAX = 1024 * 1024  # ingest takes ten times that; nginx in front, by default, does not
NAMED_MAX = 5  # lines named on stderr for each thing that can be wrong with them


class Event(NamedTuple):
    place: str
    date: str
    body: bytes


@dataclass(slots=True)
class Tally:
    """What became of each line read."""

    lines: int = 0
    sent: int = 0
    not_log_lines: int = 0
    rejected: int = 0
    unread_files: int = 0

    def __str__(self) -> str:
        return (
            f"{self.lines} lines: {self.sent} sent, "
            f"{self.not_log_lines} not log lines, {self.rejected} rejected"
        )


def events_of(
    names: Sequence[str],
    site_id: str,
    secret: ImportSecret,
    on_bytes: Callable[[int], object],
    tally: Tally,
) -> Iterator[Event]:
    """The events of all files. One that cannot be read costs what is left of it, not the others."""
    for name in names:
        try:
            yield from events_of_file(name, site_id, secret, on_bytes, tally)
        except READ_ERRORS as error:
            tally.unread_files += 1
            complain(f"{name}: {getattr(error, 'strerror', None) or error}")


def events_of_file(
    name: str,
    site_id: str,
    secret: ImportSecret,
    on_bytes: Callable[[int], object],
    tally: Tally,
) -> Iterator[Event]:
    with closing(EventIds()) as ids:
        for line in read_lines(name, on_bytes):
            tally.lines += 1
            record = combined.read(line.raw)
            if record is None:
                tally.not_log_lines += 1
                if tally.not_log_lines <= NAMED_MAX:
                    complain(f"{line.place}: not a log line")
                continue
            event = {"site_id": site_id, "event_id": ids.next(seed(record, line.raw))}
            if record.visitor is not None:
                event["user_id"] = secret.user_id(site_id, record.visitor)
            event |= record.event
            yield Event(line.place, event["timestamp"][:10], msgspec.json.encode(event))


def batches_of(events: Iterable[Event]) -> Iterator[list[Event]]:
    batch: list[Event] = []
    batch_bytes, dates = 0, set[str]()
    for event in events:
        event_bytes = len(event.body) + 1  # and its line ending
        dates.add(event.date)
        if (
            len(batch) == BATCH_EVENTS_MAX
            or batch_bytes + event_bytes > BATCH_BYTES_MAX
            or len(dates) > BATCH_DATES_MAX
        ):
            yield batch
            batch, batch_bytes, dates = [], 0, {event.date}
        batch.append(event)
        batch_bytes += event_bytes
    if batch:
        yield batch


def count(answer: Answer, batch: Sequence[Event], tally: Tally) -> None:
    for error in answer.errors[: max(0, NAMED_MAX - tally.rejected)]:
        complain(f"{batch[error.index].place}: rejected: {error.code} {error.detail}")
    tally.sent += answer.accepted
    tally.rejected += answer.rejected


def complain(text: str) -> None:
    tqdm.write(f"accesslog: {text}", file=sys.stderr)  # print would tear the progress bar


def send(options: argparse.Namespace, secret: ImportSecret, tally: Tally) -> None:
    patience = Patience(total_s=options.give_up_after)
    delivery = Delivery(
        options.url, patience, lambda why: complain(f"{options.url}: {why}"), secret.token
    )
    disable = options.quiet or not os.isatty(2)
    bar = tqdm(total=size_bytes(options.files), unit="B", unit_scale=True, disable=disable)
    with closing(delivery), bar:
        events = events_of(options.files, options.site, secret, bar.update, tally)
        for batch in batches_of(events):
            count(delivery.send([event.body for event in batch]), batch, tally)


def run(options: argparse.Namespace) -> int:
    tally = Tally()
    so_far = "{} events were sent before; it is safe to run it again"
    try:
        secret = import_secret(options.data_dir)
    except OSError as error:
        complain(f"DATA_DIR {options.data_dir!r} takes no secret for visitors: {error.strerror}")
        return 2
    try:
        send(options, secret, tally)
    except Undelivered as error:
        complain(f"{options.url}: {error} ({so_far.format(tally.sent)})")
        return 2
    except KeyboardInterrupt:
        complain(f"interrupted ({so_far.format(tally.sent)})")
        return 130
    print(tally, flush=True)
    return 1 if tally.rejected or tally.unread_files else 0


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments().parse_args(argv)
    try:
        return run(options)
    except BrokenPipeError:
        # Whoever read our output is gone. Not SIG_DFL for SIGPIPE instead: it would also end us
        # when the collector hangs up. Python flushes both once more at exit: into nothing.
        nothing = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nothing, stream.fileno())
        return 141  # 128 + SIGPIPE, as for 130


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ingest.accesslog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE")
    add("--site", required=True, type=site_id, help="the site_id of the events")
    add("--url", type=ingest_url, default="http://127.0.0.1:8000", help="default: %(default)s")
    waiting = "how long to wait for an ingest that is away or overloaded; default: %(default)s"
    add("--give-up-after", type=int, default=120, metavar="SECONDS", help=waiting)
    add("--quiet", action="store_true", help="no progress bar")
    forget = "destroy the secret behind the visitors of all imports, for good, and end"
    add("--destroy-secret", action=DestroySecret, nargs=0, help=forget)
    parser.set_defaults(data_dir=os.environ.get("DATA_DIR", "data"))
    return parser


class DestroySecret(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        try:
            found = destroy_import_secret(parser.get_default("data_dir"))
        except OSError as error:
            parser.exit(1, f"the secret is still there: {error}\n")
        parser.exit(0, "the secret is destroyed\n" if found else "there is no secret\n")


def site_id(text: str) -> str:
    if not 1 <= len(text) <= 64 or not text.isprintable():
        raise argparse.ArgumentTypeError("must be 1 to 64 printable characters")
    return text


def ingest_url(text: str) -> str:
    parts = urlsplit(text)
    plain = text.isascii() and text.isprintable() and not set(text) & set(" ?#@")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise argparse.ArgumentTypeError("must look like http://host:8000")
    _ = parts.port  # a ValueError if it is not a port
    return text


if __name__ == "__main__":
    sys.exit(main())
