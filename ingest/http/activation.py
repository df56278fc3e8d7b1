"""A listening socket that was handed over, instead of one of our own: sd_listen_fds(3).

Who starts us holds the socket, systemd say, and goes on holding it: so it takes connections while
one process ends and the next begins, and two may serve it side by side. That is how a restart
loses no request.
"""

import os
import socket

FIRST_FD = 3


def inherited(stage: str) -> socket.socket | None:
    """None if none was handed to this process. Raises SystemExit with one line if it is not
    exactly one TCP socket that listens."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS")
    if count != "1":
        raise SystemExit(f"{stage}: one socket is to be handed over, but LISTEN_FDS is {count}")
    try:
        listener = socket.socket(fileno=FIRST_FD)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise SystemExit(f"{stage}: no socket was handed over: {error.strerror}") from None
    if not listens or listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise SystemExit(f"{stage}: what was handed over is no TCP socket that listens")
    return listener
