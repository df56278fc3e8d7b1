"""A collector of a few lines that answers as its script says, and takes everything after that."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any] | str = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


HANG_UP = Reply(0)  # close the connection without an answer


class StubCollector(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.script: list[Reply] = []
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.clients: set[tuple[str, int]] = set()
        self.before_answer: Callable[[], object] = lambda: None

    @property
    def batches(self) -> list[list[dict[str, str]]]:
        return [[json.loads(line) for line in body.splitlines()] for body in self.bodies]

    @property
    def events(self) -> list[dict[str, str]]:
        return [event for batch in self.batches for event in batch]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: 40 ms apart without this
    server: StubCollector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        self.server.bodies.append(body)
        self.server.clients.add(self.client_address)
        self.server.before_answer()
        taken = Reply(202, {"accepted": len(body.splitlines()), "rejected": 0})
        self.answer(self.server.script.pop(0) if self.server.script else taken)

    def answer(self, reply: Reply) -> None:
        if reply == HANG_UP:
            self.close_connection = True
            return
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        content = text.encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def stub_collector() -> Iterator[StubCollector]:
    with StubCollector() as collector:
        threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield collector
        finally:
            collector.shutdown()
