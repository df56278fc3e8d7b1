r"""The event that a logged request becomes.

    event_type  see ingest.importers.logged_request
    path        the target up to its first "?", as the client sent it: an absolute target
                (http://host/x) stays one. "/" if it is empty, or if there is none
    referrer    left out if there is none
    props       status and method; of a page view neither, for it is a GET that was answered
    browser, os, device, bot
                by the agent, which is not kept; robots are marked, and kept
    country     by the address, which is not kept, if there is a file that knows it
    utm_…, click_id
                by the query of a page view or a download
    user_id     of a page view or a download: what a person does. That a browser fetches the style
                of a page is no visit, and makes none longer

Control characters, and bytes that are not UTF-8, become \xhh, so the collector has no reason to
refuse them. A path or referrer that is too long is cut.
"""

import re
from dataclasses import dataclass
from typing import Any

from ingest.context import agent
from ingest.context.country import Countries
from ingest.importers.campaign import campaign
from ingest.importers.logged_request import LoggedRequest, kind
from ingest.importers.record import LONGEST, Record

TEXT_CHARACTERS_MAX = min(LONGEST["path"], LONGEST["referrer"])
OF_A_PERSON = frozenset({"page_view", "download"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_METHOD = re.compile(rb"[A-Za-z-]{1,16}")  # else it is no request: a scan, or another protocol


@dataclass(frozen=True, slots=True)
class Mapping:
    """What is asked of an import of logs."""

    every_line: bool = False  # a page view each, whatever its method or status
    lasting_visitors: bool = False  # one user_id on every day
    hostname: str | None = None  # of all pages
    countries: Countries | None = None

    def record(self, read: LoggedRequest | Record) -> Record:
        """What is none of a log's stays what it is."""
        return self._mapped(read) if isinstance(read, LoggedRequest) else read

    def _mapped(self, request: LoggedRequest) -> Record:
        event: dict[str, Any] = {
            "event_type": "page_view" if self.every_line else kind(request),
            "path": text(request.path) or "/",
            "timestamp": request.timestamp,
        }
        if request.referrer:
            event["referrer"] = text(request.referrer)
        if self.every_line:
            return Record(event, _lasting(request))
        self._add_facts(event, request)
        if event["event_type"] not in OF_A_PERSON:
            return Record(event)
        event |= campaign(text(request.query)) if request.query else {}
        if self.lasting_visitors:
            return Record(event, _lasting(request))
        return Record(event, _of_the_day(request), is_daily=True)

    def _add_facts(self, event: dict[str, Any], request: LoggedRequest) -> None:
        if event["event_type"] != "page_view":
            event["props"] = {"status": request.status}
            if _METHOD.fullmatch(request.method):
                event["props"]["method"] = request.method.decode()
        if self.hostname:
            event["hostname"] = self.hostname
        if request.agent is not None:
            found = agent.classify(request.agent)
            event |= {name: fact for name, fact in found._asdict().items() if fact}
        if self.countries is not None:
            country = self.countries.of(request.address.decode("latin-1"), "", {})
            event |= {"country": country} if country else {}


def _lasting(request: LoggedRequest) -> bytes:
    return request.address + b"\x1f" + (request.agent or b"")


def _of_the_day(request: LoggedRequest) -> bytes:
    return request.timestamp[:10].encode() + b"\x1f" + _lasting(request)


def text(raw: bytes) -> str:
    decoded = raw.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", decoded)[:TEXT_CHARACTERS_MAX]
