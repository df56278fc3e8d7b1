"""What every request passes: who may ask, and what is counted."""

import time
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.sites.watched import Watched
from report.http.reader import NO_SITES, Audience, reader_of
from report.http.responses import refuse
from report.problem import Code, Problem


class Guard:
    """Looks at who asks before anything else is looked at, and leaves that in the request's state
    as `reader`. A path that is not in `audiences` is the operator's.

    With a token it asks for that, or one of sites.toml (Bearer, RFC 6750). Without one whoever
    reaches the loopback may ask; but not a web page whose name was made to point there, as the Host
    header shows.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        audiences: Mapping[str, Audience],
        host_names: Collection[str] | None,
    ) -> None:
        self._app = app
        self._token = token
        self._audiences = audiences
        self._host_names = host_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            try:
                self._look(scope)
            except Problem as problem:
                app = refuse(problem)
        await app(scope, receive, send)

    def _look(self, scope: Scope) -> None:
        """Raises Problem."""
        headers = dict(scope["headers"])
        if (
            self._host_names is not None
            and _name(headers.get(b"host", b"")) not in self._host_names
        ):
            raise Problem(Code.UNKNOWN_HOST, "Add the name to REPORT_ALLOWED_HOSTS.")
        audience = self._audiences.get(scope["path"], Audience.OPERATOR)
        if audience is Audience.ANYBODY:
            return
        watched: Watched | None = scope["state"]["watched"]
        sites = watched.sites if watched else NO_SITES
        reader = reader_of(headers.get(b"authorization", b""), self._token, sites)
        if not reader.may_ask(audience):
            raise reader.refusal()
        scope["state"]["reader"] = reader


def _name(host: bytes) -> str | None:
    """The name in a Host header, without port and brackets."""
    try:
        return urlsplit(f"//{host.decode('latin-1')}").hostname
    except ValueError:
        return None


class Counted:
    """Counts answers by path and status, and how long they took to start."""

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def counting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                telemetry = scope["state"]["runtime"].telemetry
                telemetry.answered(path, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, counting_send)
