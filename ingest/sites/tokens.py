"""Tokens: random text that a sender or reader shows, and of which sites.toml has the SHA-256 alone.

A token has 256 random bits, so a plain hash of it leads nobody back. What is shown is hashed before
it is compared, and compared in constant time.
"""

import re
import secrets
from collections.abc import Collection
from hashlib import sha256
from hmac import compare_digest

TOKEN_BYTES = 32
HASH = re.compile(r"[0-9a-f]{64}")
_SCHEME = b"Bearer "


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: bytes) -> str:
    return sha256(token).hexdigest()


def shown(authorization: bytes) -> str | None:
    """The hash of the token in an Authorization header (RFC 6750), if it has one."""
    return hash_of(authorization[len(_SCHEME) :]) if authorization.startswith(_SCHEME) else None


def is_among(given: str, hashes: Collection[str]) -> bool:
    """Takes as long whether it is or not."""
    return sum(compare_digest(given, each) for each in hashes) > 0
