"""`python -m bench.pq_fastscan FILE`: product quantization on an ann-benchmarks file with angular distance, one thread.

- scan: rows a second of nibble codes through byte tables (`table_scan`), of byte codes through float tables
  (`byte_scan`) and of faiss's two scanners, at equal bytes, codes repeated to fill SCANNED_BYTES;
- rerank: recall@10 of nibbles after four times as many were rescored, byte tables beside float64 tables;
- scale: recall of codes with their scale beside plain codes, for maximum inner product search;
- spill: lists to probe for a coarse recall, with SOAR's second list, a random one, the next nearest, and none.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import datasets, results
from vecstore import index_spec
from vecstore.index.kmeans import assign_all, kmeans
from vecstore.index.soar import soar_assignments
from vecstore.kernels.base import Kernels
from vecstore.kernels.select import available_backends, load_backend
from vecstore.quantize.base import Codes, Lists, Probes
from vecstore.quantize.product import ProductQuantizer
from vecstore.schema import Metric

SCANNED_BYTES = 48 << 20
K = 10
NLIST = 512
Record = dict[str, Any]


def one_list(n: int) -> Lists:
    return Lists(np.array([0, n], np.int64), np.arange(n, dtype=np.uint32))


def trained(rows: np.ndarray, m: int, bits: int) -> ProductQuantizer:
    return ProductQuantizer.train(index_spec.PQ(m, bits), Metric.DOT, rows, None, 0)  # type: ignore[arg-type]


def search(kernels: Kernels, codes: Codes, queries: np.ndarray, m: int) -> np.ndarray:
    zero = np.zeros((len(queries), 1), np.float32)
    probes = Probes(np.zeros((len(queries), 1), np.int32), zero, zero)
    return codes.search(kernels, queries, probes, min(K, m), m, None, 0.0).rows


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    k = found.shape[1]
    return (
        float(np.mean([len(set(a) & set(b)) for a, b in zip(found.tolist(), truth[:, :k].tolist(), strict=True)])) / k
    )


def fastest(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of this thread for each call, interleaved so that all see the same machine."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.thread_time()
            call()
            taken[name].append(time.thread_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def scan(rows: np.ndarray, queries: np.ndarray, code_bytes: int, repeats: int) -> list[Record]:
    import faiss

    faiss.omp_set_num_threads(1)
    copies = max(1, SCANNED_BYTES // (code_bytes * len(rows)))
    lists = one_list(copies * len(rows))
    calls: dict[str, Callable[[], object]] = {}
    one = queries[:1].copy()
    for bits in (4, 8):
        m = code_bytes * 8 // bits
        # How good codes are does not matter to how fast they are scanned: rows themselves are centroids.
        codebooks = np.ascontiguousarray(rows[: 1 << bits].reshape(1 << bits, m, -1).transpose(1, 0, 2))
        quantizer = ProductQuantizer(Metric.DOT, rows.shape[1], codebooks)
        encoded = {name: np.tile(array, (copies, 1)) for name, array in quantizer.encode(rows, None).items()}
        codes = quantizer.open(quantizer.pack(encoded, lists), lists)
        for backend in available_backends()[:2]:
            kernels = load_backend(backend)
            kernels.set_threads(1)
            calls[f"{backend} {m} x {bits}"] = lambda kernels=kernels, codes=codes: search(kernels, codes, one, K)
        name = f"PQ{m}x4fs" if bits == 4 else f"PQ{m}"
        index = faiss.index_factory(rows.shape[1], name, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.niter = 1
        index.train(rows[:10_000])
        if bits == 8:  # what encodes slowly is encoded once
            index.add_sa_codes(np.tile(index.sa_encode(rows), (copies, 1)))
        else:
            for _ in range(copies):
                index.add(rows)
        calls[f"faiss {name}"] = lambda index=index: index.search(one, K)
    seconds = fastest(calls, repeats)
    adc = seconds[f"{available_backends()[0]} {code_bytes} x 8"]
    return [
        {"what": "scan", "entrant": name, "code_bytes": code_bytes, "mrows_s": lists.rows.size / taken / 1e6,
         "times_byte_scan": adc / taken}
        for name, taken in seconds.items()
    ]  # fmt: skip


def rerank(rows: np.ndarray, queries: np.ndarray, truth: np.ndarray, m: int) -> list[Record]:
    quantizer = trained(rows, m, 4)
    encoded = quantizer.encode(rows, None)
    lists = one_list(len(rows))
    codes = quantizer.open(quantizer.pack(encoded, lists), lists)
    best: dict[str, np.ndarray] = {}
    for backend in (available_backends()[0], "numpy"):
        candidates = search(load_backend(backend), codes, queries, 4 * K)
        scores = np.einsum("qd,qmd->qm", queries, rows[candidates])
        best[backend] = np.take_along_axis(candidates, np.argsort(-scores, axis=1, kind="stable")[:, :K], axis=1)
    same = float(np.mean((np.sort(best[available_backends()[0]]) == np.sort(best["numpy"])).all(axis=1)))
    return [
        {"what": "rerank", "entrant": f"{backend} {m} x 4", "recall": recall(rows_, truth), "same_queries": same}
        for backend, rows_ in best.items()
    ]


def scale(rows: np.ndarray, queries: np.ndarray, m: int) -> list[Record]:
    """Rows of uneven length, as in maximum inner product search."""
    lengths = np.random.default_rng(0).uniform(0.7, 1.3, (len(rows), 1)).astype(np.float32)
    rows = rows * lengths
    truth = np.argsort(-(queries @ rows.T), axis=1)[:, :K]
    quantizer = trained(rows, m, 4)
    encoded = quantizer.encode(rows, None)
    plain = queries @ quantizer.decode(encoded, None).T
    scaled = -encoded["factors"][:, 0] * plain
    return [
        {"what": "scale", "entrant": f"{m} x 4 {name}", "recall": recall(np.argsort(-scores, axis=1)[:, :K], truth),
         "recall_at_1": recall(np.argmax(scores, axis=1)[:, None], truth)}
        for name, scores in (("plain", plain), ("scaled", scaled))
    ]  # fmt: skip


def spill(rows: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> list[Record]:
    kernels = load_backend(available_backends()[0])
    centroids = kmeans(Metric.DOT, rows[: 64 * NLIST], NLIST, kernels, lambda *_: None)
    first = assign_all(Metric.DOT, rows, centroids, kernels)
    ranks = np.argsort(np.argsort(-(queries @ centroids.T), axis=1), axis=1)
    random = (first + np.random.default_rng(0).integers(1, NLIST, len(first))) % NLIST
    seconds = {"soar": soar_assignments(rows, centroids, first), "random": random,
               "nearest": soar_assignments(rows, centroids, first, 0.0), "none": first}  # fmt: skip
    found = []
    for name, second in seconds.items():
        of_first, of_second = (np.take_along_axis(ranks, lists[truth[:, :K]], axis=1) for lists in (first, second))
        seen = np.minimum(of_first, of_second)
        recalls = np.cumsum(np.bincount(seen.ravel(), minlength=NLIST)) / seen.size
        found += [
            {"what": "spill", "entrant": name, "recall": share, "probes": int((recalls < share).sum()) + 1}
            for share in (0.8, 0.9, 0.95)
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a file in ann-benchmarks' format, angular")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--rows", type=int, help="only the first so many rows: scan alone, the others need them all")
    parser.add_argument("--bytes", type=int, default=48, help="of a code in the scan")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=["scan", "rerank", "scale", "spill"])
    parser.add_argument("--out", type=Path, default=Path("bench/results/pq-fastscan.jsonl"))
    args = parser.parse_args()
    data = datasets.load(args.data, args.queries)
    rows, queries = (array / np.linalg.norm(array, axis=1, keepdims=True) for array in (data.train, data.test))
    dim = rows.shape[1]
    measures: dict[str, Callable[[], list[Record]]] = {
        "scan": lambda: scan(rows[: args.rows], queries, args.bytes, args.repeats),
        "rerank": lambda: rerank(rows, queries, data.neighbors, dim // 4),
        "scale": lambda: scale(rows, queries, dim // 4),
        "spill": lambda: spill(rows, queries, data.neighbors),
    }
    records: list[Record] = [record for name in args.only or measures for record in measures[name]()]
    around = results.surroundings()
    results.append(args.out, [record | around for record in records])
    columns = ["what", "entrant", "mrows_s", "times_byte_scan", "recall", "recall_at_1", "same_queries", "probes"]
    print(results.table(records, columns))


if __name__ == "__main__":
    main()
