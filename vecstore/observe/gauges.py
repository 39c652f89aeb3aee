"""The state of a database, asked for when somebody looks: collections, indexes, operations, memory, disk."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from vecstore.engine.database import Database
from vecstore.engine.gauges import Gauges
from vecstore.types import OperationState

OTHERS = "(others)"  # no collection can have this name
STATES = ("none", "building", "ready", "failed")

# Gauges with the label `collection`: name, what it is, and the value.
COLLECTION: tuple[tuple[str, str, Callable[[Gauges], float]], ...] = (
    ("up", "1 where the collection answers, 0 where it is damaged beyond that", lambda g: float(g.failed is None)),
    ("points", "Live points", lambda g: g.points),
    ("deleted_rows", "Dead rows that compaction will remove", lambda g: g.rows_deleted),
    ("growing_rows", "Rows that are not sealed yet, and are scanned exactly", lambda g: g.rows_growing),
    ("growing_bytes", "Their bytes, in memory", lambda g: g.bytes_growing),
    ("sealed_bytes", "Bytes of sealed segments, indexes included", lambda g: g.bytes_sealed),
    ("log_bytes", "Bytes of the log that a restart would replay", lambda g: g.bytes_log),
    ("sealed_segments", "Sealed segments", lambda g: g.segments_sealed),
    ("growing_segments", "Segments in memory: the one that takes writes, and those that wait to be sealed",
     lambda g: g.segments_growing),
    ("damaged_segments", "Segments with a column that cannot be read", lambda g: g.damaged),
    ("writes_total", "Writes so far: the seq of the last", lambda g: g.seq),
)  # fmt: skip


class Function(Collector):
    """Metrics from a function."""

    def __init__(self, function: Callable[[], Iterable[Metric]]) -> None:
        self._function = function

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return self._function()


class DatabaseGauges(Collector):
    def __init__(self, database: Database, collections_max: int) -> None:
        self._database = database
        self._collections_max = collections_max
        self._recalls: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def recall(self, collection: str, field: str, value: float) -> None:
        with self._lock:
            self._recalls[collection, field] = value

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        every = self._database.gauges()
        shown = dict(list(every.items())[: self._collections_max])
        others = [gauges for name, gauges in every.items() if name not in shown]
        yield _gauge("vecstore_collections", "Collections", len(every))
        for name, documentation, value in COLLECTION:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(f"vecstore_collection_{name}", documentation, labels=("collection",))
            for collection, gauges in shown.items():
                family.add_metric((collection,), value(gauges))
            if others:
                values = [value(gauges) for gauges in others]
                family.add_metric((OTHERS,), min(values) if name == "up" else sum(values))
            yield family
        yield from self._fields(every, shown)
        yield from self._server()

    def _fields(self, every: dict[str, Gauges], shown: dict[str, Gauges]) -> Iterator[Metric]:
        labels = ("collection", "field")
        state = GaugeMetricFamily(
            "vecstore_index_state", "1 for the state that a vector field's index is in", labels=(*labels, "state")
        )
        rows = GaugeMetricFamily("vecstore_index_rows", "Rows that an index serves", labels=labels)
        recall = GaugeMetricFamily(
            "vecstore_shadow_recall", "Recall of a sample of answers, against exact search", labels=labels
        )
        for collection, gauges in shown.items():
            for name, field in gauges.fields.items():
                for one in STATES:
                    state.add_metric((collection, name, one), float(field.state == one))
                rows.add_metric((collection, name), field.rows_indexed)
        with self._lock:
            for collection, name in list(self._recalls):
                if collection not in every:
                    del self._recalls[collection, name]
                elif collection in shown:
                    recall.add_metric((collection, name), self._recalls[collection, name])
        yield from (state, rows, recall)

    def _server(self) -> Iterator[Metric]:
        database = self._database
        operations = database.list_operations()
        running = Counter(one.kind for one in operations if one.state is OperationState.RUNNING)
        failed = Counter(one.kind for one in operations if one.state is OperationState.FAILED)
        for name, what, counts in (
            ("running", "Operations that run", running),
            ("failed", "Operations that failed, of the last 1,000", failed),
        ):
            family = GaugeMetricFamily(f"vecstore_operations_{name}", what, labels=("kind",))
            for kind in sorted({one.kind for one in operations}):
                family.add_metric((kind,), counts[kind])
            yield family
        used = GaugeMetricFamily("vecstore_memory_bytes", "Memory by what it is for", labels=("use",))
        bound = GaugeMetricFamily("vecstore_memory_limit_bytes", "And what it may be", labels=("use",))
        for use, (size, limit) in database.memory().items():
            used.add_metric((use,), size)
            bound.add_metric((use,), limit)
        yield from (used, bound)
        yield from self._followers()
        if database.path is not None:
            status = os.statvfs(database.path)
            yield _gauge("vecstore_disk_free_bytes", "Free on the data's disk", status.f_bavail * status.f_frsize)
            reserve = database.settings.storage.disk_reserve_bytes
            yield _gauge("vecstore_disk_reserve_bytes", "Below this, writes are refused", reserve)

    def _followers(self) -> Iterator[Metric]:
        """Of readers and others that follow this process."""
        batches = GaugeMetricFamily(
            "vecstore_follower_batches_behind", "Durable batches that a follower does not show yet", labels=("process",)
        )
        seconds = GaugeMetricFamily(
            "vecstore_follower_seconds_behind", "For how long it has not shown the first of them", labels=("process",)
        )
        for one in self._database.processes():
            if "seconds_behind" in one:
                batches.add_metric((one["name"],), one["batches_behind"])
                seconds.add_metric((one["name"],), one["seconds_behind"])
        yield from (batches, seconds)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, documentation)
    family.add_metric((), value)
    return family
