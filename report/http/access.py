"""What every request passes: who may ask, and what is counted."""

import hmac
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from report.http.responses import refuse
from report.problem import Code, Problem


class Guard:
    """Looks at who asks before anything else is looked at.

    With a token it asks for that (Bearer, RFC 6750). Without one whoever reaches the loopback may
    ask; but not a web page whose name was made to point there, as the Host header shows.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        open_paths: Collection[str],
        host_names: Collection[str] | None,
    ) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode() if token else None
        self._open_paths = open_paths
        self._host_names = host_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem:
            await refuse(problem)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = dict(scope["headers"])
        if (
            self._host_names is not None
            and _name(headers.get(b"host", b"")) not in self._host_names
        ):
            return Problem(Code.UNKNOWN_HOST, "Add the name to REPORT_ALLOWED_HOSTS.")
        if self._expected is None or scope["path"] in self._open_paths:
            return None
        given = headers.get(b"authorization", b"")
        if hmac.compare_digest(given, self._expected):
            return None
        return Problem(Code.UNAUTHORIZED, "Send Authorization: Bearer and the token.")


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
