"""Queries unlike those that an index was calibrated on: noticed by how far away their nearest are, and held to more.

Calibration on held-out rows promises too much to queries of another kind than the rows: they lie between lists, and
codes tell their neighbours apart less well. Such queries are farther from what they find than nearly all that the
calibration asked, whose distances are stored with the index. A query beyond is searched again for a higher recall: of
the share that a target allows to be missed only a power (.1 squared is .01). The power grows by steps with how far
beyond it is, faster where codes decide than where lists do, which follow distances themselves (`BuiltIndex.caution`).
Figures are in docs/RESULTS-QUERIES.md. Tuning on queries like it makes a query familiar.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.index import costs
from vecstore.index.base import BuiltIndex, Candidates, SearchParams, allowed_count, is_left_open
from vecstore.index.familiar_limits import AT, KS, Caution, Familiar, lengths_of
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.schema import Metric

FAMILIAR = 0.98  # of the calibration's queries are nearer to what they found
STEP = 0.5  # of the way from the median to the limit: beyond the limit, the power grows with each
STEPS_MAX = 12  # the margin grows no more
FAR_STEP = 0.25  # of what a batch is held to at once: few numbers, for which plans are known
LEFT = 0.12  # of a batch may stay one step beyond: the mean loses little
LOST_MAX = 0.003  # by the mean, at most, and what 1 - FAMILIAR lose, which calibrations have met
BATCH = 8  # queries that tell what others with them are like
ALIKE = 0.75  # of them are unfamiliar: then a batch is asked for more at once
MET_MAX = 64
ENOUGH = 0.9  # of the queries of a calibration find k, where limits are taken from what they find
FEW = costs.TOGETHER - 1
TOGETHER = 64  # queries of a calibration


def measured(
    index: BuiltIndex, metric: Metric, kernels: Kernels, asked: Any, own: Int64Array | None, alive: Bitmap | None
) -> Familiar | None:
    """By the queries of the calibration, each made of the row `own` (nq,), which is no answer to itself; None and -1
    for real ones. None for few rows."""
    ks = [k for k in KS if 4 * k < allowed_count(index.ntotal, alive)]
    if not ks or not len(asked):
        return None
    if metric is Metric.COSINE:
        asked = asked / np.maximum(np.sqrt(np.vecdot(asked, asked)), np.float32(1e-15))[:, None]
    lengths, unknown = lengths_of(metric, asked), (math.nan,) * (len(KS) - len(ks))
    usual: list[tuple[float, ...]] = []
    limits: list[tuple[float, ...]] = []
    for recall in reversed(AT):
        found = [_kth(index, kernels, asked, own, alive, k, recall) / lengths for k in ks]
        if not all(np.isfinite(one).mean() >= ENOUGH for one in found):  # lists of a few rows hold too few
            if not limits:
                return None
            usual, limits = [usual[0], *usual], [limits[0], *limits]
            continue
        for share, to in ((0.5, usual), (FAMILIAR, limits)):
            at_ks = (float(np.quantile(one[np.isfinite(one)], share, method="higher")) for one in found)
            to.insert(0, (*at_ks, *unknown))
    return Familiar(metric, tuple(usual), tuple(limits))


def _kth(
    index: BuiltIndex, kernels: Kernels, asked: Any, own: Int64Array | None, alive: Bitmap | None, k: int, recall: float
) -> Float32Array:
    """(nq,) the distances of the last of k that a search for a recall finds; exact ones where all rows are scanned for
    a batch, which is where a recall is high."""
    more, params, found = k + (own is not None), SearchParams(recall_target=recall), []
    low, step = 0, TOGETHER
    while low < len(asked):
        part = slice(low, low + step)
        some = index.search(kernels, asked[part], more, alive, params)
        distances = some.distances
        if own is not None:
            distances = np.where(some.rows == own[part, None], np.float32(np.inf), distances)
            distances.sort(axis=1)
        found.append(distances[:, k - 1])
        low += step
        if some.recall == 1:
            step = len(asked)
    return np.concatenate(found)


def search_promised(
    index: BuiltIndex, kernels: Kernels, queries: Any, k: int, allowed: Bitmap | None, n_allowed: int,
    params: SearchParams,
) -> Candidates:  # fmt: skip
    """`index.search`, where what is promised holds for unfamiliar queries, too: those are searched again if there is a
    target, and promised less if there is none. A filter is taken to have nothing to do with the query."""
    familiar, ahead, first = index.familiar, 0.0, params
    batch = allowed is None and len(queries) >= BATCH and is_left_open(params)
    if batch and familiar is not None and (met := familiar.met.get((k, params))) is not None:
        ahead = met
        more = index.caution(k, n_allowed, params).raised(params.recall_target, ahead)
        first = replace(params, recall_target=more)
        if index.scan_pays(k, len(queries), first, ahead) and costs.row_factor(kernels) == 1:
            first = replace(params, exact=True)
    found = index.search(kernels, queries, k, allowed, first)
    if found.recall is None or found.recall == 1:
        return found
    found.basis = "queries" if index.on_queries else "rows"
    if familiar is None or not params.rescore or params.truncate_dim or not n_allowed:
        return found
    limit, spread = familiar.bounds(k * index.ntotal / n_allowed, first.recall_target or found.recall)
    if len(found.rows) == 1 and familiar.metric is not Metric.DOT and found.distances.item(k - 1) <= limit:
        return found  # the usual case, without arrays
    kth = found.distances[:, k - 1]
    beyond = (kth / lengths_of(familiar.metric, queries) - limit) / spread
    beyond[(found.rows[:, k - 1] < 0) | (beyond <= 0)] = -STEP  # which includes too few that match
    if found.scanned is not None:  # and to go on from its lists would find rows again
        beyond[found.scanned] = -STEP
    steps = np.minimum(np.floor(beyond / STEP) + 1, STEPS_MAX)  # 0: familiar
    if batch:
        _remember(familiar, k, params, steps, index.caution(k, n_allowed, params))
    which = np.flatnonzero(steps > 0)
    if not len(which):
        return found
    found.basis, found.counters["queries_unfamiliar"] = "unfamiliar", len(which)
    steps, beyond = steps[which], beyond[which]
    caution, recall, nq = index.caution(k, n_allowed, params), found.recall, len(found.rows)
    held = caution.kept_by_each(recall, steps)
    if params.recall_target:
        again = held < params.recall_target  # an index may promise more than is asked for
        if np.count_nonzero(again) <= (1 - ALIKE) * nq:
            little = max(0.0, recall - params.recall_target) + _little(recall - caution.kept(recall, 1))
            again &= _worth(beyond, recall - held, nq * little)
        for step, some in _together(steps, again):
            if not ahead or caution.is_farther(params.recall_target, step, ahead):
                target = replace(params, recall_target=caution.raised(params.recall_target, step))
                got = _again(index, kernels, queries, k, allowed, target, first, which[some], found) or 0.0
                held[some] = caution.kept_by_each(got, steps[some])
    found.recall = recall + float((held - recall).sum()) / nq
    return found


def _together(steps: NDArray[np.floating], again: NDArray[np.bool_]) -> Iterator[tuple[float, Int64Array]]:
    """Queries to search again, by the steps that they are held to: their own, or, of few, those of the next ones, since
    a call costs as much as a few queries."""
    left, different = again, sorted(set(steps[again].tolist()))
    for step in different:
        some = np.flatnonzero(left & (steps <= step))
        if len(some) > FEW or step == different[-1]:
            yield step, some
            left = left & (steps > step)


def _little(one_step: float) -> float:
    """What a mean may lose for fewer calls, where a query one step beyond loses so much."""
    return min(LEFT * one_step, LOST_MAX + (1 - FAMILIAR) * one_step)


def _worth(beyond: NDArray[np.floating], lost: NDArray[np.floating], little: float) -> NDArray[np.bool_]:
    """All but those nearest to the familiar that together lose little: a call for a few queries shares no work, and
    what is promised is a mean."""
    order, worth = np.argsort(beyond, kind="stable"), np.empty(len(beyond), np.bool_)
    worth[order] = np.cumsum(lost[order]) > little
    return worth


def _remember(familiar: Familiar, k: int, params: SearchParams, steps: NDArray[np.floating], caution: Caution) -> None:
    """What a batch like this one is held to at once: so many steps that the mean of its queries keeps the target."""
    familiar.met.pop((k, params), None)
    if np.count_nonzero(steps) < ALIKE * len(steps) or len(familiar.met) >= MET_MAX:
        return
    target, most = params.recall_target, float(steps.max())
    far, counts = np.unique(steps, return_counts=True)
    ahead = max(FAR_STEP, float(steps.mean()) // FAR_STEP * FAR_STEP)
    while ahead < most:
        recall = caution.raised(target, ahead)
        again = np.array([caution.is_farther(target, step, ahead) for step in far.tolist()])
        kept = [target if farther else caution.kept(recall, step) for step, farther in zip(far, again, strict=True)]
        if np.dot(kept, counts) >= target * len(steps) and counts[again].sum() <= (1 - ALIKE) * len(steps):
            break
        ahead += FAR_STEP
    familiar.met[k, params] = ahead


def _again(
    index: BuiltIndex, kernels: Kernels, queries: Any, k: int, allowed: Bitmap | None, params: SearchParams,
    before: SearchParams, which: Int64Array, found: Candidates,
) -> float | None:  # fmt: skip
    """Puts better answers to some of the queries into `found`; the recall promised to familiar ones for them."""
    had = Candidates(found.rows[which], found.distances[which])
    better = index.search_further(kernels, np.ascontiguousarray(queries[which]), k, allowed, params, before, had)
    found.rows[which], found.distances[which] = better.rows, better.distances
    for name, value in better.counters.items():
        found.counters[name] = found.counters.get(name, 0) + value
    return better.recall
