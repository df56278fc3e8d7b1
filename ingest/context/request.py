"""What a request tells of its visitor, for events that ask for it by `?visitor=daily`.

    user_id                     of the day (ingest.visitor)
    browser, os, device, bot    User-Agent
    country                     MMDB file by the client's address, else a trusted proxy's header
    language                    Accept-Language

An event's own word goes first; a time zone that it names goes before address and header. Address,
agent and header are used here, and are written nowhere.
"""

from collections.abc import Iterable

from ingest.client import Client
from ingest.context import agent
from ingest.context.country import Countries
from ingest.context.language import language_of
from ingest.event import ReceivedEvent
from ingest.receipt import Identify, Receipt
from ingest.settings import Settings
from ingest.visitor import Visitors


class Context:
    """Belongs to one thread. Raises ValueError, with one line, for a file that cannot be read."""

    def __init__(self, settings: Settings, visitors: Visitors) -> None:
        self._visitors = visitors
        self._countries = Countries(
            settings.country_mmdb, settings.country_header, settings.trusted_proxies
        )
        agent.prepare()

    def identify(self, client: Client, receipt: Receipt) -> Identify:
        """Fills in what the sender's events do not say. Raises Refused."""
        headers = client.headers
        user_agent = headers.get(b"user-agent", b"")
        visitor = self._visitors.sender(client.address, user_agent, receipt.at.date())
        browser, os, device, bot = agent.classify(user_agent)
        language = language_of(headers.get(b"accept-language", b""))
        countries = self._countries

        def identify(event: ReceivedEvent) -> None:
            if event.user_id is None:
                event.user_id = visitor(event.site_id)
            # who says one of the four speaks of another agent than that of the request
            if event.browser is event.os is event.device is event.bot is None:
                event.browser, event.os, event.device, event.bot = browser, os, device, bot
            if event.country is None and countries.known:
                event.country = countries.of(client.address, client.peer, headers)
            if event.language is None:
                event.language = language

        return identify


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The same as a mapping; what came twice is joined by a comma (RFC 9110, 5.3)."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = b", ".join((found[name], value)) if name in found else value
    return found
