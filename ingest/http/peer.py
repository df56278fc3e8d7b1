"""What the kernel knows of a connection's other end, and asyncio does not tell."""

import asyncio
import fcntl
import socket
import struct
from termios import FIONREAD, TIOCOUTQ

TCP_CLOSE = 7  # include/net/tcp_states.h: it was reset


def unread_bytes(transport: asyncio.Transport) -> int:
    """Bytes that it has not taken yet: ours, and those in the kernel's queue (SIOCOUTQ).

    Ours alone would not show a slow reader: the kernel asks for more when a third of its queue,
    which may have megabytes, is free.
    """
    ours = transport.get_write_buffer_size()
    return ours + _queued(transport, TIOCOUTQ) if ours else 0


def has_left(transport: asyncio.Transport) -> bool:
    """It answered a byte of ours with a reset."""
    try:
        info = _socket(transport).getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except OSError:
        return False  # not TCP
    return info[0] == TCP_CLOSE


def unread_input_bytes(transport: asyncio.Transport) -> int:
    """Bytes that have come and that the event loop has not read yet (SIOCINQ)."""
    return _queued(transport, FIONREAD)


def _queued(transport: asyncio.Transport, which: int) -> int:
    try:
        queued = fcntl.ioctl(_socket(transport).fileno(), which, b"\0\0\0\0")
    except (OSError, ValueError):  # ValueError: it is closed
        return 0
    (count,) = struct.unpack("i", queued)
    return int(count)


def _socket(transport: asyncio.Transport) -> socket.socket:
    found: socket.socket = transport.get_extra_info("socket")
    return found
