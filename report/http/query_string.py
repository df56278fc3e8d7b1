"""A query string as the struct that documents it; what does not fit is refused with its reason."""

import re
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from report.problem import Code, Problem

PARAMETERS_MAX = 32

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A path without parameters."""


Asked = TypeVar("Asked", bound=msgspec.Struct)


def decode(query_string: bytes, kind: type[Asked]) -> Asked:
    """Raises Problem. A misspelt filter must not silently widen the answer, so it is refused."""
    try:
        pairs = parse_qsl(
            query_string.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=PARAMETERS_MAX,
        )
        return msgspec.convert(_single(pairs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(Code.BAD_PARAMETER, _explain(error)) from None
    except ValueError:
        raise Problem(Code.BAD_PARAMETER, f"At most {PARAMETERS_MAX} parameters.") from None


def _single(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    given = dict(pairs)
    if len(given) < len(pairs):
        raise Problem(Code.BAD_PARAMETER, "A parameter is given more than once.")
    for name, value in pairs:
        if _CONTROL.search(value):
            raise Problem(Code.BAD_PARAMETER, f"{name[:64]!r} has a control character.")
    return given


def _explain(error: msgspec.ValidationError) -> str:
    """`Expected `int` >= 1 - at `$.limit`` becomes something to read for who wrote the URL."""
    text = str(error).replace("Object contains unknown field", "There is no parameter")
    text = text.replace("Object missing required field", "Missing parameter")
    return text.replace("`$.", "`").removesuffix(" - at `$`") + "."
