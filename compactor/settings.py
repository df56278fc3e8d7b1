"""The settings of the compactor: environment variables, read once into one frozen struct."""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from ingest.http.environment import load, variables_of


class Settings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename=variables_of("compactor"),
):
    data_dir: Annotated[str, Meta(min_length=1, description="Where spool and lake live.")] = "data"
    poll_interval_s: Annotated[
        float, Meta(gt=0, le=60, description="The spool is looked at this often.")
    ] = 1.0
    pass_bytes_max: Annotated[
        int,
        Meta(ge=1 << 20, le=1 << 30, description="A pass starts at, and takes, this much spool."),
    ] = 128 * 1024 * 1024
    pass_age_s_max: Annotated[
        float, Meta(gt=0, description="No closed segment waits longer than this for its pass.")
    ] = 900.0
    close_after_h: Annotated[
        float,
        Meta(ge=0, le=8_760, description="A date settles this long after its UTC day."),
    ] = 3.0
    readers_s_max: Annotated[
        float,
        Meta(gt=0, le=3_600, description="A rewrite waits so long for readers of lake/lock."),
    ] = 60.0
    temp_bytes_max: Annotated[
        int, Meta(ge=1 << 20, description="What a job may put into DATA_DIR/tmp.")
    ] = 8 * 1024**3
    quarantine_bytes_max: Annotated[
        int,
        Meta(ge=0, description="Above it repeated events are counted, and not kept."),
    ] = 1024**3
    retention_days: Annotated[
        int, Meta(ge=0, description="Older dates move to DATA_DIR/expired; 0: all stay.")
    ] = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Raises SystemExit, with one line, for an unknown name or a bad value."""
        return load(cls, "compactor", environ)
