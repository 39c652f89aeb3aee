"""vecstore in a sparse race: the index object that a segment holds, and the embedded collection around it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_ours import chosen
from bench.sparse_library import SparseLibrary
from vecstore.index.base import SearchParams
from vecstore.index.registry import built_index, flat_class
from vecstore.index_spec import Flat, Seismic
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.packed_sparse import PackedRows, packed
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows

DEFAULTS = ("flat", "inverted", "seismic")
STORED = DataType.FLOAT16  # of the weights
FACTORS = (0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0)
TERMS = (0, 4, 6, 10)  # 0: the index's own choice
DEPTHS = (0.0, 1.0, 3.0)  # rows scored in full, times k
COLLECTION = "bench"
BATCH = 2_000
COMPACT_S = 7_200.0


class OurIndex(SparseLibrary):
    """Built and searched through the interface that the engine uses, over rows packed as sealed segments have them."""

    system = needs = "vecstore"

    def __init__(self, spec: str) -> None:
        super().__init__(f"vecstore index {spec}", spec)

    def start(self) -> None:
        self.kernels = get_kernels()
        self.kernels.set_threads(1)
        self.parsed = parse_index(self.spec)
        self.field = VectorField(VectorKind.SPARSE, 0, Metric.DOT, STORED, index=self.parsed)

    def prepare(self, rows: SparseRows, columns: int, folder: Path) -> None:
        self.start()
        self.rows = packed(rows.astype(self.field.storage_dtype))

    def build(self, folder: Path) -> None:
        if isinstance(self.parsed, Flat):
            self.index: Any = flat_class(self.field).from_arrays(self.field, self.rows, {})
        else:
            self.index = built_index(self.parsed).build(
                self.field, self.parsed, self.rows, None, self.kernels, lambda phase, done, total: None
            )

    def save(self, folder: Path) -> int:
        """Of the index and of the stored rows."""
        saved = {"array": self.index.arrays(), "rows": self.rows.arrays()}
        for kind, arrays in saved.items():
            for name, array in arrays.items():
                np.save(folder / f"{kind}.{name}.npy", array)
        return sum(array.nbytes for arrays in saved.values() for array in arrays.values())

    def open(self, folder: Path) -> None:
        self.start()
        rows, arrays = (
            {path.stem.removeprefix(f"{kind}."): np.load(path, mmap_mode="r") for path in folder.glob(f"{kind}.*.npy")}
            for kind in ("rows", "array")
        )
        opened = flat_class(self.field) if isinstance(self.parsed, Flat) else built_index(self.parsed)
        stored = PackedRows.from_arrays(rows, np.dtype(self.field.storage_dtype))
        self.index = opened.from_arrays(self.field, stored, arrays)

    def query(self, row: SparseRows) -> SparseRows:
        return SparseRows(*(np.ascontiguousarray(array) for array in row.arrays().values()))

    def queries(self, rows: SparseRows, folder: Path) -> SparseRows:
        return self.query(rows)

    def single(self, query: SparseRows, k: int, **settings: Any) -> Any:
        return self.index.search(self.kernels, query, k, None, SearchParams(**settings)).rows

    def batch(self, queries: SparseRows, k: int, **settings: Any) -> Any:
        return self.single(queries, k, **settings)

    def row_of(self, answer: Any) -> np.ndarray:
        return np.asarray(answer).reshape(-1)

    def settings(self) -> list[dict[str, Any]]:
        return settings_of(self.spec)


class OurCodes(OurIndex):
    """The same without the stored rows: a seismic index that answers by its codes, or by its copy of the rows."""

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        self.family += " without rows"

    def save(self, folder: Path) -> int:
        """Of the index, and where a copy's rows begin, which is read from the stored ones."""
        super().save(folder)
        offsets = 0 if self.index.spec.values == "stored" else self.rows.offsets.nbytes
        return sum(array.nbytes for array in self.index.arrays().values()) + offsets

    def settings(self) -> list[dict[str, Any]]:
        depths = (0.0,) if parse_index(self.spec) == Seismic() else DEPTHS
        return [
            {"block_factor": factor, "oversampling": depth, "rescore": False}
            for factor, depth in itertools.product(FACTORS, depths)
        ]


class OurCollection(SparseLibrary):
    """An embedded database: ids come back, and points may be written meanwhile."""

    system = needs = "vecstore"

    def __init__(self, spec: str) -> None:
        super().__init__(f"vecstore collection {spec}", spec)

    def connect(self, folder: Path) -> None:
        import vecstore
        from vecstore.config import Search, Settings

        self.client = vecstore.connect(folder / "data", settings=Settings(search=Search(threads=1)))

    def prepare(self, rows: SparseRows, columns: int, folder: Path) -> None:
        self.connect(folder)
        self.rows = rows

    def build(self, folder: Path) -> None:
        field = {"datatype": STORED.value, "index": self.spec}
        self.collection: Any = self.client.create_collection(COLLECTION, sparse={"terms": field})
        for low in range(0, len(self.rows), BATCH):
            part = [pair(row) for row in self.rows[low : low + BATCH]]
            self.collection.upsert(np.arange(low, low + len(part)), part)
        self.collection.compact(timeout_s=COMPACT_S)

    def save(self, folder: Path) -> int:
        """All files of the database."""
        self.client.close()
        return sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())

    def open(self, folder: Path) -> None:
        self.connect(folder)
        self.collection = self.client.get_collection(COLLECTION)

    def query(self, row: SparseRows) -> Any:
        return pair(row)

    def queries(self, rows: SparseRows, folder: Path) -> Any:
        return [pair(row) for row in rows]

    def single(self, query: Any, k: int, **settings: Any) -> Any:
        return self.collection.query(query, k, with_payload=False, **chosen(settings))

    def batch(self, queries: Any, k: int, **settings: Any) -> Any:
        return self.collection.query_batch(queries, k, with_payload=False, **chosen(settings))

    def row_of(self, answer: Any) -> np.ndarray:
        return np.array([hit.id for hit in answer], np.int64)

    def settings(self) -> list[dict[str, Any]]:
        return settings_of(self.spec)

    def close(self) -> None:
        self.client.close()


def pair(row: SparseRows) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(row.indices), np.ascontiguousarray(row.values)


def settings_of(spec: str) -> list[dict[str, Any]]:
    if not isinstance(parse_index(spec), Seismic):
        return [{}]
    return [
        {"block_factor": factor, "nprobe": terms, "oversampling": depth}
        for factor, terms, depth in itertools.product(FACTORS, TERMS, DEPTHS)
    ]


def ours(specs: Iterable[str]) -> list[SparseLibrary]:
    found: list[SparseLibrary] = []
    for spec in specs:
        found += [OurIndex(spec), OurCollection(spec)]
        if isinstance(parse_index(spec), Seismic):
            found.append(OurCodes(spec))
    return found
