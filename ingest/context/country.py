"""The country of a request, where the event does not say: by an MMDB file, or a proxy's header.

The file is any in MaxMind's format that has countries: {"country_code": …} as ip-location-db's, or
{"country": {"iso_code": …}} as GeoLite2's and DB-IP's. It is mapped into memory at the start: a new
one is put in its place by renaming, and is read at the next start.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from ingest.client import is_trusted
from ingest.context.zones import countries

PROBES = ("1.1.1.1", "2606:4700:4700::1111")  # some address of either kind
KOSOVO = "XK"  # has no code of its own in ISO 3166-1, and this one by custom


class Countries:
    """What the settings name. `mmdb` and `header` may be empty. Raises ValueError, one line."""

    def __init__(self, mmdb: str, header: str, trusted_proxies: str) -> None:
        if header and not trusted_proxies:
            raise ValueError("INGEST_COUNTRY_HEADER is believed of INGEST_TRUSTED_PROXIES alone")
        self.known = bool(mmdb or header)
        self._header = header.lower().encode()
        self._trusted_proxies = trusted_proxies
        self._file: Any = open_mmdb(mmdb) if mmdb else None
        self._codes = countries() | {KOSOVO}

    def of(self, address: str, peer: str, headers: Mapping[bytes, bytes]) -> str | None:
        """By the client's address; else by what the proxy next to us says."""
        if self._file is not None and (found := self._by_address(address)):
            return found
        if self._header in headers and is_trusted(peer, self._trusted_proxies):
            return self._known(headers[self._header].decode("latin-1").strip().upper())
        return None

    def _by_address(self, address: str) -> str | None:
        try:
            return self._known(_country_in(self._file.get(address)))
        except Exception:  # no address, one of the kind that the file lacks, or a damaged place
            return None

    def _known(self, code: str | None) -> str | None:
        return code if code in self._codes else None  # XX, T1, EU and the like are none


def open_mmdb(path: str) -> Any:
    """Raises ValueError, with one line, if it is not there, damaged, or not of countries."""
    try:
        import maxminddb
    except ImportError:
        raise ValueError("INGEST_COUNTRY_MMDB needs `pip install 'footfall[country]'`") from None
    try:
        file = maxminddb.open_database(path)
        for probe in PROBES[: 2 if file.metadata().ip_version == 6 else 1]:
            file.get(probe)
        if not any(_country_in(record) for _, record in islice(file, 1_000)):
            raise ValueError("there are no countries in it")
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"INGEST_COUNTRY_MMDB {path!r} cannot be read: {reason}") from None
    return file


def _country_in(record: Any) -> str | None:
    if not isinstance(record, dict):
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code")
    return code if isinstance(code, str) else None
