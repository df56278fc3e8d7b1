"""What every request passes: who may ask, and what is counted."""

import hmac
import time
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from report.answer import refuse
from report.problem import Code, Problem


class TokenGuard:
    """Asks for the Bearer token (RFC 6750) before anything else is looked at."""

    def __init__(self, app: ASGIApp, token: str, open_paths: Collection[str]) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode() if token else None
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._may_pass(scope):
            problem = Problem(Code.UNAUTHORIZED, "Send Authorization: Bearer and the token.")
            await refuse(problem)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        if self._expected is None or scope["path"] in self._open_paths:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


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
                metrics = scope["state"]["reports"].metrics
                metrics.requests.labels(path, message["status"]).inc()
                metrics.seconds.labels(path).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, counting_send)
