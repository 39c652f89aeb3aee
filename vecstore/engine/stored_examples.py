"""The vectors of examples: those given, and those of points that are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.row_keys import key_of, places_of, rows_of
from vecstore.errors import NotFound
from vecstore.given import query_rows
from vecstore.query.filter import PointId
from vecstore.ranking import Example, Recommend
from vecstore.rows import GivenRows, Rows, StoredVector, concat
from vecstore.schema import Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector, sparse_rows
from vecstore.tokens import TokenRows


@dataclass(frozen=True, slots=True)
class Examples:
    """`rows` are their vectors as queries, `own` the keys of those that are points of the view."""

    rows: Rows
    own: np.ndarray


def read_examples(
    view: View, name: str, field: VectorField, given: Sequence[tuple[str, Example]], limits: Limits
) -> Examples:
    """Raises NotFound (POINT_NOT_FOUND, VECTOR_NOT_FOUND) naming the example."""
    parts, own = [], []
    for path, example in given:
        if isinstance(example, np.ndarray | SparseRows | TokenRows) or not isinstance(example, PointId):
            parts.append(query_rows(example, field, limits, path))
            continue
        key = _find_point(view, example, path)
        own.append(key)
        place, row = int(places_of(np.array([key]))[0]), int(rows_of(np.array([key]))[0])
        stored = view.segments[place]
        present = stored.segment.present(name, stored.n_rows)
        if present is not None and not bitmaps.are_set(present, np.array([row]))[0]:
            raise NotFound(f"{path}: point {example!r:.140} has no vector {name!r}", reason="VECTOR_NOT_FOUND")
        parts.append(query_rows(_given(stored.segment.vector(name, row), field), field, limits, path))
    return Examples(concat(parts), np.array(own, np.int64))


def _find_point(view: View, point_id: PointId, path: str) -> int:
    """The key of a live point's row. Raises NotFound (POINT_NOT_FOUND)."""
    for place, segment in enumerate(view.segments):
        rows = segment.find([point_id])
        if rows[0] >= 0:
            return int(key_of(place, rows)[0])
    raise NotFound(f"{path}: point {point_id!r:.140} does not exist", reason="POINT_NOT_FOUND")


def _given(stored: StoredVector, field: VectorField) -> GivenRows:
    if isinstance(stored, SparseVector):
        return sparse_rows([stored])
    if field.kind is VectorKind.MULTI:
        return TokenRows.of([stored], field.dim, np.float32)
    return validate.widen(stored, field) if field.kind is VectorKind.DENSE else stored


def average(rows: Rows, ranking: Recommend, field: VectorField, limits: Limits) -> Rows:
    """The one query of strategy average_vector. Raises InvalidArgument (ZERO_VECTOR, NAN_OR_INF)."""
    n, m = len(ranking.positive), len(ranking.negative)
    weights = np.concatenate([np.full(n, (2.0 if m else 1.0) / n), np.full(m, -1.0 / max(m, 1))])
    if isinstance(rows, SparseRows):
        of_entry = np.repeat(weights, np.diff(rows.offsets))
        indices, places = np.unique(rows.indices, return_inverse=True)
        values = np.bincount(places, of_entry * rows.values, len(indices))
        return query_rows(sparse_rows([SparseVector(indices, values)]), field, limits, "recommend")
    assert isinstance(rows, np.ndarray)
    vectors = rows.astype(np.float64)
    if field.metric is Metric.COSINE:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return query_rows((weights @ vectors).astype(np.float32), field, limits, "recommend")
