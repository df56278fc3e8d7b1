"""What an operator runs by hand: which sites there are, and a token for one of them."""

import msgspec

from ingest.sites import tokens
from ingest.sites.document import Sites
from ingest.sites.site import KEYS, Site
from ingest.sites.watched import started
from report.settings import Settings

HASH_CHARACTERS = 12  # of a hash: enough to find it in the file
NAMED = ("goals", "funnels", "segments")


def sites(settings: Settings) -> int:
    """What FOOTFALL_SITES says now. Raises SystemExit with what is wrong with it."""
    found = started("report", settings.sites)
    print(_told(found) if found else "There is no FOOTFALL_SITES: every site_id is taken.")
    return 0


def token() -> int:
    made = tokens.new_token()
    print(f"token    {made}")
    print(f"sha256   {tokens.hash_of(made.encode())}")
    print(f"link     /?site_id=SITE#token={made}")
    print("The token is for who reads or sends, and is kept nowhere. Its sha256 is for sites.toml,")
    print("among the readers or keys of a site. The link, behind report's address, opens the site")
    print("for a reader.")
    return 0


def _told(sites: Sites) -> str:
    return "\n".join(line for site in sites.by_id.values() for line in _lines(site))


def _lines(site: Site) -> list[str]:
    plain = Site(site_id=site.site_id)
    given = {key: getattr(site, key) for key in KEYS if getattr(site, key) != getattr(plain, key)}
    return [site.site_id, *(f"  {key:18} {_value(key, value)}" for key, value in given.items())]


def _value(key: str, value: object) -> str:
    if not isinstance(value, tuple):
        return msgspec.json.encode(value).decode()
    if key in ("keys", "readers"):
        return ", ".join(f"{each[:HASH_CHARACTERS]}…" for each in value)
    return ", ".join(each.name if key in NAMED else each for each in value)
