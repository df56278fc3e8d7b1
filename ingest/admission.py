"""Who may write: an address its share, a page the sites that name its host, and who shows a key.

A request has one Sender. It is asked before an event is completed, `admit`, and after, `settle`:
what an event itself says of its visitor must not be mistaken for what its request told.

    key         the token in Authorization: Bearer, whose hash the site has. It stands for the
                site's owner: any host, any user_id, any time that its path may bring, any rate
    no key      a host of the site; times of the last 24 hours; no user_id where the site says so
"""

from datetime import timedelta

from ingest import timestamp
from ingest.client import Client, stranger
from ingest.event import ReceivedEvent
from ingest.rate import Rate
from ingest.receipt import Receipt
from ingest.refusal import Refusal, Refused
from ingest.settings import Settings
from ingest.sites import tokens
from ingest.sites.document import Sites
from ingest.sites.hosts import host_of_name, host_of_origin
from ingest.sites.site import Site
from ingest.sites.watched import Watched

PAST_MAX = timedelta(hours=24)  # without a key
SECONDS = len("YYYY-MM-DDTHH:MM:SS")  # up to them all timestamps are compared as texts


class Admission:
    """Of one worker."""

    def __init__(self, settings: Settings, watched: Watched | None) -> None:
        self._watched = watched
        self._trusted_proxies = settings.trusted_proxies
        self._rate = Rate(settings.rate_per_s, settings.rate_burst) if settings.rate_per_s else None

    def asks_nothing_of(self, peer: str) -> bool:
        """Of no request that comes from there: so its connection need not ask here."""
        return (
            self._watched is None
            and not self._trusted_proxies
            and (self._rate is None or stranger(peer) is None)
        )

    def sender(self, client: Client, is_import: bool = False) -> "Sender | None":
        """None if any site_id is taken from anybody. Raises Refused when it sends too much."""
        sites = self._watched.sites if self._watched else None
        key = tokens.shown(client.headers.get(b"authorization", b"")) if sites else None
        if self._rate and not (is_import or (sites and key in sites.keys)):
            self._rate.take(client.address)
        return Sender(sites, client, key, is_import) if sites else None

    def take_more(self, client: Client, is_owner: bool, count: int) -> None:
        """For the events of a batch beside its first."""
        if self._rate and not is_owner:
            self._rate.take_more(client.address, count)


class Sender:
    """Of one request."""

    __slots__ = (
        "_by_name",
        "_earliest",
        "_host",
        "_is_import",
        "_key",
        "_keys",
        "_owned",
        "_shows_something",
    )

    def __init__(self, sites: Sites, client: Client, key: str | None, is_import: bool) -> None:
        origin = client.headers.get(b"origin")
        self._by_name = sites.by_name
        self._keys = sites.keys
        self._host = None if origin is None else host_of_origin(origin.decode("latin-1"))
        self._key = key
        self._is_import = is_import
        self._shows_something = is_import or key is not None
        self._owned: dict[str, bool] = {}  # by site_id: whether it shows a key of that
        self._earliest = ""  # the time that an event may have at least, once that matters

    @property
    def shows_key(self) -> bool:
        """Of any site."""
        return self._key in self._keys

    def admit(self, event: ReceivedEvent) -> None:
        """Gives it the site_id that its alias stands for. Raises Refused."""
        site = self._by_name.get(event.site_id)
        if site is None:
            raise Refused(Refusal.UNKNOWN_SITE, f"There is no site {event.site_id!r} here.", "")
        event.site_id = site.site_id
        if self._shows_something and self._owns(site):
            return
        host = host_of_name(event.hostname or "") if self._host is None else self._host
        if not site.takes_from(host):
            raise self._foreign(host, site)
        if site.user_id_needs_key and event.user_id is not None:
            words = "A user_id of your own takes a key of the site."
            raise Refused(Refusal.KEY_NEEDED, words, site.site_id)

    def settle(self, event: ReceivedEvent, receipt: Receipt) -> None:
        """Takes from it what its site stores nowhere. Raises Refused for a time of long ago."""
        site = self._by_name[event.site_id]
        is_now = event.timestamp is receipt.time
        if not is_now and not (self._shows_something and self._owns(site)):
            self._earliest = self._earliest or timestamp.write(receipt.at - PAST_MAX)[:SECONDS]
            if event.timestamp and event.timestamp[:SECONDS] < self._earliest:
                words = "A time more than 24 hours past takes a key of the site."
                raise Refused(Refusal.KEY_NEEDED, words, site.site_id)
        for name in site.columns_left_out:
            setattr(event, name, None)

    def _owns(self, site: Site) -> bool:
        """Raises Refused for a key that is none of this site."""
        if self._is_import:
            return True
        if site.site_id not in self._owned:
            self._owned[site.site_id] = site.has_key(self._key or "")
        if not self._owned[site.site_id]:
            raise Refused(Refusal.UNKNOWN_KEY, "This is no key of the site.", site.site_id)
        return True

    def _foreign(self, host: str, site: Site) -> Refused:
        if not site.hosts:
            words = "This site takes events with a key alone."
            return Refused(Refusal.KEY_NEEDED, words, site.site_id)
        who = f"the host {host[:80]!r}" if host else "who names no host and shows no key"
        words = f"This site takes no events of {who}."
        return Refused(Refusal.FOREIGN_HOST, words, site.site_id)
