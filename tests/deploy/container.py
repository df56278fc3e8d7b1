"""Builds the image of deploy/Containerfile, starts deploy/compose.yaml, and looks whether it works.

    python -m tests.deploy.container [--root FOLDER]

Needs root, podman, podman-compose and debootstrap. The base image is not fetched: a Debian 12 by
debootstrap stands in for it, with the certificates and pip settings of this machine. Then: three
services up, their health checks, an event, its figure, and the same after `down` and `up`, for the
volume has it.

Not shown: Docker, whose compose reads the same file; the published base image. podman has systemd
run the checks: where that does not run, they are run once each by hand.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import yaml

from tests.processes import PROJECT, wait_for

BASE = "docker.io/library/debian:12-slim"
OF_THIS_MACHINE = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")  # how to get out
TOKEN = "a-token-of-the-operator"
INGEST, REPORT = "http://127.0.0.1:8000", "http://127.0.0.1:8001"
# a machine in a machine may have to say how many processes, and have no systemd for the checks
HERE = """
services:
  ingest: &here
    ulimits: {nproc: 4096, nofile: 16384}
    healthcheck: {disable: true}
  compactor: *here
  report: *here
"""
EVENT = {"site_id": "a", "event_type": "page_view"}


def run(*command: str) -> str:
    began = time.monotonic()
    environment = os.environ | {"REPORT_TOKEN": TOKEN}
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(f"{time.monotonic() - began:6.1f} s  {' '.join(command)[:100]}")
    assert done.returncode == 0, done.stdout
    return done.stdout


def make_base(root: Path) -> None:
    packages = "--include=ca-certificates"
    run("debootstrap", "--variant=minbase", packages, "bookworm", str(root))
    for file in OF_THIS_MACHINE:
        shutil.copy(file, f"{root}{file}")
    run("sh", "-c", f"tar -C {root} -c . | podman import - {BASE}")


def build() -> None:
    settings = [
        f"--env={name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")
    ]
    run(
        "buildah",
        "build",
        "--pull=never",
        "--isolation=chroot",
        "--network=host",
        *settings,
        "-f",
        "deploy/Containerfile",
        "-t",
        "footfall",
        ".",
    )


def is_up() -> bool:
    try:
        return all(httpx2.get(f"{url}/ready").status_code == 200 for url in (INGEST, REPORT))
    except httpx2.TransportError:
        return False


def views() -> int:
    answer = httpx2.get(
        f"{REPORT}/stats?site_id=a&bots=include", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    return int(answer.json()["total_views"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_base(arguments.root or Path(folder) / "base")
    build()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as here:
        here.write(HERE)
        here.flush()
        use("podman-compose", "-f", "deploy/compose.yaml", "-f", here.name)
    return 0


def use(*compose: str) -> None:
    run(*compose, "up", "--detach", "--no-build")
    try:
        wait_for(is_up, "both to be ready", 60)
        for name in ("ingest", "report"):
            run("podman", "exec", f"deploy_{name}_1", *check(name))
        assert httpx2.post(f"{INGEST}/event", json=EVENT).status_code == 202
        assert httpx2.get(f"{REPORT}/stats?site_id=a").status_code == 401
        assert views() == 1
        run(*compose, "down")
        run(*compose, "up", "--detach", "--no-build")
        wait_for(is_up, "both to be ready again", 60)
        assert views() == 1
        print(run("podman", "ps", "--format", "{{.Names}} {{.Status}}"))
    finally:
        run(*compose, "down", "--volumes")


def check(name: str) -> list[str]:
    """Of the compose file."""
    service = yaml.safe_load((PROJECT / "deploy" / "compose.yaml").read_text())["services"][name]
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    return [str(each) for each in command]


if __name__ == "__main__":
    sys.exit(main())
