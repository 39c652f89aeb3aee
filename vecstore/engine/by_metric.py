"""Exact distances of rows by a metric of the user's own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.recommend import every_key
from vecstore.engine.row_columns import as_matrix
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.kernels.stop import check_stop
from vecstore.query.metrics import distances_of, metric_named
from vecstore.ranking import ByMetric
from vecstore.schema import VectorField

BLOCK_BYTES = 1 << 20  # of rows for each call: what a cache holds


def metric_distances(
    view: View, name: str, field: VectorField, ranking: ByMetric, words: Mapping[int, Bitmap]
) -> tuple[Int64Array, Float32Array]:
    """Keys of the rows of dense field `name`, by the segment's place, and their distances. Raises InvalidArgument."""
    function = metric_named(ranking.metric)
    assert isinstance(ranking.vector, np.ndarray)
    queries = np.ascontiguousarray(ranking.vector, np.float32).reshape(1, -1)
    block = max(1, BLOCK_BYTES // (4 * field.dim))
    distances = [np.empty(0, np.float32)]
    for place, own in words.items():
        segment, rows = view.segments[place].segment, bitmaps.set_bits(own)
        for low in range(0, len(rows), block):
            check_stop()
            stored = segment.vectors(name, view.segments[place].n_rows)
            matrix = as_matrix(stored, rows[low : low + block], field)
            distances.append(distances_of(ranking.metric, function, queries, matrix)[0])
    return every_key(words), np.concatenate(distances)
