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
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.index import costs
from vecstore.index.base import BuiltIndex, Candidates, SearchParams, allowed_count, is_left_open
from vecstore.index.familiar_limits import KS, Caution, Familiar, lengths_of
from vecstore.kernels.base import Bitmap, Int64Array, Kernels
from vecstore.schema import Metric

FAMILIAR = 0.98  # of the calibration's queries are nearer to what they found
MEASURING = SearchParams(recall_target=0.95)
STEP = 0.5  # of the way from the median to the limit: beyond the limit, the power grows with each
STEPS_MAX = 12  # the margin grows no more
FAR_STEP = 0.25  # of what a batch is held to at once: few numbers, for which plans are known
LEFT = 0.08  # of a batch may stay one step beyond: the mean loses little, and calibrations have met 1 - FAMILIAR
LOST_MAX = 0.006  # by the mean, at most
BATCH = 8  # queries that tell what others with them are like
ALIKE = 0.75  # of them are unfamiliar: then a batch is asked for more at once
MET_MAX = 64


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
    found = index.search(kernels, asked, ks[-1] + (own is not None), alive, MEASURING)
    distances = found.distances
    if own is not None:
        distances = np.sort(np.where(found.rows == own[:, None], np.float32(np.inf), distances), axis=1)
    lengths = lengths_of(metric, asked)
    kth = [distances[:, k - 1] / lengths for k in ks]
    usual, limits = ([float(np.quantile(one, share, method="higher")) for one in kth] for share in (0.5, FAMILIAR))
    if not np.isfinite(limits).all():
        return None
    unknown = [math.nan] * (len(KS) - len(ks))
    return Familiar(metric, (*usual, *unknown), (*limits, *unknown))


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
    limit, spread = familiar.bounds(k * index.ntotal / n_allowed)
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
    if steps.max() <= 0:
        return found
    found.basis, found.counters["queries_unfamiliar"] = "unfamiliar", int(np.count_nonzero(steps))
    caution, recall = index.caution(k, n_allowed, params), found.recall
    held = caution.kept_by_each(recall, steps)
    if params.recall_target:
        again = steps > 0
        if np.count_nonzero(again) <= (1 - ALIKE) * len(again):
            again &= _worth(beyond, recall - held, recall - caution.kept(recall, 1))
        for step in np.unique(steps[again]).tolist():
            if not ahead or caution.is_farther(params.recall_target, step, ahead):
                some = np.flatnonzero(again & (steps == step))
                target = replace(params, recall_target=caution.raised(params.recall_target, step))
                got = _again(index, kernels, queries, k, allowed, target, first, some, found) or 0.0
                held[some] = caution.kept(got, step)
    found.recall = float(held.mean())
    return found


def _worth(beyond: NDArray[np.floating], lost: NDArray[np.floating], one_step: float) -> NDArray[np.bool_]:
    """All but those nearest to the familiar that together cost the mean of the batch little: a call for a few queries
    shares no work, and what is promised is a mean."""
    order, worth = np.argsort(beyond, kind="stable"), np.empty(len(beyond), np.bool_)
    worth[order] = np.cumsum(lost[order]) > len(lost) * min(LEFT * one_step, LOST_MAX)
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
