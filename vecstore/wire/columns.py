"""The vectors of one field for a batch of points, by column."""

from __future__ import annotations

from vecstore.pb.v1 import common_pb2 as pb
from vecstore.types import VectorBatch
from vecstore.wire.column_parts import ColumnParts, SparseParts, batch_of, parts_of
from vecstore.wire.vectors import DATA_TYPES, dtype_of


def column_to_pb(batch: VectorBatch, path: str = "vectors") -> pb.VectorColumn:
    """Raises InvalidArgument (BAD_VECTOR) for sparse rows that have no form on the wire."""
    parts = parts_of(batch, path)
    column = pb.VectorColumn(data=parts.data, dim=parts.dim, present=parts.present)
    if parts.dim:
        column.dtype = DATA_TYPES[parts.dtype]
    if parts.sparse is not None:
        column.sparse.SetInParent()
        column.sparse.lengths.extend(parts.sparse.lengths)
        column.sparse.indices, column.sparse.values = parts.sparse.indices, parts.sparse.values
    if parts.texts is not None:
        column.texts.SetInParent()
        column.texts.texts.extend(parts.texts)
    if parts.counts is not None:
        column.tokens.SetInParent()
        column.tokens.counts.extend(parts.counts)
    return column


def is_ragged(column: pb.VectorColumn) -> bool:
    return column.HasField("sparse") or column.HasField("texts") or column.HasField("tokens")


def column_from_pb(column: pb.VectorColumn, count: int, path: str) -> VectorBatch:
    """The vectors of `count` points; read-only, over the message's bytes, when every point has one.

    Raises InvalidArgument: BAD_VECTOR when `data`, `dim`, `dtype` and `present` do not fit together.
    """
    sparse = column.sparse
    parts = ColumnParts(
        column.data,
        dtype_of(column.dtype, path),
        column.dim,
        column.present,
        SparseParts(sparse.lengths, sparse.indices, sparse.values) if column.HasField("sparse") else None,
        column.texts.texts if column.HasField("texts") else None,
        column.tokens.counts if column.HasField("tokens") else None,
    )
    return batch_of(parts, count, path)
