"""Sparse rows and queries of a benchmark file, and the truth about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import labelled
from bench.contest import Truth
from vecstore.io.sparse_files import SparseFile
from vecstore.sparse import SparseRows

BLOCK_SCORES = 1 << 24  # scores held at a time in exact search
FACTS = "data.json"
TRAIN, TEST = "train", "test"  # parts of a .npz file


@dataclass(slots=True)
class SparseData:
    name: str
    rows: SparseRows  # float32
    queries: SparseRows
    columns: int
    neighbors: np.ndarray  # (nq, >= k) rows, best first
    truth: SparseTruth
    labels: str | None = None  # the folder of judgements, for a labelled collection


class SparseTruth(Truth):
    """Recall by exact inner product: an answer counts when it scores no less than the true k-th (plus rounding)."""

    rows: Any
    queries: Any

    def products(self, answers: np.ndarray) -> np.ndarray:
        nq, k = answers.shape
        asked = self.queries[:nq]
        picked = self.rows.take(np.maximum(answers, 0).reshape(-1))
        owner = np.repeat(np.arange(nq * k), np.diff(picked.offsets))
        span = max(int(part.indices.max(initial=0)) for part in (asked, picked)) + 1
        keys = np.repeat(np.arange(nq), np.diff(asked.offsets)) * span + asked.indices
        wanted = owner // k * span + picked.indices
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        weights = np.where(keys[places] == wanted, asked.values[places].astype(np.float64), 0.0)
        return np.bincount(owner, weights * picked.values, minlength=nq * k).reshape(nq, k)


def load(
    path: str | Path, k: int, queries: int | None = None, rows: int | None = None, queries_file: str | None = None
) -> SparseData:
    """A `.npz` file with the parts train and test, or a file of rows and another of queries. Its neighbours are taken
    when it has as many; otherwise, or of its first `rows` only, they are searched exactly. Raises ValueError."""
    path = Path(path)
    file = SparseFile(path, None if queries_file else TRAIN)
    base = file.read()
    asked = (SparseFile(queries_file) if queries_file else SparseFile(path, TEST)).read()
    asked = asked[: queries or len(asked)]
    neighbors = None
    if rows is not None and rows < len(base):
        base = base[:rows]
    elif queries_file is None:
        with np.load(path) as arrays:
            neighbors = arrays["neighbors"][: len(asked)] if "neighbors" in arrays else None
    if not len(asked) or len(base) < k:
        raise ValueError(f"{path.name} has {len(base)} rows and {len(asked)} queries, too few for k={k}")
    if neighbors is None or neighbors.shape[1] < k:
        neighbors = nearest(base, asked, file.columns, k)
    labels = str(path.parent) if labelled.is_labelled(path.parent) else None
    name = path.parent.name if labels else path.stem
    return SparseData(name, base, asked, file.columns, neighbors, SparseTruth(base, asked, neighbors, k), labels)


def keep(data: SparseData, place: Path) -> None:
    """As files that processes map. Raises ValueError when `place` was kept from other data."""
    place.mkdir(parents=True, exist_ok=True)
    if (place / FACTS).exists():
        np.save(place / "neighbors.npy", data.neighbors)
        before = kept(place, data.truth.k)
        if before.columns != data.columns or not (same(before.rows, data.rows) and same(before.queries, data.queries)):
            raise ValueError(f"{place} holds indexes of other rows or queries")
        return
    for name, part in (("rows", data.rows), ("queries", data.queries)):
        for array, values in part.arrays().items():
            np.save(place / f"{name}.{array}.npy", values)
    np.save(place / "neighbors.npy", data.neighbors)
    facts = {"name": data.name, "columns": data.columns, "labels": data.labels}
    (place / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def kept(place: Path, k: int) -> SparseData:
    """What `keep` wrote, mapped."""
    rows, queries = (
        SparseRows.from_arrays({
            array: np.load(place / f"{name}.{array}.npy", mmap_mode="r") for array in ("offsets", "indices", "values")
        })
        for name in ("rows", "queries")
    )  # fmt: skip
    neighbors = np.load(place / "neighbors.npy")
    facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
    truth = SparseTruth(rows, queries, neighbors, k)
    return SparseData(facts["name"], rows, queries, facts["columns"], neighbors, truth, facts["labels"])


def same(one: SparseRows, other: SparseRows) -> bool:
    return all(np.array_equal(array, other.arrays()[name]) for name, array in one.arrays().items())


def nearest(rows: SparseRows, queries: SparseRows, columns: int, k: int) -> np.ndarray:
    """The k rows of the largest inner products with each query, (nq, k), best first, ties by row."""
    turned = matrix(rows, columns).T.tocsr()
    asked = matrix(queries, columns)
    out = np.empty((len(queries), k), np.int64)
    block = max(1, BLOCK_SCORES // len(rows))
    for low in range(0, len(queries), block):
        for place, scores in enumerate((asked[low : low + block] @ turned).toarray(), low):
            near = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
            out[place] = near[np.argsort(-scores[near], kind="stable")[:k]]
    return out


def matrix(rows: SparseRows, columns: int) -> Any:
    """As scipy's CSR matrix, in float64."""
    from scipy import sparse

    parts = rows.values.astype(np.float64), rows.indices.astype(np.int64), rows.offsets
    return sparse.csr_matrix(parts, shape=(len(rows), columns))
