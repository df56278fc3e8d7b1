"""Secrets of the installation, in DATA_DIR/visitors: 32 random bytes each, mode 0600.

YYYY-MM-DD.salt   the key behind the visitors of a day, destroyed with it (ingest.visitor)
imports.secret    stays until `python -m ingest.importers --destroy-secret`. Two things follow
                  from it, and neither tells it: the user_id of imported logs, and the token
                  by which POST /events knows an import, which may bring times of years ago.
"""

import contextlib
import os
import secrets
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path

SECRET_BYTES = 32
DIGEST_BYTES = 8  # of a million visitors, two are taken for one with a chance of 1 in 37 million


def secrets_folder(data_dir: str | Path) -> Path:
    return Path(data_dir) / "visitors"


def shared(path: Path) -> bytes:
    """The secret that is there, or a new one. Of several who need it at once, one makes it.
    Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        _offer(path)
    return path.read_bytes()


def _offer(path: Path) -> None:
    # written elsewhere and linked, so that nobody reads half of it
    staged = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, secrets.token_bytes(SECRET_BYTES))
        os.fsync(fd)
        with contextlib.suppress(FileExistsError):
            os.link(staged, path)
    finally:
        os.close(fd)
        staged.unlink(missing_ok=True)


class ImportSecret:
    """What follows from imports.secret."""

    def __init__(self, secret: bytes) -> None:
        self._visitor = blake2b(key=secret, digest_size=DIGEST_BYTES, person=b"visitor")
        self.token = blake2b(key=secret, digest_size=SECRET_BYTES, person=b"history").hexdigest()

    def user_id(self, site_id: str, visitor: bytes) -> str:
        """16 hex digits for whoever `visitor` describes, on that site, for as long as the secret
        is there."""
        keyed = self._visitor.copy()
        keyed.update(b"%b\0%b" % (site_id.encode(), visitor))
        return keyed.hexdigest()


def import_secret(data_dir: str | Path) -> ImportSecret:
    """Made when it is not there. Raises OSError."""
    return ImportSecret(shared(_imports(data_dir)))


def is_import(authorization: str, data_dir: str | Path) -> bool:
    """Whether an Authorization header shows the token of this installation's imports."""
    try:
        token = ImportSecret(_imports(data_dir).read_bytes()).token
    except OSError:  # nothing was ever imported
        return False
    return compare_digest(authorization.encode(), f"Bearer {token}".encode())


def destroy_import_secret(data_dir: str | Path) -> bool:
    """False if there was none. Raises OSError."""
    try:
        _imports(data_dir).unlink()
        return True
    except FileNotFoundError:
        return False


def _imports(data_dir: str | Path) -> Path:
    return secrets_folder(data_dir) / "imports.secret"
