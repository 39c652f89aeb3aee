"""The numbers of one server, in a registry of its own. What each means: docs/OPERATIONS.md."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from vecstore.engine.database import Database
from vecstore.observe.gauges import DatabaseGauges, Function
from vecstore.observe.histogram import COUNTS, SECONDS, Histogram, Series
from vecstore.version import __version__


class Meter:
    """Counts and times the calls of one method."""

    __slots__ = ("_by_code", "_histogram", "_labels")

    def __init__(self, histogram: Histogram, protocol: str, method: str) -> None:
        self._histogram = histogram
        self._labels = (protocol, method)
        self._by_code: dict[str, Series] = {}

    def done(self, code: str, seconds: float) -> None:
        """`code` is a gRPC status by name, for every door."""
        series = self._by_code.get(code)
        if series is None:
            series = self._by_code[code] = self._histogram.series(*self._labels, code)
        series.observe(seconds)


class Meters:
    """The numbers of calls, and of the process. Threads may share one object."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._meters: dict[tuple[str, str], Meter] = {}
        self._requests = Histogram(
            "vecstore_request_duration_seconds",
            "Calls by their end, from the first byte to the last",
            SECONDS,
            ("protocol", "method", "code"),
        )
        self.registry.register(self._requests)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def meter(self, protocol: str, method: str) -> Meter:
        """The same object each time. Methods are the door's own names, never what a caller wrote."""
        found = self._meters.get((protocol, method))
        return found or self._meters.setdefault((protocol, method), Meter(self._requests, protocol, method))

    def watch(self, numbers: Mapping[str, Callable[[], float]]) -> None:
        """Open calls by their state, such as running and queued; asked for when somebody looks."""

        def collect() -> list[Metric]:
            family = GaugeMetricFamily("vecstore_requests_open", "Calls that have not ended", labels=("state",))
            for state, number in numbers.items():
                family.add_metric((state,), number())
            return [family]

        self.registry.register(Function(collect))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The page and its content type, in the format that the reader prefers. Takes milliseconds."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type


class Metrics(Meters):
    """And those of a database."""

    def __init__(self, database: Database, collections_max: int) -> None:
        """`collections_max`: so many collections have series of their own, the first by name; the others share one."""
        super().__init__()
        self._batch_size = Histogram(
            "vecstore_query_batch_queries", "Single queries that ran as one batch of the kernels", COUNTS
        )
        self._batch_seconds = Histogram("vecstore_query_batch_seconds", "What a batch of queries took", SECONDS)
        self._group_size = Histogram("vecstore_write_group_writes", "Writes in one atomic batch of the log", COUNTS)
        self._sync_seconds = Histogram("vecstore_fsync_seconds", "What making a batch of writes durable took", SECONDS)
        gauges = DatabaseGauges(database, collections_max)
        for histogram in (self._batch_size, self._batch_seconds, self._group_size, self._sync_seconds):
            self.registry.register(histogram)
        self.registry.register(gauges)
        self.registry.register(Function(lambda: [self._build_info(database)]))
        self._connect(database, gauges)

    def _connect(self, database: Database, gauges: DatabaseGauges) -> None:
        batches, batch_seconds = self._batch_size.series(), self._batch_seconds.series()
        groups, probes = self._group_size.series(), database.probes

        def on_batch(queries: int, seconds: float) -> None:
            batches.observe(queries)
            batch_seconds.observe(seconds)

        probes.on_batch = on_batch
        probes.on_commit = groups.observe
        probes.on_sync = self._sync_seconds.series().observe
        probes.on_recall = gauges.recall

    def _build_info(self, database: Database) -> GaugeMetricFamily:
        kernels = database.info()["kernels"]
        labels = {
            "version": __version__,
            "python": platform.python_version(),
            "kernels": str(kernels.get("backend", "")),
            "isa": str(kernels.get("isa", "")),
        }
        family = GaugeMetricFamily("vecstore_build_info", "What runs here; always 1", labels=list(labels))
        family.add_metric(list(labels.values()), 1.0)
        return family
