"""The reverse proxies of deploy/, as their files say, on other ports and with our certificate."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import PROJECT, free_port, wait_for

NAMES = ("ingest.example.com", "stats.example.com")


@dataclass(frozen=True)
class Certificate:
    folder: Path

    @classmethod
    def made(cls, folder: Path) -> "Certificate":
        made = cls(folder)
        names = ",".join(f"DNS:{name}" for name in NAMES)
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]
        command += ["-nodes", "-subj", "/CN=example.com", "-addext", f"subjectAltName={names}"]
        command += ["-keyout", str(made.key), "-out", str(made.chain)]
        subprocess.run(command, check=True, capture_output=True)
        return made

    @property
    def chain(self) -> Path:
        return self.folder / "fullchain.pem"

    @property
    def key(self) -> Path:
        return self.folder / "privkey.pem"


@dataclass(frozen=True)
class Proxy:
    port: int
    plain_port: int
    folder: Path  # with all that it wrote
    certificate: Certificate

    def curl(self, url: str, *arguments: str, address: str = "127.0.0.1") -> tuple[str, str]:
        """`status protocol`, as "202 2", and the answer's body, for a client of that address."""
        name = url.partition("/")[0]
        command = ["curl", "--silent", "--http2", "--cacert", str(self.certificate.chain)]
        command += ["--resolve", f"{name}:{self.port}:127.0.0.1", "--interface", address]
        command += ["--write-out", "\n%{http_code} %{http_version}", *arguments]
        command.append(f"https://{name}:{self.port}{url.removeprefix(name)}")
        output = subprocess.run(command, capture_output=True, text=True).stdout
        body, _, told = output.rpartition("\n")
        return told, body


Configure = Callable[[Path, int, int, Certificate, int, int], list[str]]


def nginx(
    folder: Path, port: int, plain: int, certificate: Certificate, ingest: int, report: int
) -> list[str]:
    site = (PROJECT / "deploy" / "nginx.conf").read_text()
    site = re.sub(r" *listen \[::\].*\n", "", site)
    site = site.replace("listen 443", f"listen 127.0.0.1:{port}")
    site = site.replace("listen 80", f"listen 127.0.0.1:{plain}")
    site = site.replace("/etc/letsencrypt/live/example.com", str(certificate.folder))
    site = site.replace("127.0.0.1:8000", f"127.0.0.1:{ingest}")
    site = site.replace("127.0.0.1:8001", f"127.0.0.1:{report}")
    site = site.replace("/var/log/nginx", str(folder))
    for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        site += f"{what}_temp_path {folder}/{what};\n"
    main = folder / "main.conf"
    main.write_text(
        f"daemon off; user root; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n{site}}}"
    )
    return ["nginx", "-c", str(main), "-e", str(folder / "start.log")]


def caddy(
    folder: Path, port: int, plain: int, certificate: Certificate, ingest: int, report: int
) -> list[str]:
    site = (PROJECT / "deploy" / "Caddyfile").read_text()
    site = site.replace("{\n\tlog", f"{{\n\tadmin off\n\thttp_port {plain}\n\tlog", 1)
    for name in NAMES:
        tls = f"tls {certificate.chain} {certificate.key}"
        site = site.replace(f"\n{name} {{", f"\n{name}:{port} {{\n\t{tls}\n\tbind 127.0.0.1")
    site = site.replace("127.0.0.1:8000", f"127.0.0.1:{ingest}")
    site = site.replace("127.0.0.1:8001", f"127.0.0.1:{report}")
    main = folder / "Caddyfile"
    main.write_text(site)
    return ["caddy", "run", "--config", str(main), "--adapter", "caddyfile"]


@contextmanager
def in_front_of(ingest: int, report: int, configure: Configure, folder: Path) -> Iterator[Proxy]:
    """Of the two ports."""
    certificate = Certificate.made(folder)
    proxy = Proxy(free_port(), free_port(), folder, certificate)
    command = configure(folder, proxy.port, proxy.plain_port, certificate, ingest, report)
    folder.chmod(0o755)
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"},
        )
    try:
        wait_for(lambda: proxy.curl("ingest.example.com/health")[0] == "200 2", "the proxy")
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=10)
