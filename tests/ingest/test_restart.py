"""A restart while clients send: the socket is handed over, and no request is lost."""

import socket
import subprocess
import sys

import pytest

from tests.chaos.restart import rolling_restarts
from tests.processes import HAND_OVER, PROJECT, clean_environment


def test_restarts_under_load_lose_no_request(tmp_path):
    totals = rolling_restarts(tmp_path, requests=6_000, every_s=0.1)
    assert not totals.failures
    assert totals.restarts["side by side"] and totals.sent >= 6_000


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_INET, socket.SOCK_STREAM),  # it does not listen
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
    ],
)
def test_what_is_no_listening_socket_costs_one_line(family, kind, tmp_path):
    with socket.socket(family, kind) as handed:
        done = start(tmp_path, handed.fileno(), LISTEN_FDS="1")
    assert done == "ingest: what was handed over is no TCP socket that listens\n"


def test_more_sockets_than_one_cost_one_line(tmp_path):
    said = start(tmp_path, 0, LISTEN_FDS="2")
    assert said == "ingest: one socket is to be handed over, but LISTEN_FDS is 2\n"


def start(data_dir, fd, **environment):
    """What it says before it ends."""
    done = subprocess.run(
        [*HAND_OVER, str(fd), sys.executable, "-m", "ingest"],
        cwd=PROJECT,
        env=clean_environment() | {"DATA_DIR": str(data_dir)} | environment,
        capture_output=True,
        text=True,
        timeout=20,
        pass_fds=[fd],
    )
    assert done.returncode == 1
    return done.stderr
