"""vecstore in a graph race: the index object that a segment holds, and the embedded collection around it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary
from bench.payloads import Payload, payloads, stacked
from vecstore.index.base import SearchParams
from vecstore.index.registry import built_index
from vecstore.index_spec import IVF
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind

DEFAULT = "graph"
STORED = DataType.FLOAT16  # of the vectors: what the best are scored again by
OVERSAMPLING = (0.0, 2.0, 3.0, 5.0, 8.0)  # 0: the index's own choice
COLLECTION = "bench"
BATCH = 5_000
COMPACT_S = 7_200.0


class OurIndex(GraphLibrary):
    """Built and searched through the interface that the engine uses."""

    system, needs = "vecstore", "vecstore"

    def __init__(self, spec: str) -> None:
        super().__init__(f"vecstore index {spec}", spec)
        self.knob = knob_of(spec)

    def prepare(self, rows: np.ndarray) -> None:
        self.kernels = get_kernels()
        self.parsed = parse_index(self.spec)
        self.field = VectorField(VectorKind.DENSE, rows.shape[1], Metric.COSINE, STORED, index=self.parsed)

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        self.prepare(rows)
        self.kernels.set_threads(threads)
        stored = rows.astype(np.float16)
        np.save(folder / "stored.npy", stored)
        self.index: Any = built_index(self.parsed).build(
            self.field, self.parsed, stored, inverse_norms(stored), self.kernels, lambda phase, done, total: None
        )

    def save(self, folder: Path) -> None:
        for name, array in self.index.arrays().items():
            np.save(folder / f"array.{name}.npy", array)

    def open(self, folder: Path, rows: np.ndarray) -> None:
        self.prepare(rows)
        self.kernels.set_threads(1)
        stored = np.load(folder / "stored.npy", mmap_mode="r")
        paths = folder.glob("array.*.npy")
        arrays = {path.stem.removeprefix("array."): np.load(path) for path in paths}
        arrays["inverse_norms"] = inverse_norms(stored)
        self.index = built_index(self.parsed).from_arrays(self.field, stored, arrays)

    def batch(self, queries: np.ndarray, k: int, **settings: Any) -> Any:
        return self.index.search(self.kernels, queries, k, None, SearchParams(**settings)).rows

    def single(self, query: np.ndarray, k: int, **settings: Any) -> Any:
        return self.index.search(self.kernels, query[None], k, None, SearchParams(**settings)).rows

    def settings(self) -> list[dict[str, Any]]:
        return [{"oversampling": one} for one in OVERSAMPLING]

    def knobs(self) -> list[tuple[str, list[dict[str, Any]]]]:
        return [*super().knobs(), *by_recall(self.knob)]

    def own_bytes(self) -> int | None:
        return int(self.index.code_bytes * self.index.ntotal)


class OurCollection(GraphLibrary):
    """An embedded database: ids come back, and points may be written meanwhile."""

    system, needs = "vecstore", "vecstore"

    def __init__(self, spec: str, payload: Payload | None = None) -> None:
        super().__init__(f"vecstore collection {spec}", spec)
        self.knob = knob_of(spec)
        self.payload = payload or {}

    def connect(self, folder: Path, threads: int) -> None:
        import vecstore
        from vecstore.config import Search, Settings

        self.client = vecstore.connect(folder, settings=Settings(search=Search(threads=threads)))

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        import vecstore

        self.connect(folder, threads)
        field = vecstore.Dense(rows.shape[1], metric="cosine", datatype=STORED.value, index=self.spec)
        self.collection: Any = self.client.create_collection(
            COLLECTION, field, indexes=dict.fromkeys(self.payload, "integer")
        )
        for low in range(0, len(rows), BATCH):
            part = rows[low : low + BATCH]
            self.collection.upsert(np.arange(low, low + len(part)), part, payloads(self.payload, low, low + len(part)))
        self.collection.compact(timeout_s=COMPACT_S)

    def save(self, folder: Path) -> None:
        self.client.close()

    def open(self, folder: Path, rows: np.ndarray) -> None:
        self.connect(folder, 1)
        self.collection = self.client.get_collection(COLLECTION)

    def batch(self, queries: np.ndarray, k: int, **settings: Any) -> Any:
        return self.collection.query_batch(queries, k, with_payload=False, **chosen(settings))

    def single(self, query: np.ndarray, k: int, **settings: Any) -> Any:
        return self.collection.query(query, k, with_payload=False, **chosen(settings))

    def rows_of(self, answer: Any) -> np.ndarray:
        return stacked([[hit.id for hit in hits] for hits in answer])

    def row_of(self, answer: Any) -> np.ndarray:
        return np.array([hit.id for hit in answer], np.int64)

    def settings(self) -> list[dict[str, Any]]:
        return [{"oversampling": one} for one in OVERSAMPLING]

    def knobs(self) -> list[tuple[str, list[dict[str, Any]]]]:
        return [*super().knobs(), *by_recall(self.knob)]

    def close(self) -> None:
        self.client.close()


def chosen(settings: dict[str, Any]) -> dict[str, Any]:
    """The client takes None where the engine takes 0, and calls a target by another name."""
    return {name.removesuffix("_target"): None if value == 0 else value for name, value in settings.items()}


def by_recall(knob: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Walks end by themselves where a recall is asked for, not a width."""
    return [("recall_target", [{}])] if knob == "ef" else []


def inverse_norms(stored: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(stored.astype(np.float32), axis=1)
    return (1 / np.maximum(norms, np.float32(1e-30))).astype(np.float32)


def knob_of(spec: str) -> str:
    """Lists where the spec has lists: a race of graphs beside them, or before there is a graph."""
    return "nprobe" if isinstance(parse_index(spec), IVF) else "ef"


def ours(specs: Iterable[str]) -> list[GraphLibrary]:
    return [kind(spec) for spec in specs for kind in (OurIndex, OurCollection)]
