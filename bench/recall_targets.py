"""`python -m bench recall-targets`: is a recall target kept, and at what cost beside the best fixed setting?

Every index is asked fresh queries (the file's, none of which is a row) for each target; recall is counted by distance,
so that ties are as good. Its interval is 95 % of the normal distribution of the mean over queries. `work` is CPU time
of one thread, the least of some rounds, beside that of the cheapest fixed setting whose recall reaches the target.
`asked` says what the calibration was measured on: `rows` held out, half of the queries (`tune`), or what a collection
kept of queries that it was asked one by one (`--live`), without being told to tune; these two are judged by the rest.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from bench import completeness, contest, index_cases, results
from bench.index_cases import EXACT, IndexData
from vecstore.index.base import BuiltIndex, Candidates, SearchParams
from vecstore.index.familiar import search_promised
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorKind
from vecstore.types import OperationInfo, QueryRequest

TARGETS = (0.8, 0.9, 0.95, 0.99)
KS = (1, 10, 100)
COLUMNS = ["data", "index", "asked", "k", "share", "target", "recall", "low", "high", "est", "us", "fixed_us", "work"]
SLACK = 0.01
WORK_MAX = 1.5
TUNED_BY = 500
SWEPT = 200
TIMED_S = 0.05  # at least, of what is timed more than once: the least of three rounds of a millisecond is off by half
EPS = 1e-5
LIVE_TARGET = 0.9
LIVE_S = 300.0


@dataclass(slots=True)
class Judged:
    """Queries, and the distance of the k-th nearest row that may be found for each."""

    data: IndexData
    queries: Any
    limits: dict[int, np.ndarray]  # by k, (nq, 1)
    allowed: np.ndarray | None

    def recall(self, found: Candidates, k: int) -> np.ndarray:
        """(nq,)"""
        limit = self.limits[k]
        slack = EPS * np.maximum(1.0, np.abs(limit))
        good = (found.distances[:, :k] <= limit + slack) & (found.rows[:, :k] >= 0)
        result: np.ndarray = np.minimum(good.sum(axis=1), k) / k
        return result

    def first(self, count: int) -> Judged:
        limits = {k: limit[:count] for k, limit in self.limits.items()}
        return Judged(self.data, self.queries[:count], limits, self.allowed)


def judged(data: IndexData, queries: Any, ks: Iterable[int], allowed: np.ndarray | None) -> Judged:
    ks = [k for k in ks if k * 4 <= len(data.rows)]
    kernels = get_kernels()
    kernels.set_threads(0)
    exact = data.flat().search(kernels, queries, max(ks), allowed)
    return Judged(data, queries, {k: exact.distances[:, k - 1 : k] for k in ks}, allowed)


def fixed_settings(data: IndexData, text: str, k: int) -> list[SearchParams]:
    """What somebody might set by hand, from cheap to dear."""
    deep = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0)
    if text == "ivf":
        return [SearchParams(nprobe=nprobe) for nprobe in steps(1, 160)]
    if text.startswith("ivf"):
        return [SearchParams(nprobe=n, oversampling=d) for n, d in itertools.product(steps(1, 160), (1.0, 2.0, 4.0))]
    if text.startswith(("flat", "funnel")):
        return [SearchParams(oversampling=d) for d in (*deep, 30.0, 50.0, 70.0, 100.0)]
    if text.startswith("graph"):
        widths = [ef for ef in (10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512) if ef >= k]
        widths = widths or [k, 2 * k]
        return [
            SearchParams(ef=ef, oversampling=d)
            for ef, d in itertools.product(widths, (1.0, 2.0, 4.0, 6.0))
            if d * k <= ef
        ]
    if text == "hamming_ivf":
        return [SearchParams(nprobe=nprobe) for nprobe in steps(1, 160)]
    if text == "seismic":
        return [
            SearchParams(block_factor=f) for f in (0.7, 0.85, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 3, 4)
        ]
    efforts = (1, 2, 3, 4, 6, 8) if text.startswith("plaid") else (0,) if "first" not in text else (1, 2, 3, 4, 5)
    depths = [ef for ef in (k, 16, 32, 64, 128, 256, 512) if ef >= k]
    return [SearchParams(nprobe=effort, ef=ef) for effort, ef in itertools.product(efforts, sorted(set(depths)))]


def steps(low: int, high: int) -> list[int]:
    found = [low]
    while found[-1] < high:
        found.append(max(found[-1] + 1, round(found[-1] * 1.4)))
    return found


@dataclass(slots=True)
class Asked:
    params: SearchParams
    recalls: np.ndarray
    est: float | None
    us: float

    @property
    def recall(self) -> float:
        return float(self.recalls.mean())


def ask(index: BuiltIndex, truth: Judged, k: int, params: SearchParams, rounds: int, timed: int) -> Asked:
    """Recall over all queries, time over the first `timed`, of so many rounds or more; asked in batches of as many, as
    answers depend on these."""
    kernels = get_kernels()
    kernels.set_threads(1)

    def answer(queries: Any) -> Candidates:
        return search_promised(index, kernels, queries, k, truth.allowed, len(truth.data.rows), params)

    parts = [answer(truth.queries[low : low + timed]) for low in range(0, len(truth.queries), timed)]
    rows, distances = (np.concatenate([getattr(one, name) for one in parts]) for name in ("rows", "distances"))
    known = [one.recall for one in parts if one.recall is not None]
    found = Candidates(rows, distances, recall=float(np.mean(known)) if known else None)
    some = truth.queries[:timed]
    took: list[float] = []
    while len(took) < rounds or (rounds > 1 and sum(took) < TIMED_S):
        began = time.thread_time()
        answer(some)
        took.append(time.thread_time() - began)
    return Asked(params, truth.recall(found, k), found.recall, min(took) / len(some) * 1e6)


def sweep(index: BuiltIndex, truth: Judged, text: str, k: int, timed: int) -> list[Asked]:
    """The fixed settings, asked the first SWEPT queries; those that no cheaper one equals are timed again."""
    truth = truth.first(SWEPT)
    tried = [ask(index, truth, k, params, 1, timed) for params in fixed_settings(truth.data, text, k)]
    front: list[Asked] = []
    for one in sorted(tried, key=lambda one: one.us):
        if not front or one.recall > front[-1].recall:
            front.append(one)
    return [ask(index, truth, k, one.params, 3, timed) for one in front]


def measured(
    index: BuiltIndex, truth: Judged, text: str, asked: str, share: float, timed: int, work: bool
) -> list[dict[str, Any]]:
    records = []
    for k in truth.limits:
        fixed = sweep(index, truth, text, k, timed) if work else []
        for target in TARGETS:
            got = ask(index, truth, k, SearchParams(recall_target=target), 3, timed)
            error = 1.96 * float(got.recalls.std()) / np.sqrt(len(got.recalls))
            enough = [one.us for one in fixed if one.recall >= target]
            records.append({
                "bench": "recall_targets", "data": truth.data.name, "rows": len(truth.data.rows), "index": text,
                "asked": asked, "k": k, "share": share, "target": target, "queries": len(got.recalls),
                "recall": round(got.recall, 4), "low": round(got.recall - error, 4),
                "high": round(min(1.0, got.recall + error), 4), "est": None if got.est is None else round(got.est, 4),
                "us": round(got.us, 1), "fixed_us": round(min(enough), 1) if enough else None,
                "work": round(got.us / min(enough), 2) if enough else None,
            })  # fmt: skip
    return records


def recall_targets(
    folder: str, only: str, kinds: list[str], ks: list[int], timed: int, tune: bool, work: bool, l2: bool,
    rows: int | None, keep: str | None, live: int, out: str,
) -> list[dict[str, Any]]:  # fmt: skip
    around, records = results.surroundings(), []
    for path in index_cases.files(folder):
        if only and only not in str(path):
            continue
        data = index_cases.load(path, rows)
        sets = [data]
        if l2 and data.field.kind is VectorKind.DENSE:
            sets.append(index_cases.load(path, rows, Metric.L2))
        for one in sets:
            found = one_set(one, kinds, ks, timed, tune, work, keep, live)
            results.append(out, [record | around for record in found])
            records += found
    print(results.table(records, COLUMNS))
    print(summary(records))
    return records


def one_set(
    data: IndexData,
    kinds: list[str],
    ks: list[int],
    timed: int,
    tune: bool,
    work: bool,
    keep: str | None,
    live: int = 0,
) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    if live:
        later = judged(data, data.queries[live:], ks, None)
        for text in data.kinds:
            if text not in EXACT and (not kinds or text in kinds):
                records += measured(lived(data, text, live), later, text, "live", 1.0, timed, work)
        return records
    fresh = judged(data, data.queries, ks, None)
    half = min(TUNED_BY, len(data.queries) // 2)
    rest = judged(data, data.queries[half:], ks, None)
    for text in data.kinds:
        if text in EXACT or (kinds and text not in kinds):
            continue
        index = index_cases.built(data, text, keep)
        contest.say(f"{data.name}: {text} ...")
        records += measured(index, fresh, text, "rows", 1.0, timed, work)
        if tune and half >= 100:
            tuned = index.tuned(data.queries[:half], get_kernels())
            assert tuned is not None
            records += measured(tuned, rest, text, "queries", 1.0, timed, work)
    return records


def lived(data: IndexData, text: str, count: int) -> BuiltIndex:
    """The index of a collection after so many ordinary queries, as fast as they are answered, and what followed."""
    db, _ = completeness.loaded(data, text, 0)
    with db:
        for at in range(count):
            db.query(QueryRequest("c", data.queries[at], params=SearchParams(recall_target=LIVE_TARGET)))
        began = time.monotonic()
        tunes: list[OperationInfo] = []
        while not tunes and time.monotonic() - began < LIVE_S:
            time.sleep(0.05)
            tunes = [one for one in db.list_operations("c") if one.kind == "tune"]
        for one in tunes:
            db.wait_operation(one.id, LIVE_S)
        contest.say(f"{text}: tuned {len(tunes)} times, seen {time.monotonic() - began:.1f} s after {count} queries")
        (segment,) = db.collection("c").sealed.values()
        index = segment.index("v")
        assert index is not None
        arrays = {name: np.array(array) for name, array in index.arrays().items()}
    norms = {} if data.inverse_norms is None else {"inverse_norms": data.inverse_norms}
    field = completeness.with_index(data.field, text)
    return type(index).from_arrays(field, data.rows, arrays | norms)


def summary(records: list[dict[str, Any]]) -> str:
    lines = []
    by = itemgetter("asked")
    for asked, group in itertools.groupby(sorted(records, key=by), by):
        found = list(group)
        kept = [record["recall"] >= record["target"] - SLACK for record in found]
        surely = [record["high"] < record["target"] - SLACK for record in found]
        works = [record["work"] for record in found if record["work"] is not None]
        within = [one <= WORK_MAX for one in works]
        lines.append(
            f"calibrated on {asked}: {sum(kept)} of {len(kept)} within {SLACK} of the target or above "
            f"({np.mean(kept):.1%}; {sum(surely)} below it with their whole interval); "
            f"work at most {WORK_MAX} x the best fixed setting in {sum(within)} of {len(works)}"
        )
    return "\n".join(lines)
