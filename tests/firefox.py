"""Firefox for tests, headless, by its own remote protocol (Marionette): no driver is needed.

packet  := length ":" JSON
command := [0, number, name, parameters]        answer := [1, number, error, result]
"""

import itertools
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.processes import free_port, wait_for

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = {
    "network.dns.localDomains": "blog.example,news.example,other.example",
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "dom.disable_open_during_load": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "fission.bfcacheInParent": True,
}

needs_firefox = pytest.mark.skipif(
    FIREFOX is None, reason="there is no firefox here: apt-get install firefox-esr"
)


class Firefox:
    """One tab of it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._numbers = itertools.count(1)
        self._receive()  # it introduces itself
        accept = {"unhandledPromptBehavior": "accept", "pageLoadStrategy": "normal"}
        self.command("WebDriver:NewSession", capabilities={"alwaysMatch": accept})

    def command(self, name: str, **parameters: Any) -> Any:
        packet = json.dumps([0, next(self._numbers), name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(packet), packet))
        _, _, error, result = self._receive()
        assert error is None, error
        return result

    def _receive(self) -> Any:
        length = b""
        while (digit := self._socket.recv(1)) != b":":
            assert digit, "Firefox has gone"
            length += digit
        content = b""
        while len(content) < int(length):
            content += self._socket.recv(int(length) - len(content))
        return json.loads(content)

    def goto(self, url: str) -> None:
        self.command("WebDriver:Navigate", url=url)

    def back(self) -> None:
        self.command("WebDriver:Back")

    def evaluate(self, expression: str) -> Any:
        script = f"return eval({json.dumps(expression)})"
        return self.command("WebDriver:ExecuteScript", script=script, args=[], sandbox=None)[
            "value"
        ]

    def close(self) -> None:
        self._socket.close()


@contextmanager
def open_firefox(folder: Path) -> Iterator[Firefox]:
    """With a profile of its own in `folder`."""
    port = free_port()
    preferences = PREFERENCES | {"marionette.port": port}
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in preferences.items()]
    (folder / "user.js").write_text("\n".join(lines))
    assert FIREFOX
    with subprocess.Popen(
        [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "MOZ_HEADLESS": "1"},
    ) as process:
        firefox = None
        try:
            firefox = wait_for(lambda: _connect(port), "Firefox to listen", patience_s=60)
            yield firefox
        finally:
            if firefox:
                firefox.close()
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _connect(port: int) -> Firefox | None:
    try:
        return Firefox(port)
    except ConnectionError:
        return None
