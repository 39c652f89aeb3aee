"""The copy of the rows that a seismic index scores candidates by, where it has one (the forward index of Seismic).

The stored rows are such a copy already; one of the index's own is smaller and stays in memory with it. Values are
float16, or bytes times a power of two (Q2.6 up to 3.98), components whole places or gaps (vecstore/packed_sparse.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.resident import resident
from vecstore.index.seismic_terms import parts_of
from vecstore.index_spec import Seismic
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.kernels.graph import UInt32Array
from vecstore.packed_sparse import ARRAYS, PackedRows, StoredRows, coded
from vecstore.sparse import SparseRows

_PREFIX = "forward."
_NAMES = tuple(name for name in ARRAYS if name != "offsets")  # offsets are those of the stored rows
MARGIN = 5
_NO_ROW = np.iinfo(np.int64).max
_HALF_MAX = float(np.finfo(np.float16).max)


def forward_copy(rows: StoredRows, terms: UInt32Array, spec: Seismic) -> PackedRows | None:
    """None where the stored rows score. `terms` are the distinct indices of the rows, none of whose values is
    negative."""
    if spec.values == "stored" or not rows.nnz:
        return None
    step = _fixed_step(rows) if spec.values == "fixed8" else 1.0
    codes = coded(parts_of(rows), terms, "delta8" if spec.components == "auto" else spec.components)
    values = np.concatenate([_narrowed(part.values, spec, step) for part in parts_of(rows)])
    arrays: dict[str, np.ndarray] = {"offsets": rows.offsets, "terms": terms, **codes, "values": values}
    return PackedRows.from_arrays(arrays, np.dtype(np.float32), step)


def _fixed_step(rows: StoredRows) -> float:
    """The least power of two of which 255 times reaches the largest value, at least 1/64."""
    largest = max(float(part.values.max()) for part in parts_of(rows) if part.nnz)
    return float(2.0 ** max(-6, int(np.ceil(np.log2(largest / 255)))))


def _narrowed(values: NDArray[Any], spec: Seismic, step: float) -> NDArray[Any]:
    """What is rounded to nothing gets the smallest code: a row that has the term is found by it."""
    if spec.values == "float16":
        halves: NDArray[Any] = np.minimum(values, _HALF_MAX).astype(np.float16)
        return halves
    fixed: NDArray[Any] = np.clip(np.rint(values.astype(np.float32) / np.float32(step)), 1, 255).astype(np.uint8)
    return fixed


def forward_arrays(forward: PackedRows | None) -> dict[str, np.ndarray]:
    return {} if forward is None else {_PREFIX + name: getattr(forward, name) for name in _NAMES}


def open_forward(rows: StoredRows, spec: Seismic, step: float, arrays: Mapping[str, np.ndarray]) -> PackedRows | None:
    """Raises Corruption."""
    missing = [name for name in _NAMES if _PREFIX + name not in arrays]
    if len(missing) == len(_NAMES):
        return None
    if missing or spec.values == "stored":
        raise Corruption(f"a seismic index has a copy of its rows with {spec.values} values that lacks {missing}")
    named = {name: resident(arrays[_PREFIX + name]) for name in _NAMES}
    try:
        return PackedRows.from_arrays({"offsets": rows.offsets, **named}, np.dtype(np.float32), step)
    except ValueError as error:
        raise Corruption(f"the copy of the rows of a seismic index is damaged: {error}") from None


def more_than(k: int, spec: Seismic) -> int:
    """How many rows scored in 8 bits are scored again by the stored rows for k answers: the last ones may change places
    with the next. Halves keep the order but for rows that are nearly equal."""
    return k + max(2, k // MARGIN) if spec.values == "fixed8" else k


def rescore(
    kernels: Kernels, queries: SparseRows, rows: StoredRows, found: Int64Array, k: int
) -> tuple[Int64Array, Float32Array]:
    """The k nearest by the stored rows of those found by a copy, (nq, at least k), -1 for none."""
    distances = np.empty(found.shape, np.float32)
    kernels.sparse_rerank(queries, rows, None, found, distances)
    if not (distances[:, 1:] > distances[:, :-1]).all():
        order = np.lexsort((np.where(found < 0, _NO_ROW, found), distances))
        found, distances = np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)
    return np.ascontiguousarray(found[:, :k]), np.ascontiguousarray(distances[:, :k])
