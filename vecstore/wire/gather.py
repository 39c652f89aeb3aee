"""Points one by one turned into a batch by column, whatever they arrived in. Errors name the point and the field."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, limit_exceeded
from vecstore.query.filter import PointId
from vecstore.schema import DataType, Schema
from vecstore.sparse import SparseVector
from vecstore.sparse_check import bad_vector
from vecstore.types import PointBatch, VectorBatch
from vecstore.wire.given import OneVector, check_kind, given_rows, widen


def gathered(
    ids: list[PointId],
    columns: Mapping[str, Mapping[int, OneVector]],
    payloads: list[bytes | None],
    limits: Limits,
    schema: Schema | None,
) -> PointBatch:
    """A batch of `ids`, of vectors by field and by the point's place, and of a payload for each point. `schema`, when
    known, lets an error name the very point whose vector has the wrong dimension.

    Raises InvalidArgument: LIMIT_EXCEEDED, BAD_VECTOR, DIMENSION_MISMATCH."""
    vectors: dict[str, VectorBatch] = {}
    spread = 0
    for name, rows in columns.items():
        field = schema.vectors.get(name) if schema is not None else None
        if not all(isinstance(row, np.ndarray) and row.ndim == 1 for row in rows.values()):
            vectors[name] = _ragged(rows, len(ids), f"vectors.{name}")
            continue
        dense = {place: row for place, row in rows.items() if isinstance(row, np.ndarray)}
        width = field.storage_width if field is not None else len(next(iter(dense.values())))
        for place, row in dense.items():
            if len(row) != width:
                raise _wrong_width(f"points[{place}].vectors.{name}", row, width)
        spread += len(ids) * width * 4
        check_spread(spread, limits)
        vectors[name] = fit(_stack(dense, len(ids), width, f"vectors.{name}"), name, schema)
    return PointBatch(ids, vectors, payloads if any(payload is not None for payload in payloads) else None)


def fit(batch: VectorBatch, name: str, schema: Schema | None) -> VectorBatch:
    """Vectors as the field takes them: bfloat16 is widened where it is not stored, and packed bits are refused where
    they would pass for whole numbers."""
    field = schema.vectors.get(name) if schema is not None else None
    if not isinstance(batch.rows, np.ndarray):
        return batch
    if batch.rows.dtype == np.uint16 and (field is None or field.datatype is not DataType.BFLOAT16):
        return VectorBatch(widen(batch.rows), batch.present)
    if field is not None:
        check_kind(batch.rows, field, f"vectors.{name}")
    return batch


def check_count(count: int, limits: Limits) -> None:
    if count > limits.batch_points_max:
        raise limit_exceeded("batch_points_max", count, limits.batch_points_max, path="points in the batch")


def check_spread(size: int, limits: Limits) -> None:
    """Points without a vector still get a row of zeros in memory, which a small message could make very large."""
    if size > 4 * limits.message_bytes_max:
        where = "bytes of the batch's vectors with a row for every point"
        raise limit_exceeded("4 * message_bytes_max", size, 4 * limits.message_bytes_max, path=where)


def _stack(rows: Mapping[int, np.ndarray], count: int, width: int, path: str) -> VectorBatch:
    dtypes = {row.dtype for row in rows.values()}
    if len(dtypes) > 1:  # float32 beside float16, say
        if np.dtype(np.uint8) in dtypes:
            raise bad_vector(path, "mixes dense and binary vectors")
        rows = {place: widen(row) for place, row in rows.items()}
        dtypes = {np.dtype(np.float32)}
    stacked = np.zeros((count, width), dtypes.pop())
    places = list(rows)
    stacked[places] = list(rows.values())
    if len(places) == count:
        return VectorBatch(stacked)
    present = np.zeros(count, bool)
    present[places] = True
    return VectorBatch(stacked, present)


def _ragged(rows: Mapping[int, OneVector], count: int, path: str) -> VectorBatch:
    """Sparse vectors, multi-vectors or texts of some of `count` points."""
    nothing: OneVector = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))
    first = next(iter(rows.values()))
    if isinstance(first, str):
        nothing = ""
    elif isinstance(first, np.ndarray):
        nothing = first[:0]
    given = given_rows([rows.get(place, nothing) for place in range(count)], path)
    if len(rows) == count:
        return VectorBatch(given)
    present = np.zeros(count, bool)
    present[list(rows)] = True
    return VectorBatch(given, present)


def _wrong_width(path: str, row: np.ndarray, width: int) -> InvalidArgument:
    unit, factor = ("bits", 8) if row.dtype == np.uint8 else ("dimensions", 1)
    message = f"{path} has {len(row) * factor} {unit}, not {width * factor}"
    return InvalidArgument(
        message,
        reason="DIMENSION_MISMATCH",
        metadata={"expected": width * factor, "actual": len(row) * factor},
        field_violations=[(path, message)],
    )
