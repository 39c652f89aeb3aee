"""Rows of a view as one number each: the segment's place in the high bits, the row in the low ones."""

from __future__ import annotations

import numpy as np

from vecstore.engine.search import Ranked
from vecstore.kernels.base import Float32Array, Int64Array

_ROW_BITS = 32


def keys_of(ranked: Ranked, query: int = 0) -> Int64Array:
    """Of one query's answers."""
    segments = ranked.segments if isinstance(ranked.segments, int) else ranked.segments[query]
    keys: Int64Array = (np.asarray(segments, np.int64) << _ROW_BITS) + ranked.rows[query]
    return keys


def key_of(place: int, rows: Int64Array) -> Int64Array:
    """Of rows of one segment."""
    return (place << _ROW_BITS) + rows.astype(np.int64)


def rows_of(keys: Int64Array) -> Int64Array:
    return keys & ((1 << _ROW_BITS) - 1)


def places_of(keys: Int64Array) -> Int64Array:
    return keys >> _ROW_BITS


def ranked_of(keys: Int64Array, distances: Float32Array) -> Ranked:
    """As one query's answers, best first."""
    return Ranked(places_of(keys)[None], rows_of(keys)[None], distances[None])


def by_segment(keys: Int64Array) -> list[tuple[int, slice | Int64Array]]:
    """(place of the segment, which of `keys` are in it: a slice where all are)."""
    if len(keys) and (first := int(keys.min()) >> _ROW_BITS) == int(keys.max()) >> _ROW_BITS:
        return [(first, slice(None))]  # as it is in a collection that is compacted
    places = places_of(keys)
    return [(place, np.flatnonzero(places == place)) for place in np.unique(places).tolist()]
