"""A small inverted-file index, so that tests of the engine need no real one, and what indexed collections share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from engine_support import DIM, batch_of, vectors_of

from vecstore.config import Search, Settings, Storage
from vecstore.engine.database import Database
from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import DEFAULT_PARAMS, BuiltIndex, Candidates, SearchParams, Warm
from vecstore.index.flat import FlatIndex
from vecstore.index_spec import IVF
from vecstore.kernels.base import Bitmap, Float32Array, Kernels
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import QueryRequest, UpsertRequest

ROWS_MIN = 300
INDEXED = Settings(
    search=Search(shadow_sample=0.0),
    storage=Storage(
        seal_rows=500, in_place_rows=100_000, merge_factor=4, disk_reserve_bytes=0, index_rows_min=ROWS_MIN
    ),
)


def schema(spec: Any, metric: Metric = Metric.COSINE) -> Schema:
    bits = VectorField(VectorKind.BINARY, DIM, Metric.HAMMING)
    return Schema({"v": VectorField(VectorKind.DENSE, DIM, metric, index=spec), "b": bits}, {"n": FieldKind.INTEGER})


class ToyIVF(BuiltIndex):
    """Lists around rows of the segment; distances of the lists that are probed are exact."""

    name: ClassVar[str] = "toy_ivf"
    trained: ClassVar[int] = 0  # how often centroids were chosen, not taken over
    before_step: ClassVar[Callable[[], None] | None] = None
    fail: ClassVar[Exception | None] = None

    def __init__(self, field: VectorField, rows: np.ndarray, norms: Float32Array | None, arrays: dict) -> None:
        self.ntotal = len(rows)
        self.code_bytes = 4.0
        self._flat = FlatIndex(field, rows, norms)
        self._spec = field.index
        self._arrays = arrays

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: Any,
        rows: np.ndarray,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Callable[[str, int, int], None],
        warm: Warm[Self] | None = None,
    ) -> Self:
        assert field.index == spec
        for step in range(4):
            if cls.before_step is not None:
                cls.before_step()
            progress("assign", step, 4)
        if cls.fail is not None:
            raise cls.fail
        nlist = 16 if spec.nlist == "auto" else spec.nlist
        if nlist > len(rows):
            raise InvalidArgument("more lists than rows", reason="BAD_INDEX_SPEC")
        if warm is None:
            cls.trained += 1
            centroids = np.array(rows[:: len(rows) // nlist][:nlist], dtype=np.float32)
        else:
            centroids = np.array(warm.index._arrays["centroids"])
        nearest = np.argmax(np.asarray(rows, np.float32) @ centroids.T, axis=1).astype(np.int32)
        return cls(field, rows, inverse_norms, {"centroids": centroids, "lists": nearest})

    def search(
        self,
        kernels: Kernels,
        queries: np.ndarray,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        nprobe = params.nprobe or 8
        out = Candidates(np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32))
        scanned = 0
        for place, query in enumerate(queries):
            near = np.argsort(-(self._arrays["centroids"] @ query), kind="stable")[:nprobe]
            chosen = np.isin(self._arrays["lists"], near)
            padded = np.zeros(-(-self.ntotal // 64) * 64, bool)
            padded[: self.ntotal] = chosen
            words = np.packbits(padded, bitorder="little").view(np.uint64)
            words = words if allowed is None else words & allowed
            one = self._flat.search(kernels, query[None], k, words)
            out.rows[place], out.distances[place] = one.rows[0], one.distances[0]
            scanned += one.counters["rows_scanned"]
        out.counters.update(rows_scanned=scanned, lists_probed=nprobe * len(queries))
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self._arrays)

    @classmethod
    def from_arrays(cls, field: VectorField, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Self:
        assert isinstance(field.index, IVF)
        if arrays["lists"].shape != (len(rows),) or len(arrays["centroids"]) == 0:
            raise Corruption("lists do not fit the rows")
        return cls(field, rows, arrays.get("inverse_norms"), dict(arrays))


def load(db: Database, low: int, high: int, step: int = 500) -> None:
    for start in range(low, high, step):
        db.write(UpsertRequest("c", batch_of(range(start, min(start + step, high)))))


def query(db: Database, vector: np.ndarray, k: int = 10, **how: Any) -> Any:
    return db.query(QueryRequest("c", vector, using="v", k=k, **how))


def recall(db: Database, queries: np.ndarray, k: int = 10, **params: Any) -> float:
    """Against the exact answers of the same database."""
    found = 0
    for vector in queries:
        truth = {hit.id for hit in query(db, vector, k, params=SearchParams(exact=True))}
        found += len(truth & {hit.id for hit in query(db, vector, k, params=SearchParams(**params))})
    return found / (k * len(queries))


def questions(count: int) -> np.ndarray:
    return vectors_of([f"question {n}" for n in range(count)])


def strategies(db: Database) -> list[str]:
    explained = query(db, questions(1)[0], explain=True).explain
    return [segment["strategy"] for segment in explained["segments"]]


def index_columns(db: Database) -> set[str]:
    """Blobs of vector indexes: column names alone may come again in another segment."""
    headers = db.collection("c").manifest.segments
    return {column.ref.name for header in headers for column in header.columns if column.name.startswith("index.")}


def stored_blobs(db: Database) -> set[str]:
    return {ref.name for ref in db._storage.blobs.list("")}


def named_blobs(db: Database) -> set[str]:
    headers = db.collection("c").manifest.segments
    return {column.ref.name for header in headers for column in header.columns}
