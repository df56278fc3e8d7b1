"""The settings of ingest: environment variables, read once into one frozen struct."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from ingest.batch import BATCH_DATES_MAX
from ingest.client import networks
from ingest.http.environment import load, variables_of
from ingest.segment import SEGMENT_BYTES_MAX


class Settings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename=variables_of("ingest"),
):
    data_dir: Annotated[str, Meta(min_length=1, description="Where spool and lake live.")] = "data"
    sites: Annotated[
        str, Meta(description="The file that names the sites; none: every site_id is taken.")
    ] = ""
    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535, description="Port to listen on.")] = 8000
    workers: Annotated[int, Meta(ge=1, le=256, description="Processes that share the port.")] = 1
    ack: Annotated[
        Literal["written", "synced"],
        Meta(description="What a 202 promises when the request does not say: written or synced."),
    ] = "written"
    cors_origins: Annotated[
        str,
        Meta(description="Origins whose pages may read the answers: * or a list with commas."),
    ] = "*"
    trusted_proxies: Annotated[
        str,
        Meta(description="Networks whose X-Forwarded-For is believed: a list with commas."),
    ] = ""
    rate_per_s: Annotated[
        float,
        Meta(ge=0, le=1e6, description="Events that a client address may send; 0: any number."),
    ] = 100.0
    rate_burst: Annotated[
        int, Meta(ge=1, le=10**7, description="Events that it may send at once, or catch up on.")
    ] = 3_000
    country_mmdb: Annotated[
        str,
        Meta(description="A file of countries by address (MMDB), for events without time zone."),
    ] = ""
    country_header: Annotated[
        str,
        Meta(description="The header in which a trusted proxy says the visitor's country."),
    ] = ""
    past_s_max: Annotated[
        int, Meta(ge=60, le=10**10, description="How far in the past an event's timestamp may be.")
    ] = 731 * 24 * 3600
    batch_dates_max: Annotated[
        int, Meta(ge=1, description="Of how many UTC dates the events of a batch may be.")
    ] = BATCH_DATES_MAX
    segment_bytes_max: Annotated[
        int, Meta(ge=4_096, le=1 << 30, description="A segment closes at this size.")
    ] = SEGMENT_BYTES_MAX
    segment_age_s_max: Annotated[
        float, Meta(gt=0, description="A segment closes this long after its first line.")
    ] = 30.0
    sync_interval_s: Annotated[
        float, Meta(gt=0, le=1, description="Written lines reach the disk at least this often.")
    ] = 1.0
    pending_bytes_max: Annotated[
        int, Meta(ge=1 << 20, description="With more than this waiting in memory: 503.")
    ] = 64 * 1024 * 1024

    spool_bytes_max: Annotated[
        int, Meta(ge=1 << 20, description="With more than this waiting in the spool: 503.")
    ] = 16 * 1024**3
    connections_max: Annotated[
        int, Meta(ge=16, description="Per worker; idle and slow ones make room for new ones.")
    ] = 10_000
    headers_s_max: Annotated[
        float, Meta(gt=0, description="How long the headers of a request may take.")
    ] = 10.0
    body_s_max: Annotated[
        float, Meta(gt=0, description="How long the body of a request may take.")
    ] = 60.0
    idle_s_max: Annotated[
        float, Meta(gt=0, description="How long a connection may wait for its next request.")
    ] = 75.0
    answer_s_max: Annotated[
        float,
        Meta(gt=0, description="A connection whose client takes no answer for so long ends."),
    ] = 30.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Raises SystemExit, with one line, for an unknown name or a bad value."""
        settings = load(cls, "ingest", environ)
        try:
            networks(settings.trusted_proxies)
        except ValueError as error:
            raise SystemExit(f"ingest: bad setting: {error}") from None
        return settings
