"""What all requests of a worker share."""

from typing import TypedDict

from ingest.admission import Admission
from ingest.context.request import Context
from ingest.dialects.dialect import Options
from ingest.http.connection import Refuse
from ingest.http.limits import Limits
from ingest.http.single_flight import SingleFlight
from ingest.responses import Answers
from ingest.settings import Settings
from ingest.sites.watched import Watched
from ingest.spool import Spool
from ingest.telemetry import Metrics
from ingest.visitor import Visitors


class State(TypedDict):
    settings: Settings
    metrics: Metrics
    scrape: SingleFlight[bytes]
    scrape_sites: SingleFlight[bytes]  # with what each of them has refused
    answers: Answers
    limits: Limits
    refuse: Refuse
    body_bytes_max: dict[bytes | None, int]  # by path; None is any other
    spool: Spool
    visitors: Visitors
    watched: Watched | None  # sites.toml, if there is one
    admission: Admission
    context: Context
    plain_targets: dict[bytes, Options]  # of the events that ingest.fast_path answers itself
