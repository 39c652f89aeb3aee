"""vecstore inside this process: the engine's `Database`, nothing between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from bench.configs import BUCKETS, Config, buckets
from bench.systems.base import System, folder_bytes
from vecstore.config import Search, Settings
from vecstore.engine.database import Database
from vecstore.index_spec import Flat
from vecstore.query.filter import Filter, Range
from vecstore.schema import DataType, FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import PointBatch, QueryRequest, Selection, UpsertRequest, VectorBatch

COLLECTION = "bench"
BATCH_POINTS = 2_000
BATCHES_IN_FLIGHT = 4


def schema(metric: str, dim: int, config: Config) -> Schema:
    if config.datatype == "bits":
        field = VectorField(VectorKind.BINARY, dim, Metric.HAMMING, index=Flat())
    else:
        field = VectorField(VectorKind.DENSE, dim, Metric(metric), DataType(config.datatype), Flat())
    indexed = config.filter_share is not None and config.field_index
    return Schema({"v": field}, {"bucket": FieldKind.INTEGER} if indexed else {})


def filter_of(config: Config) -> Filter | None:
    if config.filter_share is None:
        return None
    return Filter(must=(Range("bucket", lt=int(config.filter_share * BUCKETS)),))


def batches(train: np.ndarray, config: Config) -> Iterator[PointBatch]:
    bucket = buckets(len(train))
    for low in range(0, len(train), BATCH_POINTS):
        rows = train[low : low + BATCH_POINTS]
        ids = range(low, low + len(rows))
        payloads: list[bytes | None] | None = None
        if config.filter_share is not None:
            payloads = [msgspec.json.encode({"bucket": int(bucket[row])}) for row in ids]
        yield PointBatch(list(ids), {"v": VectorBatch(rows)}, payloads)


class Embedded(System):
    name = "vecstore"

    def fit(self, train: np.ndarray) -> None:
        setup = self.setup
        settings = Settings(search=Search(threads=setup.threads))
        self.database = Database.open(setup.folder / "data", settings)
        self.opened.callback(self.database.close)
        self.database.create_collection(COLLECTION, schema(setup.metric, setup.dim, setup.config))
        started = time.perf_counter()
        pending: deque[Any] = deque()
        for batch in batches(train, setup.config):
            pending.append(self.database.submit(UpsertRequest(COLLECTION, batch)))
            if len(pending) >= BATCHES_IN_FLIGHT:
                pending.popleft().result()
        for future in pending:
            future.result()
        self.load_s = time.perf_counter() - started
        if setup.config.sealed:
            done = self.database.wait_operation(self.database.compact(COLLECTION).id)
            if done.error:
                raise RuntimeError(f"sealing failed: {done.error}")
        self.filter = filter_of(setup.config)

    def query(self, vector: np.ndarray, k: int) -> list[Any]:
        request = QueryRequest(COLLECTION, vector, k=k, filter=self.filter, select=Selection(payload=False))
        return [hit.id for hit in self.database.query(request)]

    def facts(self) -> dict[str, Any]:
        info: Any = self.database.info()
        return {
            "load_s": round(self.load_s, 3),
            "disk_bytes": folder_bytes(self.setup.folder),
            "kernels": info["kernels"]["backend"],
            "isa": info["kernels"]["isa"],
        }
