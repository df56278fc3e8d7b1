"""Builds the image of deploy/Containerfile, starts deploy/compose.yaml, and looks whether it works.

    python -m tests.deploy.container [--root FOLDER]

Needs root, podman, podman-compose and debootstrap. The base image is not fetched: a Debian 12 by
debootstrap stands in for it, with the certificates and pip settings of this machine. Then: three
services up, an event, its figure, and the same after `down` and `up`, for the volume has it.

Not shown: Docker, whose compose reads the same file; the published base image.
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

from tests.processes import PROJECT, wait_for

BASE = "docker.io/library/debian:12-slim"
OF_THIS_MACHINE = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")  # how to get out
TOKEN = "a-token-of-the-operator"
INGEST, REPORT = "http://127.0.0.1:8000", "http://127.0.0.1:8001"
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
    compose = ("podman-compose", "-f", "deploy/compose.yaml")
    run(*compose, "up", "--detach", "--no-build")
    try:
        wait_for(is_up, "both to be ready", 60)
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
