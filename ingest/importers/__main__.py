"""Sends what other tools have kept to a running Footfall ingest.

The format of a file is recognised by its first lines; plain or gzip; - is standard input. A line
that is not understood is counted, and the first few are named.

In a log a request is a page view, or else an asset, a download, a redirect, an error, or a request
of another method: see logged_request.py. Robots are marked. With --every-line each line is a page
view, whatever was asked for, with what answer, and by whom.

Addresses and agents are not sent: a visitor is known by a hash of both and of the day, keyed with a
secret of the installation in DATA_DIR/visitors (an environment variable; by default data). The same
visitor is the same user_id on a day in every import (with --lasting-visitors or --every-line, on
all days), as long as the secret is there. ingest, which has the same DATA_DIR, knows the importer
by it, and takes events of any time since 1970 from it alone; an ingest elsewhere takes them from
who has a key of the site: --key-file. INGEST_COUNTRY_MMDB names a file of
countries by address, if there is one.

It is safe to run again, after a failure or with a file that has grown: an event's id follows from
its line, so nothing is counted twice, while identical lines of one file are separate events.
Identical lines of different files pass for copies of one line (lines.py says why), so
pipe the logs of several servers in as one: cat web1.log web2.log | ... -

Exit status: 0 all was sent; 1 all was sent but for events that the collector rejected or files
that could not be read to the end; 2 the collector was unreachable or refused; 130 Ctrl-C; 141
the output was closed.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import NoReturn
from urllib.parse import urlsplit

from tqdm import tqdm

from ingest.context.country import Countries
from ingest.importers.delivery import Answer, Delivery, Patience, Undelivered
from ingest.importers.events import NAMED_MAX, Event, Source, Tally, batches_of
from ingest.importers.formats import FORMATS
from ingest.importers.lines import size_bytes
from ingest.importers.mapping import Mapping
from ingest.importers.record import LONGEST
from ingest.secret import ImportSecret, destroy_import_secret, import_secret

HOSTNAME = re.compile(r"[\w.-]{1,253}")
KEY_CHARACTERS_MAX = 1_024
BY_NAME = {each.name: each for each in FORMATS}


def count(answer: Answer, batch: Sequence[Event], tally: Tally) -> None:
    for error in answer.errors[: max(0, NAMED_MAX - tally.rejected)]:
        complain(f"{batch[error.index].place}: rejected: {error.code} {error.detail}")
    tally.sent += answer.accepted
    tally.rejected += answer.rejected


def complain(text: str) -> None:
    tqdm.write(f"import: {text}", file=sys.stderr)  # print would tear the progress bar


def send(options: argparse.Namespace, secret: ImportSecret, mapping: Mapping, tally: Tally) -> None:
    patience = Patience(total_s=options.give_up_after)
    token = options.key or secret.token
    delivery = Delivery(options.url, patience, lambda why: complain(f"{options.url}: {why}"), token)
    disable = options.quiet or not os.isatty(2)
    bar = tqdm(total=size_bytes(options.files), unit="B", unit_scale=True, disable=disable)
    with closing(delivery), bar:
        source = Source(
            options.site,
            secret,
            mapping,
            BY_NAME.get(options.format),
            bar.update,
            complain,
            tally,
        )
        for batch in batches_of(source.events(options.files)):
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
        mapping = mapping_of(options)
    except ValueError as error:
        complain(str(error))
        return 2
    try:
        send(options, secret, mapping, tally)
    except Undelivered as error:
        complain(f"{options.url}: {error} ({so_far.format(tally.sent)})")
        return 2
    except KeyboardInterrupt:
        complain(f"interrupted ({so_far.format(tally.sent)})")
        return 130
    print(tally, flush=True)
    if tally.types:
        print(tally.by_type(), flush=True)
    return 1 if tally.rejected or tally.unread_files else 0


def mapping_of(options: argparse.Namespace) -> Mapping:
    """Raises ValueError, with one line, for a file of countries that cannot be read."""
    mmdb = options.country_mmdb
    return Mapping(
        every_line=options.every_line,
        lasting_visitors=options.lasting_visitors,
        hostname=options.hostname,
        countries=Countries(mmdb, "", "") if mmdb else None,
    )


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
        prog="python -m ingest.importers",
        description=__doc__,
        epilog="formats:\n" + "".join(f"  {each.name:12} {each.title}\n" for each in FORMATS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE")
    add("--site", required=True, type=site_id, help="the site_id of the events")
    add("--url", type=ingest_url, default="http://127.0.0.1:8000", help="default: %(default)s")
    add("--format", choices=sorted(BY_NAME), help="that of all files; default: each its own")
    every = "of a log: a page view, whatever was asked for, with what answer, and by whom"
    add("--every-line", action="store_true", help=every)
    lasting = "of a log: one user_id a visitor on all days, and not on each another one"
    add("--lasting-visitors", action="store_true", help=lasting)
    key = "a file with a key of the site, for an ingest with another DATA_DIR"
    add("--key-file", dest="key", type=key_in, metavar="FILE", help=key)
    own = "of a log: the site's host, from which nobody comes as from elsewhere"
    add("--hostname", type=hostname, help=own)
    waiting = "how long to wait for an ingest that is away or overloaded; default: %(default)s"
    add("--give-up-after", type=int, default=120, metavar="SECONDS", help=waiting)
    add("--quiet", action="store_true", help="no progress bar")
    forget = "destroy the secret behind the visitors of all imports, for good, and end"
    add("--destroy-secret", action=DestroySecret, nargs=0, help=forget)
    parser.set_defaults(
        data_dir=os.environ.get("DATA_DIR", "data"),
        country_mmdb=os.environ.get("INGEST_COUNTRY_MMDB", ""),
    )
    return parser


class DestroySecret(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        try:
            found = destroy_import_secret(parser.get_default("data_dir"))
        except OSError as error:
            parser.exit(1, f"the secret is still there: {error}\n")
        parser.exit(0, "the secret is destroyed\n" if found else "there is no secret\n")


def site_id(text: str) -> str:
    longest = LONGEST["site_id"]
    if not 1 <= len(text) <= longest or not text.isprintable():
        raise argparse.ArgumentTypeError(f"must be 1 to {longest} printable characters")
    return text


def key_in(path: str) -> str:
    try:
        with open(path) as file:
            key = file.read(KEY_CHARACTERS_MAX).strip()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {error}") from None
    if not key.isascii() or not key.isprintable() or not key:
        raise argparse.ArgumentTypeError("must be the key alone, on one line")
    return key


def hostname(text: str) -> str:
    if not HOSTNAME.fullmatch(text):
        raise argparse.ArgumentTypeError("must look like www.example.com")
    return text.lower()


def ingest_url(text: str) -> str:
    parts = urlsplit(text)
    plain = text.isascii() and text.isprintable() and not set(text) & set(" ?#@")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise argparse.ArgumentTypeError("must look like http://host:8000")
    _ = parts.port  # a ValueError if it is not a port
    return text


if __name__ == "__main__":
    sys.exit(main())
