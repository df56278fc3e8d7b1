"""The settings of a stage: environment variables, read once into one frozen struct.

A field `port` of the settings of `ingest` is the variable INGEST_PORT; those in SHARED are of more
than one stage. An unknown name or a bad value stops the start with one line.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

SHARED = {"data_dir": "DATA_DIR", "sites": "FOOTFALL_SITES"}
PRODUCT = "FOOTFALL_"

Settings = TypeVar("Settings", bound=msgspec.Struct)


def variables_of(stage: str) -> Callable[[str], str]:
    """For `rename` of a struct: the variable of each field."""
    return lambda field: SHARED.get(field, f"{stage}_{field}".upper())


def load(settings: type[Settings], stage: str, environ: Mapping[str, str]) -> Settings:
    """Raises SystemExit, with one line, for an unknown name or a bad value."""
    prefixes = (f"{stage}_".upper(), PRODUCT)
    own = settings.__struct_encode_fields__
    of_others = set(SHARED.values()).difference(own)
    given = {k: v for k, v in environ.items() if k.startswith(prefixes) or k in own}
    given = {k: v for k, v in given.items() if k not in of_others}
    try:
        return msgspec.convert(given, settings, strict=False)
    except msgspec.ValidationError as error:
        raise SystemExit(f"{stage}: bad setting: {error}") from None


def parser_of(stage: str, text: str | None, settings: type) -> argparse.ArgumentParser:
    """For `python -m STAGE`; its --help has a line for each setting."""
    _, components = msgspec.json.schema_components([settings])
    rows = components["Settings"]["properties"].items()
    lines = (f"{k:26} {v['default']!s:12} {v['description']}" for k, v in rows)
    return argparse.ArgumentParser(
        prog=f"python -m {stage}",
        description=text,
        epilog="settings, from the environment:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
