"""Real processes for tests, on free ports of the loopback and a data folder of their own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from ingest.http.environment import variables_of

PROJECT = Path(__file__).parent.parent
PATIENCE_S = 20.0


def wait_for(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The condition's first true value. Fails with `what` when it does not come."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {patience_s} s in vain: {what}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Stage:
    """One process of the product: `python -m <stage>`, of the code in the folder `code`; or
    what `program` does instead."""

    def __init__(
        self,
        name: str,
        data_dir: Path,
        code: Path = PROJECT,
        program: str = "",
        **settings: object,
    ) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data_dir / f"{name}-{self.port}.log"
        named = variables_of(name)
        own = {named(key): str(value) for key, value in settings.items()}
        if name != "compactor":
            own[f"{name.upper()}_PORT"] = str(self.port)
        self.environment = clean_environment() | own | {"DATA_DIR": str(data_dir)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(("-c", program) if program else ("-m", name))],
                cwd=code,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx2.get(self.url + "/health").status_code == 200
        except httpx2.TransportError:
            return False

    def wait_until_up(self) -> "Stage":
        if self.name == "compactor":
            wait_for(lambda: "watching" in self.log.read_text(), "the compactor's first line")
        else:
            wait_for(self.answers, f"{self.name} to answer")
        return self

    def kill(self) -> None:
        """SIGKILL to it and to its workers: nothing is tidied up."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, as honcho sends it; returns the exit status."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout=10)


def clean_environment() -> dict[str, str]:
    """Ours, without the settings of a Footfall that its owner may have set."""
    prefixes = ("INGEST_", "COMPACTOR_", "REPORT_", "FOOTFALL_", "DATA_DIR")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}


def compact_once(data_dir: Path, code: Path = PROJECT) -> str:
    """`python -m compactor --once`; returns its log."""
    return compactor("--once", data_dir=data_dir, code=code)


def compactor(*arguments: str, data_dir: Path, code: Path = PROJECT) -> str:
    """`python -m compactor …`; returns what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "compactor", *arguments],
        cwd=code,
        env=clean_environment() | {"DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@contextmanager
def running(name: str, data_dir: Path, **settings: object) -> Iterator[Stage]:
    """A stage that is up, and ends with the block, whatever happens in it."""
    stage = Stage(name, data_dir, **settings)
    try:
        yield stage.wait_until_up()
    finally:
        if stage.process.poll() is None:
            stage.kill()


def stats(report: Stage, site: str, **parameters: str) -> dict[str, Any]:
    response = httpx2.get(report.url + "/stats", params={"site_id": site, **parameters})
    assert response.status_code == 200, response.text
    figures: dict[str, Any] = response.json()
    return figures


DUCKDB = str(Path(sys.executable).parent / "duckdb")


def duckdb_cli(sql: str, *, database: Path | None = None, command: str = DUCKDB) -> str:
    """What the real `duckdb` command prints, as CSV without a header."""
    arguments = ["-csv", "-noheader"]
    if database:
        arguments += ["-readonly", str(database)]
    done = subprocess.run([command, *arguments, "-c", sql], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
