"""What an answer in the language of POST /query says of its question, and of its figures."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from report.terms.query.asking import Asking
from report.terms.query.selected import Selected

OF_DAYS = (
    "Their identities are made for one day, so who came on several days is counted on each of them."
)
OF_SITES = "The sum over sites: who was on several of them is counted on each."


class Warned(Struct, frozen=True):
    code: str
    warning: str


class Understood(Struct, frozen=True, kw_only=True):
    """The question as it was understood."""

    site_id: str | list[str]
    date_range: list[str]
    filters: list[Any]
    tz: str
    bots: str


def understood(body: Asking, asked: Selected) -> dict[str, Any]:
    """The fields of Understood."""
    return {
        "site_id": body.site_id,
        "date_range": asked.range.ends,
        "filters": body.filters or [],
        "tz": asked.zone,
        "bots": asked.bots,
    }


def warned(asked: Selected, are_of_days: Callable[[], bool]) -> Warned | None:
    """What has to be known of a count of visitors."""
    if len(asked.sites) > 1:
        return Warned("sum_of_sites", OF_SITES)
    if not asked.range.is_of_one_utc_date and are_of_days():
        return Warned("sum_of_days", OF_DAYS)
    return None
