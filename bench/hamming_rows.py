"""Packed bits on real vectors: `python bench/hamming_rows.py [--data DIR] [--json FILE]`

- scans: batches of queries beside single ones, and lists and multi-index hashing beside a scan;
- ladder: nDCG@10 on judged collections by Hamming distance of signs, by a float query on the same bits, with the best
  40 rescored by int8, and by float vectors;
- recall: how many of the 10 nearest are among the best 40 by signs, by ITQ and by 1-bit RaBitQ, all of one bit for
  each dimension.

One thread; time is the thread's CPU time. `python bench/kernels.py` has the scans beside a plain read of memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vecstore import index_spec
from vecstore.index.base import SearchParams
from vecstore.index.flat import BinaryFlatIndex
from vecstore.index.hamming_ivf import HammingIvfIndex
from vecstore.index.mih import MihIndex
from vecstore.kernels.base import Kernels
from vecstore.kernels.select import get_kernels
from vecstore.quantize.base import Lists, Probes, Quantizer
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric, VectorField, VectorKind

K = 10
OVERSAMPLING = 4
LABELLED = ("labelled-npl", "labelled-cranfield", "labelled-cisi")
DENSE = ("dense-minilm-100k-384-angular.hdf5", "dense-e5-wordnet-50k-384-angular.hdf5")
HAMMING = "hamming-minilm-100k-384.hdf5"


def unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-30)


def nearest(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k smallest of each row, ties by column."""
    return np.argsort(scores, axis=1, kind="stable")[:, :k]


def hamming(kernels: Kernels, rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """The k nearest rows by signs."""
    found, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    kernels.hamming_scan(np.packbits(queries > 0, axis=1), np.packbits(rows > 0, axis=1), None, found, distances)
    return found


class Coded:
    """Rows of unit length in one list around their mean, as a flat index holds them."""

    def __init__(self, spec: index_spec.Quantizer, rows: np.ndarray) -> None:
        kind: type[Quantizer] = QUANTIZERS[str(type(spec).__struct_config__.tag)]
        self.mean = rows.mean(axis=0)
        centres = np.tile(self.mean, (len(rows), 1))
        step = max(1, len(rows) // 16384)
        self.quantizer = kind.train(spec, Metric.DOT, rows[::step], centres[::step], 0)
        self.encoded = self.quantizer.encode(rows, centres)
        lists = Lists(np.array([0, len(rows)], np.int64), np.arange(len(rows), dtype=np.uint32))
        self.codes = self.quantizer.open(self.quantizer.pack(self.encoded, lists), lists)

    def decoded(self) -> np.ndarray:
        n = len(next(iter(self.encoded.values())))
        return self.quantizer.decode(self.encoded, np.tile(self.mean, (n, 1)))

    def search(self, kernels: Kernels, queries: np.ndarray, k: int) -> np.ndarray:
        add = -(queries @ self.mean)[:, None]
        radius = np.linalg.norm(queries - self.mean, axis=1)[:, None]
        probes = Probes(np.zeros((len(queries), 1), np.int32), add.astype(np.float32), radius.astype(np.float32))
        return self.codes.search(kernels, queries, probes, k, k, None, 0.0).rows


def rescored(found: np.ndarray, queries: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    scores = -np.einsum("qd,qmd->qm", queries, rows[found])
    return np.take_along_axis(found, nearest(scores, k), axis=1)


def judged(folder: Path) -> tuple[list[str], list[str], dict[str, dict[str, int]]]:
    """Ids of documents and queries, and gains by query and document."""
    ids = []
    for what in ("docs", "queries"):
        with gzip.open(folder / f"{what}.jsonl.gz", "rt") as lines:
            ids.append([str(json.loads(line)["id"]) for line in lines])
    gains: dict[str, dict[str, int]] = {}
    with gzip.open(folder / "qrels.tsv.gz", "rt") as lines:
        for line in lines:
            query, document, gain = line.split()
            gains.setdefault(query, {})[document] = int(gain)
    return ids[0], ids[1], gains


def ndcg(found: np.ndarray, documents: list[str], queries: list[str], gains: dict[str, dict[str, int]]) -> float:
    """Mean nDCG@10 over the judged queries."""
    discounts = 1 / np.log2(np.arange(K) + 2)
    values = []
    for query, rows in zip(queries, found, strict=True):
        if query in gains:
            got = np.array([gains[query].get(documents[row], 0) for row in rows[:K]])
            best = np.sort(list(gains[query].values()))[::-1][:K]
            values.append((got * discounts).sum() / (best * discounts[: len(best)]).sum())
    return float(np.mean(values))


def ladder(kernels: Kernels, data: Path, report: Callable[..., None]) -> None:
    for name in LABELLED:
        documents, ids, gains = judged(data / name)
        with h5py.File(data / name / "dense-minilm-384-angular.hdf5") as file:
            rows, queries = unit(file["train"][:]), unit(file["test"][:])
        signs, int8 = Coded(index_spec.Binary(), rows), Coded(index_spec.Int8(), rows).decoded()
        centred = [signs.quantizer.project(part - signs.mean) for part in (rows, queries)]  # type: ignore[attr-defined]
        by_float_query = signs.search(kernels, queries, K * OVERSAMPLING)
        steps = {
            "hamming, signs as they are": hamming(kernels, rows, queries, K),
            "hamming, centred and rotated": hamming(kernels, *centred, K),
            "float query on the same bits": by_float_query,
            "and int8 for the best 40": rescored(by_float_query, queries, int8, K),
            "float": nearest(-(queries @ rows.T), K),
        }
        values = {step: ndcg(found, documents, ids, gains) for step, found in steps.items()}
        for step, value in values.items():
            report("ladder", f"{name} {step}", "nDCG@10", value, value / values["float"])


def recall(kernels: Kernels, data: Path, report: Callable[..., None]) -> None:
    for name in DENSE:
        with h5py.File(data / name) as file:
            rows, queries, truth = unit(file["train"][:]), unit(file["test"][:]), file["neighbors"][:, :K]
        m = K * OVERSAMPLING
        signs = Coded(index_spec.Binary(), rows)
        centred = [signs.quantizer.project(part - signs.mean) for part in (rows, queries)]  # type: ignore[attr-defined]
        candidates = {
            "hamming, signs as they are": hamming(kernels, rows, queries, m),
            "hamming, centred and rotated": hamming(kernels, *centred, m),
            "binary, float query": signs.search(kernels, queries, m),
            "binary by itq, float query": Coded(index_spec.Binary(itq=True), rows).search(kernels, queries, m),
            "rabitq of 1 bit": Coded(index_spec.RaBitQ(bits=1), rows).search(kernels, queries, m),
        }
        for what, found in candidates.items():
            for among in (K, m):
                hits = (found[:, :among, None] == truth[:, None]).any(axis=1).mean()
                report("recall", f"{name[:12]} {what}", f"recall of {K} among {among}", float(hits), None)


def seconds(call: Callable[[], object], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return min(times)


def scans(kernels: Kernels, data: Path, report: Callable[..., None]) -> None:
    with h5py.File(data / HAMMING) as file:
        rows, queries, truth = file["train"][:], file["test"][:], file["distances"][:, :K].astype(np.float32)
    field = VectorField(VectorKind.BINARY, rows.shape[1] * 8, Metric.HAMMING)
    flat = BinaryFlatIndex(field, rows)
    part = queries[:64].copy()
    batch = seconds(lambda: flat.search(kernels, part, K, None)) / len(part)
    single = seconds(lambda: [flat.search(kernels, query[None], K, None) for query in part]) / len(part)
    report("scans", "batch of 64", "Mrows/s", len(rows) / batch / 1e6, single / batch)

    ivf = HammingIvfIndex.build(field, index_spec.HammingIVF(), rows, None, kernels, lambda *_: None)
    for nprobe in (0, 32, 64, 128, 256):
        params = SearchParams(nprobe=nprobe)
        found = ivf.search(kernels, queries, K, None, params)
        hits = np.minimum((found.distances <= truth[:, -1:]).sum(axis=1), K).mean() / K
        taken = seconds(lambda p=params: ivf.search(kernels, part, K, None, p)) / len(part)  # type: ignore[misc]
        report("scans", f"lists, nprobe {nprobe or 'auto'}", "recall@10 by distance", float(hits), batch / taken)

    mih = MihIndex.build(field, index_spec.MIH(), rows, None, kernels, lambda *_: None)
    for radius in (0, 8, 16, 24, 32):
        hashed = mih.search_radius(kernels, queries, radius, 100, None)
        scanned = flat.search_radius(kernels, queries, radius, 100, None)
        assert np.array_equal(hashed.rows, scanned.rows), "multi-index hashing is exact"
        taken = seconds(lambda r=radius: mih.search_radius(kernels, part, r, 100, None))  # type: ignore[misc]
        other = seconds(lambda r=radius: flat.search_radius(kernels, part, r, 100, None))  # type: ignore[misc]
        report("scans", f"hashed, radius {radius}", "us a query", taken / len(part) * 1e6, other / taken)


PARTS: dict[str, Callable[..., None]] = {"scans": scans, "ladder": ladder, "recall": recall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path, help="append the JSON lines to this file")
    arguments = parser.parse_args()
    kernels = get_kernels()
    kernels.set_threads(1)
    lines: list[dict[str, Any]] = []

    def report(part: str, what: str, unit: str, value: float, ratio: float | None) -> None:
        """`ratio` is to the scan of a batch, to single scans, or to the float vectors' nDCG."""
        lines.append({"bench": "hamming_rows", "part": part, "what": what, "unit": unit, "value": value, "x": ratio})
        print(f"{what:<56} {value:>10.3f} {unit:<24}" + ("" if ratio is None else f" {ratio:.2f} x"), flush=True)

    for part in arguments.parts:
        PARTS[part](kernels, arguments.data, report)
    if arguments.json is not None:
        with arguments.json.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
