"""Who sent a request: the peer, unless a proxy that the settings trust says who it was."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from socket import AF_INET, AF_INET6, inet_pton

Network = IPv4Network | IPv6Network

FORWARDED = {b"x-forwarded-for", b"forwarded", b"via"}  # only a proxy says one of these
MAPPED = b"\0" * 10 + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291

# what some proxies add to an address: "1.2.3.4:5678", "[2001:db8::1]:5678"
_PORT = re.compile(r"^(?:([\d.]+):\d+|\[([^\].]*)\](?::\d+)?)$", re.ASCII)


class Client:
    """The sender of one request, with its headers by names in lower case."""

    __slots__ = ("address", "headers", "peer")

    def __init__(self, peer: str, headers: Mapping[bytes, bytes], trusted_proxies: str) -> None:
        """Of a header that came twice the values are joined by a comma (RFC 9110, 5.3)."""
        self.peer = peer  # whose connection it is
        self.headers = headers
        self.address = peer
        if trusted_proxies:
            forwarded_for = headers.get(b"x-forwarded-for", b"").decode("latin-1")
            self.address = client_address(forwarded_for, peer, trusted_proxies)

    def is_near(self, trusted_proxies: str) -> bool:
        """It is of this machine or its own networks, and nobody else stands behind it."""
        is_itself = is_trusted(self.peer, trusted_proxies) or not self.headers.keys() & FORWARDED
        return is_itself and stranger(self.address) is None


@lru_cache(maxsize=1)
def networks(trusted_proxies: str) -> tuple[Network, ...]:
    """From the setting, "10.0.0.0/8,::1". Raises ValueError."""
    return tuple(ip_network(item.strip()) for item in trusted_proxies.split(",") if item.strip())


def client_address(forwarded_for: str, peer: str, trusted_proxies: str) -> str:
    """The last address of X-Forwarded-For that is not a trusted proxy's own.

    Each proxy appends the address that it saw, so what stands further left is what a stranger
    claims, and so is what stands left of something that is no address. A port is left out.
    """
    if not trusted_proxies:
        return peer
    trusted = networks(trusted_proxies)
    address = peer
    for claimed in reversed(forwarded_for.split(",")):
        if not _is_in(address, trusted):
            break
        try:
            address = str(ip_address(_PORT.sub(r"\1\2", claimed.strip())))
        except ValueError:
            break
    return address


def is_trusted(peer: str, trusted_proxies: str) -> bool:
    return bool(trusted_proxies) and _is_in(peer, networks(trusted_proxies))


def stranger(address: str) -> bytes | None:
    """What tells one client on the internet from another: its IPv4 address; or the /64 of its IPv6
    one, for that is what a household has. None for what is not on the internet."""
    try:
        if ":" not in address:
            packed = inet_pton(AF_INET, address)
        else:
            packed = inet_pton(AF_INET6, address.partition("%")[0]).removeprefix(MAPPED)
    except OSError:
        return None
    if len(packed) == 4:
        return packed if _is_on_internet(packed[:3]) else None
    return packed[:8] if _is_on_internet(packed[:8]) else None


@lru_cache(maxsize=4096)
def _is_on_internet(network: bytes) -> bool:
    """Of a /24 or a /64; what is special is never smaller."""
    return ip_address(network + bytes(1 if len(network) == 3 else 8)).is_global


def _is_in(address: str, trusted: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    # a socket for both families has IPv4 clients under ::ffff:
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return any(parsed in network or (mapped and mapped in network) for network in trusted)
