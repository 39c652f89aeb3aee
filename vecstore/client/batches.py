"""Cutting points into requests by bytes, so that no request passes the message limit whatever the dimension."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vecstore.config import Limits
from vecstore.given import stored_rows
from vecstore.rows import GivenRows, TextRows
from vecstore.schema import Schema
from vecstore.sparse import SparseRows
from vecstore.tokens import TokenRows
from vecstore.types import PointBatch, VectorBatch
from vecstore.validate import check_id, check_payload_json

POINT_OVERHEAD_BYTES = 64  # an id and the framing of one point
VECTOR_OVERHEAD_BYTES = 16
UPLOAD_BYTES = 4 << 20


def request_bytes_max(limits: Limits) -> int:
    """Bytes of points that fit one message with room for framing."""
    return max(1, limits.message_bytes_max * 15 // 16)


def point_bytes(batch: PointBatch) -> np.ndarray:
    """The size of each point on the wire, from above: int64 of length len(batch.ids)."""
    sizes = np.full(len(batch.ids), POINT_OVERHEAD_BYTES, dtype=np.int64)
    sizes += np.array([len(one) * 4 if isinstance(one, str) else 40 for one in batch.ids], dtype=np.int64)
    for name, column in batch.vectors.items():
        sizes += row_bytes(column.rows) + VECTOR_OVERHEAD_BYTES + 4 * len(name)
    if batch.payloads is not None:
        sizes += np.array([len(payload) if payload else 0 for payload in batch.payloads], dtype=np.int64)
    return sizes


def row_bytes(rows: GivenRows) -> np.ndarray:
    """The size of each row on the wire, from above: int64 (n,)."""
    if isinstance(rows, TextRows):
        return np.array([4 * len(text) for text in rows.texts], dtype=np.int64)
    if isinstance(rows, SparseRows):
        return np.diff(np.asarray(rows.offsets, dtype=np.int64)) * 12
    if isinstance(rows, TokenRows):
        return np.diff(np.asarray(rows.offsets, dtype=np.int64)) * rows.dim * rows.tokens.itemsize
    return np.full(len(rows), rows[0].nbytes if len(rows) else 0, dtype=np.int64)


def cut_rows(rows: GivenRows, start: int, stop: int) -> GivenRows:
    return TextRows(rows.texts[start:stop]) if isinstance(rows, TextRows) else rows[start:stop]


def pieces(rows: GivenRows, bytes_max: int, rows_max: int) -> Iterator[GivenRows]:
    """Queries in order, as many at a time as fit."""
    count = len(rows)
    fit = isinstance(rows, np.ndarray) and rows.nbytes + count * POINT_OVERHEAD_BYTES <= bytes_max
    if fit and 0 < count <= rows_max:
        yield rows
        return
    ends = np.cumsum(row_bytes(rows) + POINT_OVERHEAD_BYTES)
    start = 0
    while start < len(rows):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + bytes_max, side="right"))
        stop = min(max(stop, start + 1), start + rows_max, len(rows))
        yield cut_rows(rows, start, stop)
        start = stop


def cut(batch: PointBatch, start: int, stop: int) -> PointBatch:
    """Points `start` to `stop` of a batch; arrays are views."""
    if start == 0 and stop >= len(batch.ids):
        return batch
    vectors = {
        name: VectorBatch(
            cut_rows(column.rows, start, stop), None if column.present is None else column.present[start:stop]
        )
        for name, column in batch.vectors.items()
    }
    payloads = None if batch.payloads is None else batch.payloads[start:stop]
    return PointBatch(ids=batch.ids[start:stop], vectors=vectors, payloads=payloads)


def split(batch: PointBatch, bytes_max: int, points_max: int) -> Iterator[PointBatch]:
    """Pieces in order, each of at most `bytes_max` and `points_max` but never less than one point. An empty batch is
    one empty piece, so that the engine gets to refuse it."""
    ends = np.cumsum(point_bytes(batch))
    start = 0
    while True:
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + bytes_max, side="right"))
        stop = min(max(stop, start + 1), start + points_max, len(batch.ids))
        yield cut(batch, start, stop)
        start = stop
        if start >= len(batch.ids):
            return


def check(batch: PointBatch, schema: Schema, limits: Limits) -> None:
    """What the engine checks, for a batch that is sent in several pieces: bad input far back in it is found before the
    first piece is written. Raises InvalidArgument as the engine does, with places counted in the whole batch."""
    for row, one in enumerate(batch.ids):
        check_id(one, limits, f"ids[{row}]")
    for name, column in batch.vectors.items():
        if isinstance(column.rows, TextRows) and schema.vectors[name].embedder:
            continue  # what comes of texts is known where they are embedded
        stored_rows(column.rows, schema.vectors[name], len(batch.ids), f"vectors.{name}", limits, column.present)
    for row, payload in enumerate(batch.payloads or ()):
        if payload is not None:
            check_payload_json(payload, limits, f"points[{row}].payload")


def skip_points(batches: Iterable[PointBatch], count: int) -> Iterator[PointBatch]:
    """The batches without their first `count` points."""
    for batch in batches:
        size = len(batch.ids)
        if count < size:
            yield cut(batch, count, size)
        count = max(0, count - size)
