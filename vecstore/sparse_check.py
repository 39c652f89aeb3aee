"""Checks of sparse vectors that users give, and their stored form."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.errors import InvalidArgument, invalid
from vecstore.kernels.sparse_ready import is_ready
from vecstore.sparse import SparseRows

INDEX_MAX = (1 << 32) - 1
_STORED, _OFFSETS, _INDICES = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.uint32)


def bad_vector(path: str, problem: str, reason: str = "BAD_VECTOR") -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid(reason, message, path)


def check_sparse(
    rows: SparseRows, dtype: np.dtype[Any], count: int, path: str, squared_max: float, *, single: bool = False
) -> SparseRows:
    """The stored form of `count` sparse vectors: indices ascending within a row, values of `dtype`, no zeros.

    Rows may come in any order of indices and any number type. Raises InvalidArgument with BAD_VECTOR or NAN_OR_INF
    that names the first bad row, or `path` alone of a `single` vector."""
    if count == 1 and _is_ready(rows, dtype, squared_max):
        return rows
    given = sendable(rows, count, path, single=single)
    offsets, indices = given.offsets, given.indices
    row_of = np.repeat(np.arange(count), np.diff(offsets))
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(given.values, dtype=dtype)
    _check_values(values, row_of, count, path, squared_max, single)
    same = row_of[1:] == row_of[:-1]
    if (same & (indices[1:] <= indices[:-1])).any():
        order = np.lexsort((indices, row_of))
        indices, values = indices[order], values[order]
        twice = same & (indices[1:] == indices[:-1])
        if twice.any():
            at = int(np.argmax(twice))
            raise bad_vector(_place(path, int(row_of[at]), single), f"has index {indices[at]} twice")
    if not values.all():
        kept = values != 0
        offsets = np.concatenate([[0], np.cumsum(kept)])[offsets]
        indices, values = indices[kept], values[kept]
    return SparseRows(offsets, indices, values)


def _is_ready(rows: SparseRows, dtype: np.dtype[Any], squared_max: float) -> bool:
    """Whether one row is what is stored already, as most queries are: they are checked in a few microseconds."""
    offsets, indices, values = rows.offsets, rows.indices, rows.values
    if dtype != _STORED or type(indices) is not np.ndarray or type(values) is not np.ndarray:
        return False
    if type(offsets) is not np.ndarray:
        return False
    if offsets.dtype != _OFFSETS or offsets.shape != (2,) or offsets.tolist() != [0, len(indices)]:
        return False
    return is_ready(indices, values, squared_max)


def _is_one_row(rows: SparseRows) -> bool:
    """Whether the parts of one row have the types and lengths that are stored; values may be of any floats."""
    offsets, indices, values = rows.offsets, rows.indices, rows.values
    if not (type(offsets) is np.ndarray and type(indices) is np.ndarray and type(values) is np.ndarray):
        return False
    if offsets.dtype != _OFFSETS or indices.dtype != _INDICES or values.dtype.kind != "f":
        return False
    count = len(indices) if indices.ndim == 1 and indices.flags.c_contiguous else -1
    return values.shape == (count,) and offsets.shape == (2,) and offsets.tolist() == [0, count]


def sendable(rows: SparseRows, count: int, path: str, *, single: bool = False) -> SparseRows:
    """The rows with offsets int64 and indices uint32, values as they are. Raises InvalidArgument with BAD_VECTOR when
    the parts do not fit together, or naming the row whose index lies outside."""
    if count == 1 and _is_one_row(rows):
        return rows
    offsets, indices = np.asarray(rows.offsets), np.asarray(rows.indices)
    values: np.ndarray[Any, Any] = np.asarray(rows.values)
    _check_form(offsets, indices, values, count, path)
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    if len(indices) and indices.dtype != np.uint32 and (int(indices.min()) < 0 or int(indices.max()) > INDEX_MAX):
        at = int(np.argmax((indices < 0) | (indices > INDEX_MAX)))
        row = int(np.searchsorted(offsets, at, side="right")) - 1
        raise bad_vector(_place(path, row, single), f"has index {indices[at]}, which is outside 0..2^32-1")
    return SparseRows(offsets, np.ascontiguousarray(indices, dtype=np.uint32), values)


def _check_form(offsets: np.ndarray, indices: np.ndarray, values: np.ndarray, count: int, path: str) -> None:
    if offsets.ndim != 1 or indices.ndim != 1 or values.ndim != 1 or offsets.dtype.kind not in "iu":
        shapes = (offsets.shape, indices.shape, values.shape)
        raise bad_vector(path, f"needs offsets, indices and values in one dimension each, got shapes {shapes}")
    if len(offsets) != count + 1 or not len(offsets):
        raise bad_vector(path, f"has {len(offsets) - 1} rows for {count} points")
    if int(offsets[0]) != 0 or int(offsets[-1]) != len(indices) or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise bad_vector(path, f"has offsets that do not rise from 0 to {len(indices)}, the number of indices")
    if len(values) != len(indices):
        raise bad_vector(path, f"has {len(indices)} indices and {len(values)} values")
    if len(indices) and (indices.dtype.kind not in "iu" or values.dtype.kind not in "fiu"):
        raise bad_vector(path, f"needs integer indices and numbers as values, got {indices.dtype} and {values.dtype}")


def _check_values(
    values: np.ndarray, row_of: np.ndarray, count: int, path: str, squared_max: float, single: bool
) -> None:
    wide = values.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.bincount(row_of, weights=np.square(wide, dtype=np.float64), minlength=count)
    bad = ~(squared <= squared_max)
    if not bad.any():
        return
    row = int(np.argmax(bad))
    own = wide[row_of == row]
    if np.isfinite(own).all():
        problem = f"has a squared length of more than {squared_max:.3g}: scores would overflow"
    else:
        problem = f"is NaN or infinite as {values.dtype} at entry {int(np.argmax(~np.isfinite(own)))}"
    raise bad_vector(_place(path, row, single), problem, "NAN_OR_INF")


def _place(path: str, row: int, single: bool) -> str:
    return path if single else f"{path}[{row}]"
