"""The settings of report: environment variables, read once into one frozen struct."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from ingest.http.environment import load, variables_of

GLOB = "*?[]{}"  # DuckDB would look for other files than the one that is meant
REST_BYTES = 256 << 20  # Python, Arrow, and what DuckDB does not count
QUERY_BYTES_MIN = 128 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename=variables_of("report"),
):
    data_dir: Annotated[str, Meta(min_length=1, description="Where spool and lake live.")] = "data"
    sites: Annotated[
        str, Meta(description="The file that names the sites; none: every site_id is taken.")
    ] = ""
    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535, description="Port to listen on.")] = 8001
    token: Annotated[
        str, Meta(description="Bearer token to ask for; needed on any address but loopback.")
    ] = ""
    allowed_hosts: Annotated[
        str,
        Meta(description="With commas: names besides the loopback's to answer to without a token."),
    ] = ""
    connections_max: Annotated[
        int,
        Meta(ge=1, description="Connections; idle and slow ones make room for new ones."),
    ] = 500
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
    ] = 60.0
    drain_s_max: Annotated[
        float,
        Meta(ge=0, le=60, description="A stop waits so long for the last request of a connection."),
    ] = 1.0
    pending_bytes_max: Annotated[
        int, Meta(ge=1 << 20, description="What requests that are not answered yet may hold: 503.")
    ] = 64 << 20
    threads: Annotated[int, Meta(ge=1, le=256, description="DuckDB's threads.")] = 2
    memory_bytes_max: Annotated[
        int,
        Meta(ge=512 << 20, description="For the process: queries, the spool's rows and the rest."),
    ] = 1 << 30
    spool_rows_bytes_max: Annotated[
        int,
        Meta(ge=0, description="Rows of the spool kept in memory; more go to files."),
    ] = 128 << 20
    temp_bytes_max: Annotated[
        int,
        Meta(ge=1 << 20, description="In DATA_DIR/tmp: half for queries, half for spool rows."),
    ] = 8 << 30
    disk_free_bytes_min: Annotated[
        int, Meta(ge=0, description="Spool rows go to files only while so much is free.")
    ] = 256 << 20
    queries_max: Annotated[
        int, Meta(ge=1, le=256, description="Queries that run at once; more wait their turn.")
    ] = 4
    waiting_max: Annotated[
        int, Meta(ge=1, description="Queries that wait their turn; more are refused: 503.")
    ] = 256
    query_s_max: Annotated[
        float, Meta(gt=0, description="A query is interrupted after this long: 503.")
    ] = 30.0
    late_rows_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Events of a site on dates that have not settled, for a question about "
            "visits; more are refused: 503.",
        ),
    ] = 2_000_000
    answers_bytes_max: Annotated[
        int, Meta(ge=0, description="Of answers that are kept for who asks the same again.")
    ] = 32 * 1024 * 1024
    query_sites_max: Annotated[
        int, Meta(ge=1, le=1_000, description="Sites that one POST /query is about.")
    ] = 20
    query_terms_max: Annotated[
        int, Meta(ge=1, le=10_000, description="Metrics, dimensions and values in one POST /query.")
    ] = 500
    query_nesting_max: Annotated[
        int, Meta(ge=1, le=32, description="How deep its filters stand in one another.")
    ] = 8
    query_pattern_characters_max: Annotated[
        int, Meta(ge=1, le=10_000, description="Of a regular expression (RE2) in it.")
    ] = 500
    query_rows_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Rows of its answer; more are had by offset.")
    ] = 10_000
    query_periods_max: Annotated[
        int, Meta(ge=2, le=1_000, description="Days, weeks or months of one POST /retention.")
    ] = 120
    exports_max: Annotated[
        int, Meta(ge=1, le=64, description="Exports that run at once; more are refused: 503.")
    ] = 2

    @property
    def data_folder(self) -> Path:
        """Absolute: DuckDB compares paths as texts."""
        return Path(self.data_dir).absolute()

    @property
    def host_names(self) -> frozenset[str] | None:
        """What a Host header may say; None: anything, for the token protects."""
        if self.token:
            return None
        named = {name.strip().lower() for name in self.allowed_hosts.split(",")} - {""}
        return frozenset(named | {*LOOPBACK, self.host})

    @property
    def spilled_bytes_max(self) -> int:
        """Files of the spool's rows; as much is left to what queries spill."""
        return self.temp_bytes_max // 2

    @property
    def query_bytes_max(self) -> int:
        """DuckDB's share of the memory: beyond it, queries spill to disk."""
        others = REST_BYTES + 2 * self.spool_rows_bytes_max
        return max(self.memory_bytes_max - others, QUERY_BYTES_MIN)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Raises SystemExit, with one line, for an unknown name or a bad value."""
        settings = load(cls, "report", environ)
        if any(character in str(settings.data_folder) for character in GLOB):
            raise SystemExit(
                f"report: DATA_DIR {settings.data_dir!r} has one of {GLOB} in its path"
            )
        if settings.host not in LOOPBACK and not settings.token:
            raise SystemExit(f"report: REPORT_HOST {settings.host} needs a REPORT_TOKEN")
        return settings
