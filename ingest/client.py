"""Who sent a request: the peer, unless a proxy that the settings trust says who it was."""

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# what some proxies add to an address: "1.2.3.4:5678", "[2001:db8::1]:5678"
_PORT = re.compile(r"^(?:([\d.]+):\d+|\[([^\].]*)\](?::\d+)?)$", re.ASCII)


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


def _is_in(address: str, trusted: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    # a socket for both families has IPv4 clients under ::ffff:
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return any(parsed in network or (mapped and mapped in network) for network in trusted)
