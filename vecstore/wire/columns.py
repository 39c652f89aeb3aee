"""The vectors of one field for a batch of points, by column."""

from __future__ import annotations

import numpy as np

from vecstore.offsets import offsets_of
from vecstore.pb.v1 import common_pb2 as pb
from vecstore.rows import GivenRows, RaggedRows, TextRows, taken
from vecstore.sparse import SparseRows
from vecstore.sparse_check import bad_vector, sendable
from vecstore.tokens import TokenRows
from vecstore.types import VectorBatch
from vecstore.wire.vectors import DATA_TYPES, dtype_of, set_multi, tokens_from


def column_to_pb(batch: VectorBatch, path: str = "vectors") -> pb.VectorColumn:
    """Raises InvalidArgument (BAD_VECTOR) for sparse rows that have no form on the wire."""
    if isinstance(batch.rows, SparseRows):
        return _ragged_to_pb(sendable(batch.rows, len(batch.rows), path), batch.present)
    if not isinstance(batch.rows, np.ndarray):
        return _ragged_to_pb(batch.rows, batch.present)
    rows = batch.rows
    dtype = DATA_TYPES.get(rows.dtype)
    if dtype is None:
        rows, dtype = rows.astype(np.float32), pb.DATA_TYPE_FLOAT32
    width = rows.shape[1] if rows.ndim == 2 else 0
    column = pb.VectorColumn(dtype=dtype, dim=width * 8 if dtype == pb.DATA_TYPE_BIT else width)
    if batch.present is None or bool(batch.present.all()):
        column.data = rows.tobytes()
    else:
        column.data = rows[batch.present].tobytes()
        column.present = np.packbits(batch.present, bitorder="little").tobytes()
    return column


def is_ragged(column: pb.VectorColumn) -> bool:
    return column.HasField("sparse") or column.HasField("texts") or column.HasField("tokens")


def _ragged_to_pb(rows: RaggedRows | TextRows, present: np.ndarray | None) -> pb.VectorColumn:
    column = pb.VectorColumn()
    given: GivenRows = rows
    if present is not None and not present.all():
        column.present = np.packbits(present, bitorder="little").tobytes()
        given = taken(rows, np.flatnonzero(present))
    if isinstance(given, TextRows):
        column.texts.texts.extend(given.texts)
    elif isinstance(given, TokenRows):
        multi = pb.MultiVector()
        set_multi(multi, given.tokens)
        column.data, column.dtype, column.dim = multi.data, multi.dtype, multi.dim
        column.tokens.counts.extend(np.diff(given.offsets).tolist())
    elif isinstance(given, SparseRows):
        column.sparse.lengths.extend(np.diff(given.offsets).tolist())
        column.sparse.indices = given.indices.astype("<u4", copy=False).tobytes()
        with np.errstate(over="ignore"):  # what becomes infinite is the engine's to refuse
            column.sparse.values = given.values.astype("<f4", copy=False).tobytes()
    return column


def _ragged_from_pb(column: pb.VectorColumn, count: int, path: str) -> VectorBatch:
    kinds = [kind for kind in ("sparse", "texts", "tokens") if column.HasField(kind)]
    if len(kinds) > 1 or (column.data and kinds != ["tokens"]):
        raise bad_vector(path, "has more than one of data, sparse, texts and tokens")
    present = _present(column.present, count, path)
    wanted = count if present is None else int(present.sum())
    if kinds == ["texts"]:
        texts = list(column.texts.texts)
        _check_count(len(texts), wanted, path)
        if present is not None:
            found = iter(texts)
            texts = [next(found) if there else "" for there in present.tolist()]
        return VectorBatch(TextRows(texts), present)
    sizes = column.sparse.lengths if kinds == ["sparse"] else column.tokens.counts
    _check_count(len(sizes), wanted, path)
    lengths = np.zeros(count, np.int64)
    lengths[slice(None) if present is None else present] = np.array(sizes, np.int64)
    offsets = offsets_of(lengths)
    rows = _sparse_from_pb(column, offsets, path) if kinds == ["sparse"] else _tokens_from_pb(column, offsets, path)
    return VectorBatch(rows, present)


def _check_count(given: int, wanted: int, path: str) -> None:
    if given != wanted:
        raise bad_vector(path, f"holds {given} vectors for {wanted} points")


def _tokens_from_pb(column: pb.VectorColumn, offsets: np.ndarray, path: str) -> TokenRows:
    tokens = tokens_from(column.data, column.dtype, column.dim, path)
    if offsets[-1] != len(tokens):
        raise bad_vector(path, f"has counts that sum to {offsets[-1]}, and {len(tokens)} token vectors")
    return TokenRows(offsets, tokens)


def _sparse_from_pb(column: pb.VectorColumn, offsets: np.ndarray, path: str) -> SparseRows:
    sparse = column.sparse
    if len(sparse.indices) % 4 or len(sparse.values) % 4:
        raise bad_vector(path, f"holds {len(sparse.indices)} and {len(sparse.values)} bytes, not numbers of 4 bytes")
    indices, values = np.frombuffer(sparse.indices, "<u4"), np.frombuffer(sparse.values, "<f4")
    if offsets[-1] != len(indices) or len(indices) != len(values):
        problem = f"has lengths that sum to {offsets[-1]}, {len(indices)} indices and {len(values)} values"
        raise bad_vector(path, problem)
    return SparseRows(offsets, indices, values)


def column_from_pb(column: pb.VectorColumn, count: int, path: str) -> VectorBatch:
    """The vectors of `count` points; read-only, over the message's bytes, when every point has one.

    Raises InvalidArgument: BAD_VECTOR when `data`, `dim`, `dtype` and `present` do not fit together.
    """
    if is_ragged(column):
        return _ragged_from_pb(column, count, path)
    dtype = dtype_of(column.dtype, path)
    dim = column.dim
    bits = column.dtype == pb.DATA_TYPE_BIT
    if dim <= 0 or (bits and dim % 8):
        raise bad_vector(f"{path}.dim", f"is {dim}, not a positive number{' and multiple of 8' if bits else ''}")
    width = dim // 8 if bits else dim
    present = _present(column.present, count, path)
    rows = count if present is None else int(present.sum())
    data = column.data
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


def _present(bitmap: bytes, count: int, path: str) -> np.ndarray | None:
    if not bitmap:
        return None
    if len(bitmap) != (count + 7) // 8:
        raise bad_vector(f"{path}.present", f"holds {len(bitmap)} bytes, but {count} points need {(count + 7) // 8}")
    present = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count, bitorder="little").astype(bool)
    return None if present.all() else present
