"""What lists are worth, on real data: `python -m bench.ivf_rows FILE [--spec S] [--only kmeans,rules,...] [--rows N]`.

Each part prints the rows of one claim of the IVF chapter: k-means and balance beside faiss, the nearest centroid by
bounds beside a scan, recall and rows scanned by nprobe beside faiss, rules of probing and searches at equal recall,
calibrated recall targets, drift with and without adapted lists, deletes and compaction, and a table of nprobe and
oversampling. Times are CPU time of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from bench.datasets import Dataset, load, nearest
from bench.indexes import make
from vecstore.index import nearest as by_bounds
from vecstore.index import probing
from vecstore.index.balance import balanced
from vecstore.index.base import SearchParams, Warm
from vecstore.index.coded import CodedIndex
from vecstore.index.kmeans import assign, assign_all, batches, imbalance, inertia, kmeans
from vecstore.index.learned import list_count
from vecstore.index_spec import IVF
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind

K = 10
BUDGETS = (1000, 2000, 4000, 8000)


def silent(phase: str, done: int, total: int) -> None:
    pass


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found[:, :, None] == truth[:, None, :]).any(axis=1).mean())


def searched(index: CodedIndex, data: Dataset, truth: np.ndarray, params: SearchParams) -> tuple[float, float, float]:
    """Recall@K, rows scanned and microseconds for each query."""
    kernels = get_kernels()
    kernels.set_threads(1)
    index.search(kernels, data.test[:8], K, None, params)
    start = time.thread_time()
    found = index.search(kernels, data.test, K, None, params)
    spent = time.thread_time() - start
    kernels.set_threads(0)
    return recall(found.rows, truth), found.counters["rows_scanned"] / len(data.test), spent / len(data.test) * 1e6


def show_kmeans(data: Dataset, truth: np.ndarray) -> None:
    import faiss

    nlist, kernels = list_count(IVF(), len(data.train)), get_kernels()
    sample = data.train[
        np.sort(np.random.default_rng(0).choice(len(data.train), min(len(data.train), 64 * nlist), False))
    ]
    for metric in (Metric.L2, Metric.DOT):
        ours = kmeans(metric, sample, nlist, kernels, silent, iterations=10)
        even = balanced(metric, sample, ours, kernels, silent)
        theirs = faiss.Kmeans(data.dim, nlist, niter=10, seed=1, spherical=metric is Metric.DOT)
        theirs.cp.min_points_per_centroid = 1
        theirs.train(sample)
        base = inertia(metric, sample, ours, kernels)
        other = np.ascontiguousarray(theirs.centroids)
        ratio, loss = base / inertia(metric, sample, other, kernels), inertia(metric, sample, even, kernels) / base
        print(f"k-means {metric} nlist={nlist} inertia ours/faiss {ratio:.4f}; balanced/ours {loss:.4f}")
        for name, centroids in (("ours", ours), ("faiss", other), ("balanced", even)):
            counts = np.bincount(assign_all(metric, data.train, centroids, kernels), minlength=nlist)
            print(f"    imbalance of all rows, {name}: {imbalance(counts):.3f}")


def show_assignment(data: Dataset, truth: np.ndarray) -> None:
    """Also of 768 dimensions and 4,096 lists, as random features of the rows: products with random directions, bent."""
    rng = np.random.default_rng(0)
    bent = np.tanh(data.train[: 8 * 4096] @ rng.standard_normal((data.dim, 768), dtype=np.float32))
    for rows, nlist in ((data.train, list_count(IVF(), len(data.train))), (bent, 4096)):
        for metric in (Metric.L2, Metric.DOT):
            _assignment(metric, rows, nlist)


def _assignment(metric: Metric, rows: np.ndarray, nlist: int) -> None:
    kernels, asked = get_kernels(), rows[:4096]
    centroids, view = kmeans(metric, rows, nlist, kernels, silent, iterations=3), by_bounds.View.fit(rows)
    assert view is not None
    seen = by_bounds.see(view, metric, asked)  # once for all iterations
    ways: list[Callable[[], np.ndarray | None]] = [
        lambda: np.concatenate([assign(metric, part, centroids, kernels)[0][:, 0] for part in batches(asked)]),
        lambda: by_bounds.nearest(metric, asked, centroids, kernels, view, seen),
    ]
    kernels.set_threads(1)
    times, found = np.empty((5, 2)), [way() for way in ways]
    for turn in range(5):
        for number, way in enumerate(ways):
            start = time.thread_time()
            way()
            times[turn, number] = (time.thread_time() - start) / len(asked) * 1e6
    kernels.set_threads(0)
    scan, bounded = np.median(times, axis=0)
    same = "left to a scan" if found[1] is None else f"{(found[0] == found[1]).mean():.6f} the same"
    print(f"assignment {metric}, {nlist} lists of {rows.shape[1]} dimensions: a scan {scan:.1f} us a row, by bounds "
          f"({view.basis.shape[1]} directions) {bounded:.1f}: {scan / bounded:.2f} x; {same}", flush=True)  # fmt: skip


def show_faiss(data: Dataset, truth: np.ndarray) -> None:
    import faiss

    index = make(data.train, IVF())
    assert isinstance(index, CodedIndex)
    nlist = index.learned.coarse.nlist
    theirs = faiss.IndexIVFFlat(faiss.IndexFlatIP(data.dim), data.dim, nlist, faiss.METRIC_INNER_PRODUCT)
    theirs.cp.spherical = True
    theirs.train(data.train)
    theirs.add(data.train)
    curves: list[list[tuple[float, float]]] = [[], []]
    for nprobe in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        got, rows, _ = searched(index, data, truth, SearchParams(nprobe=nprobe))
        theirs.nprobe = nprobe
        faiss.cvar.indexIVF_stats.reset()
        found = theirs.search(data.test, K)[1]
        scanned = faiss.cvar.indexIVF_stats.ndis / len(data.test)
        curves[0].append((rows, got))
        other = recall(found, truth)
        curves[1].append((scanned, other))
        print(f"nprobe {nprobe}: recall ours {got:.4f} ({rows:.0f} rows), faiss {other:.4f} ({scanned:.0f} rows)")
    for budget in BUDGETS:
        ours, other = (
            float(np.interp(np.log(budget), np.log([rows for rows, _ in curve]), [got for _, got in curve]))
            for curve in curves
        )
        print(f"at {budget} rows: recall ours {ours:.4f}, faiss {other:.4f} ({100 * (ours - other):+.2f} points)")


def show_rules(data: Dataset, truth: np.ndarray) -> None:
    """Rows that each rule scans when its threshold is set for a recall on these very queries."""
    index = make(data.train, IVF())
    assert isinstance(index, CodedIndex)
    coarse, kernels = index.learned.coarse, get_kernels()
    ranked = coarse.rank(data.test, coarse.nlist, kernels)
    homes, sizes = np.empty(len(data.train), np.int64), np.diff(index.lists.offsets)
    homes[index.lists.rows] = np.repeat(np.arange(coarse.nlist), sizes)
    ranks = np.argsort(ranked.lists, axis=1)
    at = np.take_along_axis(ranks, homes[truth], axis=1)
    gaps = ranked.gaps(coarse.metric)
    rules = {
        "fixed nprobe": np.broadcast_to(np.arange(coarse.nlist, dtype=np.float32), gaps.shape),
        "relative (SPANN)": gaps / gaps[:, :1],
        "slack": gaps - gaps[:, :1],
        "relative and rank": probing.excess(gaps, index.calibration.near),
    }
    for target in (0.8, 0.9, 0.95, 0.98):
        line = []
        for name, score in rules.items():
            needed = np.sort(np.take_along_axis(score, at, axis=1), axis=None)
            bound = needed[int(np.ceil(target * needed.size)) - 1]
            scanned = (sizes[ranked.lists] * (score <= bound)).sum(axis=1)
            line.append(f"{name} {scanned.mean():.0f} (p99 {np.percentile(scanned, 99):.0f})")
        print(f"rows scanned at recall {target}: " + ", ".join(line))


def show_targets(data: Dataset, truth: np.ndarray, spec: str) -> None:
    index = make(data.train, parse_index(spec))
    assert isinstance(index, CodedIndex)
    for target in (0.8, 0.9, 0.95, 0.99):
        got, rows, spent = searched(index, data, truth, SearchParams(recall_target=target))
        said = f"measured {got:.4f} ({100 * (got - target):+.1f} points)"
        print(f"{spec}: target {target} {said}, {rows:.0f} rows, {spent:.0f} us")
    got, rows, spent = searched(index, data, truth, SearchParams())
    print(f"{spec}: default, measured {got:.4f}, {rows:.0f} rows, {spent:.0f} us")


def show_pairs(data: Dataset, truth: np.ndarray, spec: str) -> None:
    """Searches that end by distance beside the fixed number of lists that finds as much, in turns."""
    index = make(data.train, parse_index(spec))
    assert isinstance(index, CodedIndex)
    for target in (0.9, 0.95, 0.98, 0.99):
        ends = SearchParams(recall_target=target)
        how = index._planner.plan(K, ends, index.ntotal)
        got, rows, _ = searched(index, data, truth, ends)
        for nprobe in np.unique(np.geomspace(how.about / 2, index.learned.coarse.nlist, 150).astype(int)).tolist():
            fixed = SearchParams(nprobe=nprobe, oversampling=how.m / K)
            same, more, _ = searched(index, data, truth, fixed)
            if same >= got:
                break
        times = [[_timed(index, data.test, params, many) for params in (ends, fixed) for many in (True, False)]
                 for _ in range(5)]  # fmt: skip
        batch, single, batch_fixed, single_fixed = np.median(times, axis=0)
        print(f"{spec}: {target}: recall {got:.4f} / {same:.4f}, rows {rows:.0f} / {more:.0f} ({more / rows:.2f} x), "
              f"us in a batch {batch:.0f} / {batch_fixed:.0f}, alone {single:.0f} / {single_fixed:.0f}")  # fmt: skip


def _timed(index: CodedIndex, queries: np.ndarray, params: SearchParams, many: bool) -> float:
    """Microseconds of one thread for each query, in a batch or one by one."""
    kernels = get_kernels()
    kernels.set_threads(1)
    asked = [queries] if many else [queries[q : q + 1] for q in range(100)]
    start = time.thread_time()
    for one in asked:
        index.search(kernels, one, K, None, params)
    spent = time.thread_time() - start
    kernels.set_threads(0)
    return spent / sum(len(one) for one in asked) * 1e6


def show_table(data: Dataset, truth: np.ndarray, spec: str) -> None:
    index = make(data.train, parse_index(spec))
    assert isinstance(index, CodedIndex)
    print(f"{spec}: nlist {index.learned.coarse.nlist}, {index.code_bytes:.0f} bytes a row")
    for nprobe in (8, 16, 32, 64, 128, 256):
        for oversampling in (1.0, 2.0, 4.0):
            got, rows, spent = searched(index, data, truth, SearchParams(nprobe=nprobe, oversampling=oversampling))
            told = f"recall {got:.4f}, {rows:.0f} rows, {spent:.0f} us"
            print(f"    nprobe {nprobe:4d} oversampling {oversampling:g}: {told}")


def show_updates(data: Dataset, truth: np.ndarray, spec: str) -> None:
    """Half of the rows, those far along the first principal direction, come after training; then half are deleted."""
    _, _, directions = np.linalg.svd(
        data.train[:: max(1, len(data.train) // 5000)] - data.train.mean(axis=0), full_matrices=False
    )
    order = np.argsort(data.train @ directions[0], kind="stable")
    rows = np.ascontiguousarray(data.train[order])
    truth = nearest("cosine", rows, data.test, K)
    parsed, kernels = parse_index(spec), get_kernels()
    field = VectorField(VectorKind.DENSE, data.dim, Metric.COSINE, index=parsed)
    old = make(rows[: len(rows) // 2], parsed)

    def warm(vectors: np.ndarray, index: CodedIndex) -> CodedIndex:
        start = Warm(index, np.full(index.ntotal, -1))  # lists do not ask where rows went
        return type(index).build(field, parsed, vectors, np.ones(len(vectors), np.float32), kernels, silent, start)

    entrants = {"rebuilt": make(rows, parsed), "adapted": warm(rows, old)}
    for name, index in entrants.items():
        shown = [searched(index, data, truth, SearchParams(nprobe=nprobe))[:2] for nprobe in (8, 16, 32, 64, 128, 256)]
        at = np.interp(np.log(BUDGETS), np.log([s[1] for s in shown]), [s[0] for s in shown])
        sizes = imbalance(np.diff(index.lists.offsets))
        print(f"drift, {name}: " + ", ".join(f"{b} rows {r:.4f}" for b, r in zip(BUDGETS, at, strict=True)) +
              f"; {index.learned.coarse.nlist} lists, imbalance {sizes:.2f}")  # fmt: skip
    kept = np.ascontiguousarray(rows[np.random.default_rng(1).random(len(rows)) < 0.5])
    compacted, fresh = warm(kept, entrants["rebuilt"]), make(kept, parsed)
    rates = []
    for _ in range(7):
        spent = [searched(index, data, truth, SearchParams(nprobe=64, rescore=False)) for index in (compacted, fresh)]
        rates.append((spent[1][2] / spent[1][1]) / (spent[0][2] / spent[0][1]))
    print(f"deletes: rows scanned a second, compacted / fresh: {np.median(rates):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--spec", default="ivf | rabitq(bits=4)")
    parser.add_argument("--only", default="kmeans,assignment,faiss,rules,targets,pairs,table,updates")
    parser.add_argument("--rows", type=int, default=0, help="the first rows only, with their own ground truth")
    given = parser.parse_args()
    data = load(given.file)
    for part in (data.train, data.test):
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    truth = data.neighbors[:, :K]
    if given.rows:
        data.train = np.ascontiguousarray(data.train[: given.rows])
        truth = nearest("cosine", data.train, data.test, K)
    parts: dict[str, Callable[[], None]] = {
        "kmeans": lambda: show_kmeans(data, truth),
        "assignment": lambda: show_assignment(data, truth),
        "faiss": lambda: show_faiss(data, truth),
        "rules": lambda: show_rules(data, truth),
        "targets": lambda: show_targets(data, truth, given.spec),
        "pairs": lambda: show_pairs(data, truth, given.spec),
        "table": lambda: show_table(data, truth, given.spec),
        "updates": lambda: show_updates(data, truth, given.spec),
    }
    for name in given.only.split(","):
        parts[name]()


if __name__ == "__main__":
    main()
