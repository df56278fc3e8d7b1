"""What report says of itself, in Prometheus' text format."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ingest.http.limits import Ended
from ingest.http.problem import Refused
from report.engine.pool import Pool
from report.problem import STATUS, Code
from report.snapshot.spool_tail import SpoolTail

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Telemetry:
    def __init__(self, spool: SpoolTail, pool: Pool) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "report_requests",
            "Answers by path and status.",
            ["path", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "report_request_seconds",
            "From the request to the start of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._known = Counter(
            "report_known_answers",
            "Answers that needed no query.",
            ["how"],
            registry=self._registry,
        )
        self._connections = Gauge(
            "report_connections", "Connections open.", registry=self._registry
        )
        self._ended = Counter(
            "report_connections_ended",
            "Connections ended by a limit.",
            ["why"],
            registry=self._registry,
        )
        running = Gauge("report_queries_running", "Queries that run now.", registry=self._registry)
        running.set_function(lambda: pool.running)
        self._registry.register(_Spool(spool))

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def known(self, how: str) -> None:
        """An answer needed no query."""
        self._known.labels(how).inc()

    def connections_are(self, count: int) -> None:
        self._connections.set(count)

    def connection_ended(self, why: Ended) -> None:
        self._ended.labels(why).inc()

    def refused(self, refused: Refused) -> None:
        """By the server, before there was a path."""
        self._requests.labels("other", int(STATUS[Code(refused.code)])).inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Spool(Collector):
    """As of the last question: looking at it costs nothing."""

    def __init__(self, spool: SpoolTail) -> None:
        self._spool = spool

    def collect(self) -> Iterable[GaugeMetricFamily]:
        seen = self._spool.seen
        segments, files = seen.segments, seen.spilled
        for name, help, value in (
            ("segments", "Segments in the spool.", len(segments)),
            ("bytes", "Bytes of their whole lines.", sum(each.bytes for each in segments)),
            ("lines", "Lines of theirs.", sum(each.lines for each in segments)),
            ("damaged_lines", "Lines that are no events.", sum(each.damaged for each in segments)),
            ("memory_bytes", "Rows kept in memory.", seen.memory_bytes),
            ("spilled_rows", "Rows in files.", sum(each.rows for each in files)),
            ("spilled_bytes", "Bytes of these files.", sum(each.bytes for each in files)),
        ):
            yield GaugeMetricFamily(f"report_spool_{name}", help, value)
