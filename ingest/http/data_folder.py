"""DATA_DIR at the start of a stage: made when it is not there, and tried before anything else is.

Whatever the umask was, others than the owner and its group get nothing: it keeps what visitors did.
"""

import errno
import os
import pwd
import sys
from pathlib import Path

UMASK = 0o027


def open_data_folder(stage: str, data_dir: str, room_bytes: int = 0) -> Path:
    """Raises SystemExit with one line if it cannot be made, is another user's, or takes no file
    of `room_bytes`: a full disk still takes names.

    Only its last name is made: a parent that is not there is a mistake, or a disk that is not
    mounted.
    """
    os.umask(os.umask(UMASK) | UMASK)
    folder = Path(data_dir)
    try:
        _make(stage, folder)
        if not folder.is_dir():
            raise NotADirectoryError(0, "is not a folder")
        _refuse_root_in(folder)
        _probe(folder, room_bytes)
    except OSError as error:
        why = error.strerror or error
        raise SystemExit(f"{stage}: DATA_DIR {data_dir!r} cannot be used: {why}") from None
    return folder


def _make(stage: str, folder: Path) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        return
    except FileNotFoundError:
        raise FileNotFoundError(0, f"{str(folder.parent)!r} is not there") from None
    print(f"{stage}: made DATA_DIR {str(folder)!r}, which was not there", file=sys.stderr)


def _refuse_root_in(folder: Path) -> None:
    """Root may write everywhere, and its files would stop the owner's own processes."""
    owner = folder.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        raise PermissionError(0, f"it belongs to {_name_of(owner)}: run this as that user")


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _probe(folder: Path, room_bytes: int) -> None:
    path = folder / f"probe-{os.getpid()}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if os.write(fd, bytes(room_bytes)) < room_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(fd)
    finally:
        os.close(fd)
        path.unlink()
