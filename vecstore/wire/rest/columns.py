"""The vectors of one field for a batch of points, by column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec

from vecstore.config import Limits
from vecstore.errors import limit_exceeded
from vecstore.schema import Schema
from vecstore.types import VectorBatch
from vecstore.wire.column_parts import ColumnParts, SparseParts, batch_of, parts_of
from vecstore.wire.gather import check_spread, fit
from vecstore.wire.rest.base import Body
from vecstore.wire.rest.vectors import DTYPES, PACKINGS, Packing

Length: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]


class SparseColumn(Body):
    """Sparse vectors one after another: entries of each, little-endian uint32 and float32 in base64."""

    lengths: list[Length]
    indices: bytes
    values: bytes


class VectorColumn(Body):
    """For each point that has the vector, in the order of the ids: a row of `dim` numbers in `data` (bits, for the
    dtype bit), or as many as `counts` says for a multi-vector; or `sparse`; or `texts`."""

    data: Annotated[bytes, msgspec.Meta(description="Little-endian numbers, in base64.")] = b""
    dtype: Packing = Packing.FLOAT32
    dim: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)] = 0
    present: Annotated[
        bytes, msgspec.Meta(description="A bit for each point, lowest of byte 0 first; empty: all have the vector.")
    ] = b""
    sparse: SparseColumn | None = None
    texts: list[str] | None = None
    counts: list[Length] | None = None


def columns_from_json(
    given: Mapping[str, VectorColumn], count: int, limits: Limits, schema: Schema | None
) -> dict[str, VectorBatch]:
    """Vectors are views of the decoded bytes. Raises InvalidArgument: LIMIT_EXCEEDED, BAD_VECTOR."""
    spread = 0
    vectors: dict[str, VectorBatch] = {}
    for name, column in given.items():
        path = f"batch.vectors.{name}"
        parts = ColumnParts(column.data, DTYPES[column.dtype], column.dim, column.present, texts=column.texts)
        parts.counts = column.counts
        if column.sparse is not None:
            parts.sparse = SparseParts(column.sparse.lengths, column.sparse.indices, column.sparse.values)
        if not parts.is_ragged:
            if column.dim > limits.dim_max:
                raise limit_exceeded("dim_max", column.dim, limits.dim_max, path=f"{path}.dim")
            if column.present:
                spread += count * column.dim * 4
                check_spread(spread, limits)
        batch = batch_of(parts, count, path)
        vectors[name] = batch if parts.is_ragged else fit(batch, name, schema)
    return vectors


def columns_to_json(vectors: Mapping[str, VectorBatch]) -> dict[str, VectorColumn]:
    return {name: _column_to_json(parts_of(batch, f"vectors.{name}")) for name, batch in vectors.items()}


def _column_to_json(parts: ColumnParts) -> VectorColumn:
    column = VectorColumn(data=parts.data, dim=parts.dim, present=parts.present)
    if parts.dim:
        column.dtype = PACKINGS[parts.dtype]
    if parts.sparse is not None:
        sparse = parts.sparse
        column.sparse = SparseColumn(lengths=list(sparse.lengths), indices=sparse.indices, values=sparse.values)
    column.texts = None if parts.texts is None else list(parts.texts)
    column.counts = None if parts.counts is None else list(parts.counts)
    return column
