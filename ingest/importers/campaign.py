"""What the query string of a page's address says of how its visitor came: the fields of an event.

utm_source    or ref, or source
utm_medium, utm_campaign, utm_content, utm_term
click_id      the name of an ad click's parameter. Its value is a person, and is kept nowhere
"""

from typing import get_args
from urllib.parse import parse_qsl

from ingest.event import Click
from ingest.importers.record import LONGEST

CLICKS = frozenset(get_args(Click))
FIELDS = {
    "utm_source": "utm_source",
    "ref": "utm_source",
    "source": "utm_source",
    "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign",
    "utm_content": "utm_content",
    "utm_term": "utm_term",
}
PARAMETERS_MAX = 64


def campaign(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        return {}
    given = dict(reversed(pairs))  # of a name that comes twice, the first
    found: dict[str, str] = {}
    for name, field in FIELDS.items():
        value = given.get(name, "")[: LONGEST[field]].strip()
        if value and value.isprintable():
            found.setdefault(field, value)
    for name in CLICKS & given.keys():
        found["click_id"] = name
    return found
