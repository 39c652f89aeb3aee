"""From ranked rows to hits: scores, the threshold, the contents of the points."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.engine.collection import View
from vecstore.engine.contents import contents, gathered
from vecstore.engine.search import Ranked
from vecstore.hits import Answers, Hits
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.schema import Metric, larger_is_nearer, score_of
from vecstore.types import QueryRequest, Selection


def hits_of(
    view: View,
    ranked: Ranked,
    metric: Metric,
    request: QueryRequest,
    explain: dict[str, Any] | None,
    legs: Float32Array | None = None,
) -> tuple[Answers, list[Hits]]:
    """The hits of each query, read for all of them at once, and what they are parts of. `legs` are the scores of one
    query's answers in each prefetch, (n, prefetches)."""
    rows, places, distances = ranked.rows, ranked.segments, ranked.distances
    if request.offset or rows.shape[1] > request.k:
        window = slice(request.offset, request.offset + request.k)
        rows, distances = rows[:, window], distances[:, window]
        places = places[:, window] if isinstance(places, np.ndarray) else places
    scores = score_of(metric, distances)
    nq, width = rows.shape
    kept = _kept(rows, scores, metric, request.score_threshold)
    if isinstance(places, np.ndarray):
        places = places.ravel() if kept is None else places[kept]
    if kept is not None:
        bounds: Sequence[int] = [0, *np.cumsum(np.count_nonzero(kept, axis=1)).tolist()]
        rows, scores = rows[kept], scores[kept]
    elif nq > 1:
        bounds = range(0, nq * width + 1, width) if width else [0] * (nq + 1)
    rows, scores = rows.ravel(), scores.ravel()
    own_legs = None if legs is None else legs[request.offset : request.offset + request.k]
    answers = answers_of(view, places, rows, scores, request.select, explain, own_legs)
    answers.quality = ranked.quality
    if nq == 1:
        return answers, [Hits(answers, 0, len(rows))]
    return answers, [Hits(answers, low, high) for low, high in itertools.pairwise(bounds)]


def answers_of(
    view: View,
    places: int | Int64Array,
    rows: Int64Array,
    scores: Float32Array,
    select: Selection,
    explain: dict[str, Any] | None = None,
    legs: Float32Array | None = None,
) -> Answers:
    """Rows (n,) of the view's segments `places` with their contents. `legs` as in `hits_of`."""
    if isinstance(places, np.ndarray):
        points = gathered(view.segments, places, rows, view.schema, select)
    else:
        points = contents(view.segments[places], rows, view.schema, select)
    return Answers(points, scores, view.seq, explain, None if legs is None else _leg_scores(legs))


def _kept(rows: Int64Array, scores: Float32Array, metric: Metric, threshold: float | None) -> NDArray[np.bool_] | None:
    """Places that are used and not worse than the threshold, which are the first of each query; None when all are."""
    if threshold is None and (not rows.size or min(rows[:, -1].tolist()) >= 0):
        return None
    kept = rows >= 0
    if threshold is not None:
        kept &= scores >= threshold if larger_is_nearer(metric) else scores <= threshold
    return kept


def _leg_scores(legs: Float32Array) -> list[dict[int, float]]:
    return [{leg: score for leg, score in enumerate(row) if score == score} for row in legs.tolist()]  # NaN is absent
