"""X-Forwarded-For is believed from trusted proxies alone."""

import pytest

from ingest.client import client_address


@pytest.mark.parametrize(
    ("trusted", "peer", "header", "address"),
    [
        ("", "9.9.9.9", "", "9.9.9.9"),
        ("", "9.9.9.9", "1.1.1.1", "9.9.9.9"),
        ("10.0.0.0/8", "9.9.9.9", "1.1.1.1", "9.9.9.9"),
        ("10.0.0.0/8", "10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.0/8", "10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.0/8, ::1", "::1", "6.6.6.6, 1.1.1.1, 10.2.3.4", "1.1.1.1"),
        ("10.0.0.0/8", "10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_address_of_a_client(trusted, peer, header, address):
    assert client_address(header, peer, trusted) == address
