"""Questions about many points at once: how often each value of a payload key occurs, and how near points are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecstore.query.filter import Filter, PointId, Scalar


@dataclass(slots=True)
class FacetRequest:
    """The `limit` most frequent values of a payload key among the points that match: strings, integers of 64 bits (1.0
    is 1) and booleans. A point counts once for each of its values."""

    collection: str
    key: str
    filter: Filter | None = None
    limit: int = 10
    min_seq: int = 0
    min_seqs: Mapping[str, int] | None = None


@dataclass(slots=True)
class Facets:
    """(value, points), by descending count, then by value: booleans, numbers, strings."""

    counts: list[tuple[Scalar, int]]
    seq: int


@dataclass(slots=True)
class MatrixRequest:
    """The scores of points with each other, by the vectors of one field: of those listed, or of a `sample` of those
    that match."""

    collection: str
    using: str | None = None
    ids: Sequence[PointId] | None = None
    filter: Filter | None = None
    sample: int = 100
    seed: int | None = None
    min_seq: int = 0
    timeout_s: float | None = None
    min_seqs: Mapping[str, int] | None = None


@dataclass(slots=True)
class Matrix:
    """`scores` is float32 (n, n): that of a query by the row's vector for the column's point (which for multi-vectors
    and texts is another than the other way around). 0 for sparse vectors without an index in common."""

    ids: np.ndarray
    scores: np.ndarray
    seq: int
