"""Recall@10 of codes alone, without a rerank: every quantizer at the same bytes a row, flat, on real queries.

`python -m bench.code_recall ../shared/data/dense-minilm-100k-384-angular.hdf5` prints a table: bytes a row with
factors, recall, the share of rows that stage two looked at under error bounds of 1.9 deviations, CPU microseconds for
encoding a row and nanoseconds for scanning one by one query, for a batch of all queries. "error" is what the order of
near neighbours depends on, and steadier than recall: how far scores of the 40 nearest found are off, less what all of a
query's have in common, root mean square, times 1e5. With `--faiss SQ8` that index (l2) is measured first, and recalls
are compared with its, query by query: the mean difference and its standard error.
"""

from __future__ import annotations

import argparse
import time

import h5py
import numpy as np

from vecstore import index_spec
from vecstore.kernels.select import get_kernels
from vecstore.quantize.base import Found, Lists, Probes
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric

EPS = 1.9
NEAR = 40


def specs(dim: int) -> list[tuple[str, index_spec.Quantizer]]:
    """At 1/8, 1/4, 1/2 and 1 byte a dimension, factors on top except where SAQ counts them."""
    listed: list[tuple[str, index_spec.Quantizer]] = []
    for bits in (1, 2, 4, 8):
        listed.append((f"RaBitQ({bits})", index_spec.RaBitQ(bits=bits)))
        if bits <= 4:
            listed.append((f"LloydMax({bits})", index_spec.LloydMax(bits=bits)))  # type: ignore[arg-type]
        listed.append((f"SAQ({bits})", index_spec.SAQ(bits=bits)))
    listed.append(("int8", index_spec.Int8()))
    return listed


def measure(
    name: str,
    spec: index_spec.Quantizer,
    rows: np.ndarray,
    queries: np.ndarray,
    truth: np.ndarray,
    before: np.ndarray | None,
) -> None:
    kernels = get_kernels()
    n, mean = len(rows), rows.mean(axis=0)
    centroids = np.broadcast_to(mean, rows.shape)
    tag = type(spec).__struct_config__.tag
    quantizer = QUANTIZERS[str(tag)].train(spec, Metric.DOT, rows[:50_000], centroids[:50_000], 0)
    start = time.thread_time()
    encoded = quantizer.encode(rows, centroids)
    encoding = time.thread_time() - start
    lists = Lists(np.array([0, n]), np.arange(n, dtype=np.uint32))
    codes = quantizer.open(quantizer.pack(encoded, lists), lists)
    one = (len(queries), 1)
    radius = np.linalg.norm(queries - mean, axis=1).astype(np.float32).reshape(one)
    probes = Probes(np.zeros(one, np.int32), -(queries @ mean).reshape(one), radius)
    start = time.thread_time()
    found = codes.search(kernels, queries, probes, 10, 10, None, EPS)
    scanning = time.thread_time() - start
    whole = codes.search(kernels, queries, probes, 10, 10, None, 0.0)
    deviation = error(queries, rows, codes.search(kernels, queries, probes, NEAR, NEAR, None, 0.0))
    refined = found.counters.get("rows_refined", 0) / n / len(queries)
    print(
        f"{name:12} {quantizer.code_bytes:6.0f} B  recall@10 {recall(whole.rows, truth):.4f}  error {deviation:6.2f}  "
        f"with bounds {recall(found.rows, truth):.4f}, refined {refined:7.2%}  "
        f"encode {encoding / n * 1e6:5.1f} us  scan {scanning / len(queries) / n * 1e9:6.2f} ns/row"
        f"{'' if before is None else beside(recalls(whole.rows, truth), before)}",
        flush=True,
    )


def error(queries: np.ndarray, rows: np.ndarray, found: Found) -> float:
    scores = np.einsum("qd,qkd->qk", queries, rows[found.rows])
    return float(np.sqrt((scores + found.distances).var(axis=1).mean())) * 1e5


def of_faiss(spec: str, rows: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.index_factory(rows.shape[1], spec, faiss.METRIC_L2)
    index.train(rows)
    index.add(rows)
    found = recalls(index.search(queries, 10)[1], truth)
    print(f"faiss {spec:6} {index.sa_code_size():6.0f} B  recall@10 {found.mean():.4f}", flush=True)
    return found


def beside(found: np.ndarray, before: np.ndarray) -> str:
    more = found - before
    return f"  {more.mean():+.4f} +- {more.std() / len(more) ** 0.5:.4f}"


def recalls(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.array([len(set(a) & set(b)) / truth.shape[1] for a, b in zip(found, truth, strict=True)])


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(recalls(found, truth).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a file in ann-benchmarks' format, angular")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--only", nargs="*", default=[], help="names of the table's first column")
    parser.add_argument("--faiss", help="a factory string of faiss to compare with")
    chosen = parser.parse_args()
    with h5py.File(chosen.data) as stored:
        rows, queries = stored["train"][:].astype(np.float32), stored["test"][: chosen.queries].astype(np.float32)
        truth = stored["neighbors"][: chosen.queries, :10]
    for each in (rows, queries):
        each /= np.linalg.norm(each, axis=1, keepdims=True)
    get_kernels().set_threads(1)
    before = of_faiss(chosen.faiss, rows, queries, truth) if chosen.faiss else None
    for name, spec in specs(rows.shape[1]):
        if not chosen.only or name in chosen.only:
            measure(name, spec, rows, queries, truth, before)


if __name__ == "__main__":
    main()
