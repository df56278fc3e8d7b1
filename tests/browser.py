"""A real browser for tests: Debian's chromium, headless, with the network kept to this machine.

Names under .example are this machine, so that a page has another origin than the loopback
addresses, on which the tracker does not count.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium here: apt-get install chromium"
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            ignore_default_args=["--disable-back-forward-cache"],  # our visitors have it
        )
        yield browser
        browser.close()


Page = Callable[[str], str]  # the HTML at a path


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, page: Page, *args: object) -> None:
        self._page = page
        super().__init__(*args)

    def do_GET(self) -> None:
        body = self._page(self.path).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):  # the tab was closed at once
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def site(page: Page) -> Iterator[int]:
    """A web site of which every path is a page; yields its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, page)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
