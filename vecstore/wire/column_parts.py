"""The vectors of one field for a batch of points, by column, as bytes and lists: what each encoding of a batch has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecstore.offsets import offsets_of
from vecstore.rows import GivenRows, RaggedRows, TextRows, taken
from vecstore.sparse import SparseRows
from vecstore.sparse_check import bad_vector, sendable
from vecstore.tokens import TokenRows
from vecstore.types import VectorBatch
from vecstore.wire.given import tokens_of


@dataclass(slots=True)
class SparseParts:
    """Sparse vectors one after another: entries of each, little-endian uint32, little-endian float32."""

    lengths: Sequence[int]
    indices: bytes
    values: bytes


@dataclass(slots=True)
class ColumnParts:
    """Rows of `dim` numbers of `dtype` (uint8: packed bits, `dim` counts bits) in `data`, as many for each point as
    `counts` says, or one; or sparse vectors; or texts. `present` is a bit for each point, the lowest of byte 0 first;
    empty: every point has a vector."""

    data: bytes = b""
    dtype: np.dtype[Any] = np.dtype("<f4")  # noqa: RUF009 (immutable)
    dim: int = 0
    present: bytes = b""
    sparse: SparseParts | None = None
    texts: Sequence[str] | None = None
    counts: Sequence[int] | None = None

    @property
    def is_ragged(self) -> bool:
        return self.sparse is not None or self.texts is not None or self.counts is not None


def parts_of(batch: VectorBatch, path: str = "vectors") -> ColumnParts:
    """Raises InvalidArgument (BAD_VECTOR) for sparse rows that have no form on the wire."""
    if isinstance(batch.rows, SparseRows):
        return _ragged_parts(sendable(batch.rows, len(batch.rows), path), batch.present)
    if not isinstance(batch.rows, np.ndarray):
        return _ragged_parts(batch.rows, batch.present)
    rows = batch.rows
    if rows.dtype not in (np.float32, np.float16, np.uint16, np.uint8):
        rows = rows.astype(np.float32)
    width = rows.shape[1] if rows.ndim == 2 else 0
    column = ColumnParts(dtype=rows.dtype, dim=width * 8 if rows.dtype == np.uint8 else width)
    if batch.present is None or bool(batch.present.all()):
        column.data = rows.tobytes()
    else:
        column.data = rows[batch.present].tobytes()
        column.present = np.packbits(batch.present, bitorder="little").tobytes()
    return column


def _ragged_parts(rows: RaggedRows | TextRows, present: np.ndarray | None) -> ColumnParts:
    column = ColumnParts()
    given: GivenRows = rows
    if present is not None and not present.all():
        column.present = np.packbits(present, bitorder="little").tobytes()
        given = taken(rows, np.flatnonzero(present))
    if isinstance(given, TextRows):
        column.texts = given.texts
    elif isinstance(given, TokenRows):
        tokens: np.ndarray = given.tokens
        if tokens.dtype not in (np.float32, np.float16):
            tokens = tokens.astype(np.float32)
        column.data, column.dtype, column.dim = tokens.tobytes(), tokens.dtype, tokens.shape[1]
        column.counts = np.diff(given.offsets).tolist()
    elif isinstance(given, SparseRows):
        with np.errstate(over="ignore"):  # what becomes infinite is the engine's to refuse
            values = given.values.astype("<f4", copy=False).tobytes()
        indices = given.indices.astype("<u4", copy=False).tobytes()
        column.sparse = SparseParts(np.diff(given.offsets).tolist(), indices, values)
    return column


def batch_of(column: ColumnParts, count: int, path: str) -> VectorBatch:
    """The vectors of `count` points; read-only, over the bytes given, when every point has one.

    Raises InvalidArgument: BAD_VECTOR when the parts do not fit together.
    """
    if column.is_ragged:
        return _ragged_batch(column, count, path)
    dtype, dim, data = column.dtype, column.dim, column.data
    bits = dtype.itemsize == 1
    if dim <= 0 or (bits and dim % 8):
        raise bad_vector(f"{path}.dim", f"is {dim}, not a positive number{' and multiple of 8' if bits else ''}")
    width = dim // 8 if bits else dim
    present = _present(column.present, count, path)
    rows = count if present is None else int(present.sum())
    if len(data) != rows * width * dtype.itemsize:
        expected = f"{rows} rows of {width * dtype.itemsize} bytes"
        raise bad_vector(f"{path}.data", f"holds {len(data)} bytes, but dim={dim} needs {expected}")
    values = np.frombuffer(data, dtype).reshape(rows, width)
    if present is None:
        return VectorBatch(values)
    # `count` is bounded by the ids received, `width` is not when no point has the vector.
    spread = np.zeros((count, width if rows else 0), dtype)
    if rows:
        spread[present] = values
    return VectorBatch(spread, present)


def _ragged_batch(column: ColumnParts, count: int, path: str) -> VectorBatch:
    kinds = sum(part is not None for part in (column.sparse, column.texts, column.counts))
    if kinds > 1 or (column.data and column.counts is None):
        raise bad_vector(path, "has more than one of data, sparse, texts and tokens")
    present = _present(column.present, count, path)
    wanted = count if present is None else int(present.sum())
    if column.texts is not None:
        texts = list(column.texts)
        _check_count(len(texts), wanted, path)
        if present is not None:
            found = iter(texts)
            texts = [next(found) if there else "" for there in present.tolist()]
        return VectorBatch(TextRows(texts), present)
    sizes = column.sparse.lengths if column.sparse is not None else column.counts or ()
    _check_count(len(sizes), wanted, path)
    lengths = np.zeros(count, np.int64)
    lengths[slice(None) if present is None else present] = np.array(sizes, np.int64)
    offsets = offsets_of(lengths)
    if column.sparse is not None:
        return VectorBatch(_sparse_rows(column.sparse, offsets, path), present)
    tokens = tokens_of(column.data, column.dtype, column.dim, path)
    if offsets[-1] != len(tokens):
        raise bad_vector(path, f"has counts that sum to {offsets[-1]}, and {len(tokens)} token vectors")
    return VectorBatch(TokenRows(offsets, tokens), present)


def _check_count(given: int, wanted: int, path: str) -> None:
    if given != wanted:
        raise bad_vector(path, f"holds {given} vectors for {wanted} points")


def _sparse_rows(sparse: SparseParts, offsets: np.ndarray, path: str) -> SparseRows:
    if len(sparse.indices) % 4 or len(sparse.values) % 4:
        raise bad_vector(path, f"holds {len(sparse.indices)} and {len(sparse.values)} bytes, not numbers of 4 bytes")
    indices, values = np.frombuffer(sparse.indices, "<u4"), np.frombuffer(sparse.values, "<f4")
    if offsets[-1] != len(indices) or len(indices) != len(values):
        problem = f"has lengths that sum to {offsets[-1]}, {len(indices)} indices and {len(values)} values"
        raise bad_vector(path, problem)
    return SparseRows(offsets, indices, values)


def _present(bitmap: bytes, count: int, path: str) -> np.ndarray | None:
    if not bitmap:
        return None
    if len(bitmap) != (count + 7) // 8:
        raise bad_vector(f"{path}.present", f"holds {len(bitmap)} bytes, but {count} points need {(count + 7) // 8}")
    present = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count, bitorder="little").astype(bool)
    return None if present.all() else present
