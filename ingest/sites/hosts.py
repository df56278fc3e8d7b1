"""Names of hosts as they are compared: lower case, in ASCII (IDNA, UTS 46), without port and final
dot. Browsers write them so in Origin and location; people write them as they like."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

import idna

HOST_CHARACTERS_MAX = 253
ORIGIN_CHARACTERS_MAX = len("https://") + HOST_CHARACTERS_MAX + len(":65535")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_IPV6 = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*")


def pattern(text: str) -> str:
    """A host, "*.example.com" for all below it, or "*" for any, as it is compared. Raises
    ValueError for what is neither."""
    if text == "*":
        return text
    start, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    host = _normal(name)
    if len(host) > HOST_CHARACTERS_MAX or not (_NAME.fullmatch(host) or _IPV6.fullmatch(host)):
        raise ValueError(f"{text[:80]!r} is no host: that is as example.com, or *.example.com")
    return start + host


# What senders say comes again and again; how much of it is remembered has an end.


def host_of_origin(origin: str) -> str:
    """Of an Origin header (RFC 6454). Empty when it is "null": of a file, or of a sandbox."""
    return _host_of_origin(origin) if len(origin) <= ORIGIN_CHARACTERS_MAX else ""


@lru_cache(maxsize=1024)
def _host_of_origin(origin: str) -> str:
    try:
        return _normal(urlsplit(origin).hostname or "")
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def host_of_name(hostname: str) -> str:
    """Of an event's `hostname`. Empty when it is none."""
    try:
        return _normal(hostname)
    except ValueError:
        return ""


def _normal(name: str) -> str:
    """Raises ValueError."""
    if not name.isascii():
        name = idna.encode(name[: HOST_CHARACTERS_MAX + 1], uts46=True).decode()
    return name.lower().removesuffix(".")
