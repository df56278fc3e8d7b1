"""Which events are asked for: of one site, on some dates of a zone, and with some values."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import available_timezones

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct, field

from report.terms import filters, robots
from report.terms.dimensions import DIMENSIONS
from report.terms.period import EARLIEST, LATEST, Period

ZONES = frozenset(available_timezones())
UTC = "UTC"
PAGE_VIEW = "page_view"
TYPE = "event_type"

Site = Annotated[str, Meta(min_length=1, max_length=64, description="Whose events.")]
Day = Annotated[date, Meta(description=f"From {EARLIEST} to {LATEST}.")]
Limit = Annotated[int, Meta(ge=1, le=1_000, description="Rows, at most.")]
Offset = Annotated[int, Meta(ge=0, le=1_000_000, description="Rows to skip.")]
Zone = Annotated[
    str,
    Meta(
        max_length=64,
        description="IANA time zone, whose dates and hours are meant.",
        extra_json_schema={"default": UTC},
    ),
]


class Dated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: Site
    date: Annotated[Day, Meta(description="This date alone.")] | UnsetType = UNSET
    first: Annotated[Day, Meta(description="From this date on.")] | UnsetType = field(
        default=UNSET, name="from"
    )
    last: Annotated[Day, Meta(description="Up to this date, included.")] | UnsetType = field(
        default=UNSET, name="to"
    )
    tz: Zone | UnsetType = UNSET
    bots: Annotated[robots.Bots, Meta(description=robots.WORDS)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.date and (self.first or self.last):
            raise ValueError("give either date, or from and to")
        if self.first and self.last and self.first > self.last:
            raise ValueError("from is after to")
        for day in (self.date, self.first, self.last):
            if day and not EARLIEST <= day <= LATEST:
                raise ValueError(f"dates are from {EARLIEST} to {LATEST}")
        if self.zone not in ZONES:
            raise ValueError("tz is the name of an IANA time zone, as in Europe/Berlin")

    @property
    def zone(self) -> str:
        return UTC if self.tz is UNSET else self.tz

    @property
    def period(self) -> Period:
        first, last = self.date or self.first, self.date or self.last
        return Period(first or None, last or None, self.zone)

    @property
    def filters(self) -> dict[str, str]:
        """What is given for each filter. Of no type in particular are page views meant."""
        every = {name: getattr(self, name) for name in filters.FILTERS}
        given = {name: value for name, value in every.items() if value is not UNSET}
        if not any(filters.FILTERS[name].dimension is DIMENSIONS[TYPE] for name in given):
            given[TYPE] = self.type_unless_given()
        return given

    def type_unless_given(self) -> str:
        """Empty: every type."""
        return PAGE_VIEW

    def bots_unless_given(self) -> robots.Bots:
        is_asked = any(filters.FILTERS[name].dimension.name == robots.BOT for name in self.filters)
        return "include" if is_asked else "exclude"

    def conditions(self, parameters: dict[str, Any]) -> Iterator[str]:
        """The SQL of what is given, to go on after another condition."""
        yield from filters.conditions(self.filters, parameters)
        bots = self.bots_unless_given() if self.bots is UNSET else self.bots
        yield robots.CONDITIONS[bots]


class Covered(Struct, frozen=True, kw_only=True):
    site_id: str
    first: date | None = field(name="from")
    last: date | None = field(name="to")
    tz: str
    bots: robots.Bots | UnsetType = UNSET  # not there: as it is unless given


# Its filters are fields, too, but of names that stand in the tables alone: mypy need not know them
if TYPE_CHECKING:
    Selection = Dated
else:
    Selection = defstruct(
        "Selection",
        filters.parameter_fields(),
        bases=(Dated,),
        module=__name__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


def covering(name: str, doc: str = "", **fields: Any) -> type[Struct]:
    """An answer that says what it covers, and then has these fields.

    from and to: null is an open end; a filter: null is none.
    """
    return defstruct(
        name,
        [*filters.answer_fields(), *fields.items()],
        bases=(Covered,),
        namespace={"__doc__": doc or None},
        module=__name__,
        frozen=True,
        kw_only=True,
    )


def covered(asked: Dated) -> dict[str, Any]:
    """The fields of what an answer covers."""
    period = asked.period
    given = asked.filters
    values = {
        name: given.get(name, None if each.is_always_told else UNSET)
        for name, each in filters.FILTERS.items()
    }
    return {
        "site_id": asked.site_id,
        "first": period.first,
        "last": period.last,
        "tz": asked.zone,
        "bots": asked.bots,
        **values,
        TYPE: given.get(TYPE) or None,
    }
