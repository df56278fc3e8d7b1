"""What ingest counts: integers in memory that its workers share, read out as Prometheus text.

Each worker adds to a page of its own, a file that it maps and holds a lock on; a scrape sums the
pages of all. So the answer is the same whichever worker gives it, and what a killed worker had
counted stays counted. A page whose lock can be taken has lost its worker.
"""

import contextlib
import fcntl
import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from ingest.dialects.dialect import LeftOut
from ingest.disk import folder_bytes
from ingest.http.limits import Ended
from ingest.refusal import Refusal
from ingest.site_counts import CELLS as SITE_CELLS
from ingest.site_counts import Counts, SiteCounts, summed
from ingest.sites.watched import Watched

CONTENT_TYPE = CONTENT_TYPE_LATEST
COUNTS_BYTES = 4096
PAGE_BYTES = COUNTS_BYTES + 8 * SITE_CELLS
LATENCIES_NS = [int(ms * 1e6) for ms in (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 1000)]
SIZES = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]

Cells: TypeAlias = "memoryview[int]"  # int64


class Histogram:
    """Counts by upper bound, and the sum, in consecutive cells."""

    def __init__(self, cells: Cells, bounds: list[int]) -> None:
        self.cells = cells
        self.bounds = bounds

    def observe(self, value: int) -> None:
        self.cells[bisect_left(self.bounds, value)] += 1
        self.cells[len(self.bounds) + 1] += value

    def family(self, name: str, text: str, unit: float = 1) -> Metric:
        counts = list(self.cells[:-1])
        bounds = [f"{bound * unit:g}" for bound in self.bounds] + ["+Inf"]
        up_to = [(bound, sum(counts[: n + 1])) for n, bound in enumerate(bounds)]
        return HistogramMetricFamily(name, text, buckets=up_to, sum_value=self.cells[-1] * unit)


class Page:
    """The cells of one worker, or of their sum."""

    def __init__(self, cells: Cells) -> None:
        self._free = cells
        self.events, self.bytes, self.connections, self.ready = (self._take(1) for _ in range(4))
        self.refused = self._take(len(Refusal))
        self.left_out = self._take(len(LeftOut))
        self.ended = self._take(len(Ended))
        self.batch_events = Histogram(self._take(len(SIZES) + 2), SIZES)
        self.write_events = Histogram(self._take(len(SIZES) + 2), SIZES)
        self.write_ns = Histogram(self._take(len(LATENCIES_NS) + 2), LATENCIES_NS)
        self.sync_ns = Histogram(self._take(len(LATENCIES_NS) + 2), LATENCIES_NS)
        self.site_cells = cells[COUNTS_BYTES // 8 :]  # which do not add up one by one

    def _take(self, count: int) -> Cells:
        taken, self._free = self._free[:count], self._free[count:]
        return taken

    def leave_out(self, what: LeftOut, count: int) -> None:
        self.left_out[_LEFT_OUT[what]] += count

    def connections_are(self, count: int) -> None:
        self.connections[0] = count

    def connection_ended(self, why: Ended) -> None:
        self.ended[_ENDED[why]] += 1

    def refuse(self, refusal: Refusal, count: int = 1) -> None:
        self.refused[_POSITION[refusal]] += count


_LEFT_OUT = {what: n for n, what in enumerate(LeftOut)}
_POSITION = {refusal: n for n, refusal in enumerate(Refusal)}
_ENDED = {why: n for n, why in enumerate(Ended)}


class Metrics(Page, Collector):
    """This worker's page, and the way to read all of them.

    `folder` is shared by the workers of one service; without it there is only this process.
    """

    def __init__(self, folder: Path | None = None, spool: Path | None = None) -> None:
        self._folder = folder
        self._spool = spool
        self._name = str(os.getpid())
        self._map = _map_page(folder / self._name) if folder else mmap.mmap(-1, PAGE_BYTES)
        super().__init__(memoryview(self._map).cast("q"))
        self.refused_by_site = SiteCounts(self.site_cells)

    def text(self, named: Watched | None = None) -> bytes:
        """With what was refused by each of the sites, if they may be `named` to who asks."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        if named is not None:
            registry.register(_BySite(summed(self._site_cells(), named.sites.by_id)))
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        everyone, alive = self._sums()
        yield CounterMetricFamily(
            "ingest_events", "Events written to the spool.", value=everyone.events[0]
        )
        yield CounterMetricFamily(
            "ingest_bytes", "Bytes written to the spool.", value=everyone.bytes[0]
        )
        refused = CounterMetricFamily(
            "ingest_refused", "Requests, or events of a batch, refused.", labels=["code"]
        )
        for refusal, position in _POSITION.items():
            refused.add_metric([refusal], everyone.refused[position])
        yield refused
        left_out = CounterMetricFamily(
            "ingest_left_out", "What clients sent that is no event, and not kept.", labels=["what"]
        )
        for what, position in _LEFT_OUT.items():
            left_out.add_metric([what], everyone.left_out[position])
        yield left_out
        ended = CounterMetricFamily(
            "ingest_connections_ended", "Connections ended by a limit.", labels=["why"]
        )
        for why, position in _ENDED.items():
            ended.add_metric([why], everyone.ended[position])
        yield ended
        yield everyone.batch_events.family("ingest_batch_events", "Events of a POST /events.")
        yield everyone.write_events.family("ingest_write_events", "Events of one write(2).")
        yield everyone.write_ns.family("ingest_write_seconds", "Time of a write(2).", 1e-9)
        yield everyone.sync_ns.family("ingest_sync_seconds", "Time of an fdatasync(2).", 1e-9)
        yield GaugeMetricFamily("ingest_workers", "Workers alive.", value=len(alive))
        yield GaugeMetricFamily(
            "ingest_workers_ready",
            "Workers whose spool takes writes.",
            value=sum(page.ready[0] for page in alive),
        )
        yield GaugeMetricFamily(
            "ingest_connections",
            "Connections open.",
            value=sum(page.connections[0] for page in alive),
        )
        if self._spool:
            yield GaugeMetricFamily(
                "ingest_spool_bytes", "Bytes in the spool.", value=folder_bytes(self._spool)
            )

    def _sums(self) -> tuple[Page, list[Page]]:
        """The sum over all workers there ever were, and the pages of those alive."""
        pages, alive = self._cells()
        sums = memoryview(bytearray(PAGE_BYTES)).cast("q")
        for cells in pages:
            for n, value in enumerate(cells[: COUNTS_BYTES // 8]):
                sums[n] += value
        return Page(sums), [Page(cells) for cells in alive]

    def _site_cells(self) -> list[Cells]:
        return [Page(cells).site_cells for cells in self._cells()[0]]

    def _cells(self) -> tuple[list[Cells], list[Cells]]:
        """The pages of all workers there ever were, and of those alive."""
        mine = memoryview(self._map).cast("q")
        pages, alive = [mine], [mine]
        for path in _pages(self._folder):
            if path.name == self._name:
                continue
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                content = file.read()
                if len(content) < PAGE_BYTES:  # its worker is about to begin
                    continue
                pages.append(memoryview(content).cast("q"))
                if _is_held(file.fileno()):
                    alive.append(pages[-1])
        return pages, alive


class _BySite(Collector):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "ingest_site_refused",
            "Events that a site refused; without a name, those of unknown sites.",
            labels=["site_id", "code"],
        )
        for (site_id, refusal), count in sorted(self._counts.items()):
            family.add_metric([site_id, refusal], count)
        yield family


def _pages(folder: Path | None) -> list[Path]:
    """None if the folder was removed: then each worker tells what it counted itself."""
    try:
        return list(folder.iterdir()) if folder else []
    except FileNotFoundError:
        return []


def _map_page(path: Path) -> mmap.mmap:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)  # kept, as the descriptor is, until the process ends
    os.posix_fallocate(fd, 0, PAGE_BYTES)  # or a full disk would kill us later
    return mmap.mmap(fd, PAGE_BYTES)


def _is_held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
