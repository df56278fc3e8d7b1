"""Types the README's "On a server of your own" into an empty Debian, and looks whether it is true.

    python -m tests.deploy.server [--root FOLDER]

Needs root, debootstrap and systemd-nspawn, and ports 80, 443, 8000 and 8001 of this machine, whose
network the new one shares. An empty Debian 12 is made and booted (--root keeps it, for a look), a
clone of this repository is put into it, and each line is typed in its order. Then: an event by
HTTPS, the dashboard, the figure; restarts of ingest by systemctl while clients send; a backup and
its restore, by the lines of docs/operating.md. The name is localhost, for which Caddy is its own
authority.

Not shown: the certificates that Caddy gets for real names; another release than Debian 12.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from tests.chaos.restart import Client, Totals
from tests.processes import PROJECT, wait_for

PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates"  # what an installed Debian has
OF_THIS_MACHINE = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")  # how to get out
CLONE = "/root/footfall"
REQUESTS = 100_000
EVENT = '{"site_id":"a","event_type":"page_view","path":"/"}'


def commands(page: str, which: str) -> list[str]:
    """The lines below `<!-- which commands -->`."""
    text = (PROJECT / page).read_text()
    found = re.search(rf"<!-- {which} commands -->\n```sh\n(.*?)```", text, re.S)
    assert found, which
    return found[1].splitlines()


class Machine:
    """A booted one; `shell` is the one into which everything is typed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._nspawn = subprocess.Popen(
            [
                "systemd-nspawn",
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--boot",
                "-D",
                str(root),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._leader, "its first process")
        wait_for(self._is_up, "systemd to be up", 60)

    def _leader(self) -> str | None:
        path = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        return (path.read_text().split() or [None])[0]

    def _is_up(self) -> bool:
        return self.run("systemctl is-system-running").strip() in ("running", "degraded")

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        pip = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")]
        enter = ["nsenter", "--target", self._leader() or "", "--all"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", *pip]
        return subprocess.run(
            [*enter, *clean, "bash", "-c", script], capture_output=True, text=True
        )

    def run(self, script: str) -> str:
        return self.shell(script).stdout

    def type(self, lines: list[str]) -> str:
        """One after the other, in one shell; returns what the last one said."""
        state, said = "", ""
        for line in lines:
            began = time.monotonic()
            done = self.shell(f"{state}cd {CLONE} && {line}")
            said = done.stdout
            print(f"{time.monotonic() - began:6.1f} s  {line}")
            assert done.returncode == 0, done.stdout + done.stderr
            if re.fullmatch(r"[A-Z_]+=\S+", line):
                state += f"{line}\n"
        return said

    def curl(self, *arguments: str) -> str:
        authority = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
        command = ["curl", "--silent", "--fail", "--http2", "--cacert", f"{self.root}{authority}"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True).stdout

    def stop(self) -> None:
        self.shell("systemctl poweroff")
        self._nspawn.wait(timeout=60)


@contextmanager
def empty_machine(root: Path) -> Iterator[Machine]:
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for file in OF_THIS_MACHINE:
        shutil.copy(file, f"{root}{file}")
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), f"{root}{CLONE}"], check=True)
    machine = Machine(root)
    try:
        yield machine
    finally:
        machine.stop()


def restart_under_load(machine: Machine) -> Totals:
    totals = Totals()

    async def main() -> None:
        clients = [Client(f"c{n}", 8000, 1 + 7 * (n % 2), n % 4 != 0, n % 8 == 2) for n in range(8)]
        sending = asyncio.gather(*(client.run(totals, REQUESTS) for client in clients))
        while not sending.done():
            await asyncio.to_thread(machine.shell, "systemctl restart footfall-ingest")
            totals.restarts["systemctl restart"] += 1
            await asyncio.sleep(1)
        await sending

    uvloop.run(main())
    return totals


def views(machine: Machine, token: str) -> int | None:
    """None while there is no answer."""
    told = machine.curl(
        "https://stats.localhost/stats?site_id=a&bots=include",
        "-H",
        f"Authorization: Bearer {token}",
    )
    return json.loads(told)["total_views"] if told else None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = arguments.root or Path(folder) / "empty"
        with empty_machine(kept) as machine:
            return look(machine)


def look(machine: Machine) -> int:
    began = time.monotonic()
    lines = commands("README.md", "server")
    assert lines[0] == "DOMAIN=example.com"
    token = machine.type(["DOMAIN=localhost", *lines[1:]]).strip().partition("=")[2]
    for name in ("ingest", "stats"):
        wait_for(lambda url=f"https://{name}.localhost/ready": machine.curl(url), f"{name} by TLS")
    print(f"{time.monotonic() - began:6.1f} s from an empty Debian to the first answer by TLS")
    assert "accepted" in machine.curl("https://ingest.localhost/event", "-d", EVENT)
    assert "<title>" in machine.curl("https://stats.localhost/")
    assert not machine.curl("https://stats.localhost/stats?site_id=a"), "without a token"
    wait_for(lambda: views(machine, token) == 1, "the event's figure")
    totals = restart_under_load(machine)
    print(f"{totals.sent:,} requests, {totals.restarts.total()} times systemctl restart, ", end="")
    print(f"failed: {totals.failures.total()} {dict(totals.failures) or ''}")
    counted = views(machine, token)
    assert counted == 1 + len(totals.acknowledged) == 1 + totals.sent
    machine.type(commands("docs/operating.md", "backup"))
    machine.type(commands("docs/operating.md", "restore"))
    wait_for(lambda: views(machine, token) == counted, "the figures of the backup")
    print(f"{counted:,} views before the backup, and after the restore")
    log = machine.run("journalctl --no-pager -u 'footfall-*'")
    assert "Traceback" not in log and "ERROR" not in log, log
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main())
