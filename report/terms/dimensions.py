"""The dimensions: what events can be told apart by. One row each; filters and breakdowns follow."""

from dataclasses import dataclass, field

from ingest.event import COLUMNS
from report.terms import sources

HOST = r"""nullif(lower(regexp_extract(
    referrer, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)', 1)), '')"""
PROPS = "props."
KEY_CHARACTERS_MAX = 64

_COLUMNS = {column.name: column for column in COLUMNS}


@dataclass(frozen=True, slots=True)
class Dimension:
    """`sql` is its value for an event; null is none. `parameters` are bound in it."""

    name: str
    words: str  # for people
    column: str  # that it is made of
    sql: str
    parameters: dict[str, str] = field(default_factory=dict)
    is_always_told: bool = False  # an answer says of it, too, that it was not filtered by
    asked_as: str = ""  # its name in POST /query; empty: it is not asked for there
    example: str = ""

    @property
    def characters_max(self) -> int:
        column = _COLUMNS[self.column]
        return column.longest or max(map(len, column.among))

    @property
    def is_required(self) -> bool:
        """Every event has one."""
        return _COLUMNS[self.column].required


_ROWS = (
    Dimension(
        "event_type",
        "Type of event, page_view unless given",
        "event_type",
        "event_type",
        is_always_told=True,
        asked_as="event:name",
        example="signup",
    ),
    Dimension(
        "path",
        "Path of the page",
        "path",
        "path",
        is_always_told=True,
        asked_as="event:page",
        example="/pricing",
    ),
    Dimension(
        "referrer",
        "What led there",
        "referrer",
        "nullif(referrer, '')",
        is_always_told=True,
        asked_as="visit:referrer",
        example="https://t.co/x",
    ),
    Dimension(
        "referrer_host",
        "The host that led there",
        "referrer",
        HOST,
        is_always_told=True,
        asked_as="event:referrer_host",
        example="news.example",
    ),
    Dimension("user_id", "Who it was", "user_id", "user_id", is_always_told=True),
    Dimension(
        "source",
        "Who led there, by name",
        "utm_source",
        sources.SOURCE,
        asked_as="visit:source",
        example="Google",
    ),
    Dimension(
        "channel",
        "What kind of source led there",
        "utm_source",
        sources.CHANNEL,
        asked_as="visit:channel",
        example="Organic Search",
    ),
    Dimension(
        "hostname",
        "Host of the page",
        "hostname",
        "nullif(hostname, '')",
        asked_as="event:hostname",
        example="www.example.com",
    ),
    *(
        Dimension(
            name, words, name, f"nullif({name}, '')", asked_as=f"visit:{name}", example=example
        )
        for name, words, example in (
            ("utm_source", "utm_source of the address", "newsletter"),
            ("utm_medium", "utm_medium of the address", "email"),
            ("utm_campaign", "utm_campaign of the address", "spring"),
            ("utm_content", "utm_content of the address", "button"),
            ("utm_term", "utm_term of the address", "shoes"),
            ("click_id", "Parameter of an ad's click", "gclid"),
            ("browser", "Browser, or a robot's name", "Firefox"),
            ("os", "Operating system", "Linux"),
            ("device", "Kind of device", "mobile"),
            ("bot", "Class of robot", "ai"),
            ("country", "Country, by ISO 3166-1", "DE"),
            ("language", "Language, by ISO 639", "de"),
        )
    ),
)
DIMENSIONS = {dimension.name: dimension for dimension in _ROWS}
PATTERN = rf"^({'|'.join(DIMENSIONS)}|props\..{{0,{KEY_CHARACTERS_MAX}}})$"


def dimension(name: str) -> Dimension:
    """The one of that name, which fits PATTERN; props.KEY is a value of props."""
    if not name.startswith(PROPS):
        return DIMENSIONS[name]
    key = name.removeprefix(PROPS)
    sql = "json_extract_string(props, $pointer)"
    return Dimension(name, f"Your own {key}", "props", sql, {"pointer": pointer_to(key)})


def pointer_to(key: str) -> str:
    """RFC 6901: unlike JSONPath it has no wildcards."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
