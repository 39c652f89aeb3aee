"""`python -m bench.dimension_reduction [DATA.hdf5 ...]`: what dimension reduction keeps and saves, beside its targets.

Rows of section 8 of the method's specification: which PCA suits which metric, codes compared as vectors, funnel search,
merged PCA, half the dimensions in bytes, and masked queries. Recall is that of exact neighbours among the rows used.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench import datasets
from vecstore import index_spec
from vecstore.index.base import SearchParams
from vecstore.index.flat import FlatIndex
from vecstore.index.funnel import FunnelIndex
from vecstore.index.masked import BlockedRows
from vecstore.index.registry import built_index
from vecstore.kernels.select import get_kernels
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric, VectorField, VectorKind
from vecstore.transform.chain import Chain
from vecstore.transform.moments import Moments
from vecstore.transform.opq import OPQ
from vecstore.transform.pca import PCA
from vecstore.transform.rotation import Rotation

K = 10


@dataclass
class Report:
    """Prints each figure beside its target, where it has one, and keeps it."""

    data: str
    lines: list[dict[str, object]] = field(default_factory=list)

    def add(self, what: str, value: float, target: float | None = None, at_most: bool = False) -> None:
        reached = None if target is None else bool(value <= target if at_most else value >= target)
        sign = "" if target is None else f"{'<=' if at_most else '>='} {target:g} {'ok' if reached else 'MISSED'}"
        print(f"{self.data:<28.28} {what:<64} {value:>10.4g}  {sign}", flush=True)
        self.lines.append({"bench": "dimension_reduction", "data": self.data, "what": what, "value": float(value),
                           "target": target, "reached": reached})  # fmt: skip


@dataclass(frozen=True)
class Vectors:
    rows: np.ndarray  # unit length
    queries: np.ndarray
    truth: np.ndarray  # (nq, K)

    @classmethod
    def of(cls, rows: np.ndarray, queries: np.ndarray) -> Vectors:
        rows, queries = unit(rows), unit(queries)
        return cls(rows, queries, best(queries @ rows.T))

    def recall(self, found: np.ndarray) -> float:
        return float(np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(self.truth, found, strict=True)]))

    def recall_of(self, rows: np.ndarray, queries: np.ndarray) -> float:
        return self.recall(best(queries @ rows.T))


def unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def best(scores: np.ndarray, k: int = K) -> np.ndarray:
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]


def real(path: str, n: int, nq: int) -> Vectors:
    data = datasets.load(path, nq)
    return Vectors.of(data.train[:n], data.test)


def shifted(n: int, nq: int, dim: int) -> Vectors:
    """A decaying spectrum with a common mean: the data of the specification's table, in kind."""
    rng = np.random.default_rng(1)
    scales = np.arange(1, dim + 1) ** -0.7
    mean = rng.standard_normal(dim)
    mean *= 0.5 * np.linalg.norm(scales) / np.linalg.norm(mean)
    vectors = (rng.standard_normal((n + nq, dim)) * scales + mean).astype(np.float32)
    return Vectors.of(vectors[:n], vectors[n:])


def pca_table(report: Report, v: Vectors, target: bool) -> None:
    """Row 1. The margin is promised where vectors have a common mean."""
    dim = v.rows.shape[1]
    moments = Moments(dim)
    moments.add(v.rows)
    for k in (dim // 2, dim // 4, dim // 8):
        chosen = PCA.fit(index_spec.PCA(k), v.rows[:20_000], Metric.DOT, True)
        centered = PCA.from_moments(moments, k, True, Metric.DOT)
        basis = PCA.from_moments(moments, k, False, Metric.DOT).basis
        plain, asked = v.rows @ basis, v.queries @ basis
        scaled = v.recall_of(unit(plain), unit(asked))
        other = v.recall_of(unit(centered.apply(v.rows)), unit(centered.apply(v.queries)))
        moved = centered.apply(v.rows), centered.apply_queries(v.queries)[0]
        turned = [unit(Rotation.random(dim, 0).apply(part)[:, :k]) for part in (v.rows, v.queries)]
        report.add(f"recall@10, {k} dims: uncentred, unit length", scaled)
        report.add(f"recall@10, {k} dims: uncentred", v.recall_of(plain, asked))
        report.add(f"recall@10, {k} dims: pca({k}), dropped part weighs {chosen.weight:g}",
                   v.recall_of(chosen.apply(v.rows), chosen.apply_queries(v.queries)[0]))  # fmt: skip
        report.add(f"recall@10, {k} dims: centred rows, raw queries, dot", v.recall_of(*moved))
        report.add(f"recall@10, {k} dims: centred + cosine", other)
        report.add(f"recall@10, {k} dims: prefix", v.recall_of(unit(v.rows[:, :k]), unit(v.queries[:, :k])))
        report.add(f"recall@10, {k} dims: random projection", v.recall_of(*turned))
        if k == dim // 2:
            wanted = 0.1 if target else None
            report.add("row 1: uncentred, unit length - (centred + cosine) at half the dims", scaled - other, wanted)
    half = PCA.from_moments(moments, dim // 2, False, Metric.DOT)
    report.add(f"energy captured by {dim // 2} dims", half.energy)


def codes_as_vectors(report: Report, v: Vectors, target: bool) -> None:
    """Row 2: bytes compared by cosine, and the numbers that they stand for. How wrong the former is depends on how
    unlike the dimensions' ranges are."""
    dim = v.rows.shape[1]
    spiky = v.rows.copy()
    spiky[:, :4] *= 25
    outliers = Vectors.of(spiky, v.queries * np.where(np.arange(dim) < 4, 25, 1).astype(np.float32))
    int8, _, codes = decoded(v, index_spec.Int8())
    report.add("row 2: recall@10, int8 of a range per dimension, decoded", int8, 0.98)
    raw = unit(codes["codes"].astype(np.float32))
    asked = QUANTIZERS["int8"].train(index_spec.Int8(), Metric.DOT, v.rows, None, 0).encode(v.queries, None)["codes"]
    same = v.recall_of(raw, unit(asked.astype(np.float32)))
    report.add("row 2: recall@10, cosine of these bytes", same, 0.6 if target else None, True)
    float8, noise8, _ = decoded(v, index_spec.Float8())
    report.add("row 2: recall@10, float8 e4m3", float8)
    report.add("row 2: int8 - float8 without outliers", int8 - float8, 0.0)
    _, float_noise, _ = decoded(outliers, index_spec.Float8())
    report.add(
        "row 2: float8 - global int8 with 4 outlier dims, dB",
        float_noise - signal(outliers.rows, coarse(outliers.rows)),
        0.0,
    )
    report.add("row 2: float8 e4m3 signal to noise, dB (31 in the specification)", noise8)


def decoded(v: Vectors, spec: index_spec.Quantizer) -> tuple[float, float, dict[str, np.ndarray]]:
    """Recall and signal to noise (dB) of decoded rows, and the codes."""
    kind = QUANTIZERS[str(type(spec).__struct_config__.tag)]
    quantizer = kind.train(spec, Metric.DOT, v.rows, None, 0)
    encoded = quantizer.encode(v.rows, None)
    rows = quantizer.decode(encoded, None)
    return v.recall_of(rows, v.queries), signal(v.rows, rows), encoded


def coarse(rows: np.ndarray) -> np.ndarray:
    """int8 with one range for all dimensions."""
    low, high = float(rows.min()), float(rows.max())
    step = (high - low) / 255
    return np.rint((rows - low) / step) * step + low


def signal(rows: np.ndarray, decoded_rows: np.ndarray) -> float:
    noise = ((rows - decoded_rows).astype(np.float64) ** 2).sum()
    return float(10 * np.log10((rows.astype(np.float64) ** 2).sum() / noise))


def funnel(report: Report, v: Vectors, dims: tuple[int, ...], what: str, target: bool) -> None:
    """Row 3: recall@1 beside the full scan's, and bytes read for each query beside all bytes."""
    field_ = VectorField(VectorKind.DENSE, v.rows.shape[1], Metric.COSINE)
    ones, kernels = np.ones(len(v.rows), np.float32), get_kernels()
    index = FunnelIndex.build(field_, index_spec.Funnel(dims), v.rows, ones, kernels, lambda *_: None)
    flat = FlatIndex(field_, v.rows, ones)
    truth = flat.search(kernels, v.queries, 1, None).rows[:, 0]
    found = index.search(kernels, v.queries, 1, None).rows[:, 0]
    report.add(f"row 3: {what}: recall@1 of the full scan's", float(np.mean(found == truth)), 0.99 if target else None)
    sizes = [64 << (len(dims) - 1 - place) for place in range(len(dims))]
    read = len(v.rows) * (dims[0] + 1) + sizes[0] * dims[0] + sizes[-1] * v.rows.shape[1]
    read += sum(size * (high - low + 1) for size, low, high in zip(sizes, dims, dims[1:], strict=False))
    report.add(f"row 3: {what}: share of bytes read", read / v.rows.size, 1 / 16 if target else None, True)
    whole = seconds(lambda: flat.search(kernels, v.queries[:1], 1, None))
    report.add(
        f"row 3: {what}: times faster, one query",
        whole / seconds(lambda: index.search(kernels, v.queries[:1], 1, None)),
    )


def merged_pca(report: Report, v: Vectors) -> None:
    """Row 4."""
    k = v.rows.shape[1] // 2
    batch, merged = Moments(v.rows.shape[1]), Moments(v.rows.shape[1])
    batch.add(v.rows)
    for part in np.array_split(v.rows, 10):
        one = Moments(v.rows.shape[1])
        one.add(part)
        merged.merge(one)
    a, b = (PCA.from_moments(m, k, False, Metric.DOT).basis.astype(np.float64) for m in (batch, merged))
    report.add(
        "row 4: largest angle, PCA merged over 10 segments", float(np.linalg.norm(a - b @ (b.T @ a), 2)), 1e-3, True
    )


def half_in_bytes(report: Report, v: Vectors) -> None:
    """Row 5: eight times smaller than float32."""
    dim = v.rows.shape[1]
    spec = index_spec.Flat(index_spec.Int8(), (index_spec.PCA(dim // 2),), rerank="stored")
    field_ = VectorField(VectorKind.DENSE, dim, Metric.COSINE, index=spec)
    index = built_index(spec).build(
        field_, spec, v.rows, np.ones(len(v.rows), np.float32), get_kernels(), lambda *_: None
    )
    for oversampling in (1.0, 4.0):
        params = SearchParams(oversampling=oversampling)
        found = index.search(get_kernels(), v.queries, K, None, params).rows
        target = 0.97 if oversampling == 4 else None
        report.add(f"row 5: recall@10, pca({dim // 2}) + int8, rescoring {oversampling:g}x", v.recall(found), target)


def masked(report: Report, n: int, dim: int) -> None:
    """Row 7: half of the blocks kept, rows of several times the cache, one thread."""
    rng, kernels = np.random.default_rng(0), get_kernels()
    rows = rng.random((n, dim), np.float32) - np.float32(0.5)
    query = rng.random((1, dim), np.float32) - np.float32(0.5)
    blocked = BlockedRows.cut(rows, None)
    flat = FlatIndex(VectorField(VectorKind.DENSE, dim, Metric.DOT), rows)
    whole, half = (blocked.important(query, query, keep) for keep in (1.0, 0.5))
    half_s = seconds(lambda: blocked.search(query, half, K))
    whole_s = seconds(lambda: blocked.search(query, whole, K))
    row_s = seconds(lambda: flat.search(kernels, query, K, None))
    report.add(f"row 7: {dim} dims, keep .5, times faster than all blocks", whole_s / half_s, 1.6)
    report.add(f"row 7: {dim} dims, keep .5, times faster than the row-major scan", row_s / half_s)


def dime(report: Report, v: Vectors) -> None:
    """Agreement with the unmasked ranking: there are no judgements here, so this says what is lost, not gained."""
    for keep in (0.75, 0.5, 0.25):
        blocked = BlockedRows.cut(v.rows, None, width=16)
        feedback = v.rows[v.truth[:, :3]].mean(axis=1)
        found = blocked.search(v.queries, blocked.important(v.queries, feedback, keep), K)
        report.add(f"masked by the mean of 3 answers, blocks of 16, keep {keep:g}: recall@10", v.recall(found.rows))


def opq(report: Report, v: Vectors, m: int, faiss_too: bool) -> None:
    """Held-out error of 4-bit product quantization under learned rotations, by our trainer and by faiss'."""
    train, test = v.rows[:8000], v.rows[8000:12000]
    spec = index_spec.OPQ(m=m)
    began = time.process_time()
    ours = OPQ.fit(spec, train, Metric.DOT, True)
    report.add(f"opq m={m}: seconds of CPU to train", time.process_time() - began)
    report.add(f"opq m={m}: squared error without", pq_error(train, test, m))
    report.add(f"opq m={m}: squared error, ours", pq_error(ours.apply(train), ours.apply(test), m))
    if faiss_too:
        import faiss

        theirs = faiss.OPQMatrix(v.rows.shape[1], m)
        theirs.niter = 20
        theirs.pq = faiss.ProductQuantizer(v.rows.shape[1], m, 4)
        began = time.process_time()
        theirs.train(train)
        report.add(f"opq m={m}: seconds of CPU to train, faiss", time.process_time() - began)
        report.add(f"opq m={m}: squared error, faiss", pq_error(theirs.apply(train), theirs.apply(test), m))


def pq_error(train: np.ndarray, test: np.ndarray, m: int) -> float:
    quantizer = QUANTIZERS["pq"].train(index_spec.PQ(m=m), Metric.L2, np.ascontiguousarray(train), None, 0)
    rows = quantizer.decode(quantizer.encode(np.ascontiguousarray(test), None), None)
    return float(((rows - test) ** 2).sum(axis=1).mean())


def rotation(report: Report, dim: int) -> None:
    rows = np.random.default_rng(0).standard_normal((4096, dim)).astype(np.float32)
    turned = Rotation.random(dim, 0)
    report.add(f"rotate {dim} dims, microseconds a row", 1e6 * seconds(lambda: turned.apply(rows)) / len(rows))
    report.add(f"rotate {dim} dims, microseconds for one query", 1e6 * seconds(lambda: turned.apply(rows[:1])))


def seconds(call: Callable[[], object], repeats: int = 15) -> float:
    """The least of the thread's CPU time of several calls: kernels run on one thread here."""
    took = []
    for _ in range(repeats):
        began = time.thread_time()
        call()
        took.append(time.thread_time() - began)
    return min(took)


def nested(n: int, nq: int, dim: int) -> Vectors:
    """As a Matryoshka model gives them: what tells vectors apart stands first. Queries are noisy copies of rows."""
    rng = np.random.default_rng(15)
    scales = (np.arange(1, dim + 1) ** -0.7).astype(np.float32)
    rows = rng.standard_normal((n, dim), np.float32) * scales
    queries = rows[rng.choice(n, nq, replace=False)] + 0.35 * rng.standard_normal((nq, dim), np.float32) * scales
    return Vectors.of(rows, queries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="ann-benchmarks files of angular distance")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--faiss", action="store_true", help="also train OPQ by faiss (minutes)")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    arguments = parser.parse_args()
    get_kernels().set_threads(1)
    reports = [Report("synthetic, common mean")]
    mean = shifted(20_000, 300, 384)
    pca_table(reports[0], mean, target=True)
    codes_as_vectors(reports[0], mean, target=True)
    reports.append(Report("synthetic, nested"))
    funnel(reports[1], nested(50_000, arguments.queries, 1024), (32, 64, 128, 256), "dims 32 to 256 of 1024", True)
    reports.append(Report("random"))
    for dim in (384, 768):
        masked(reports[2], (256 << 20) // (4 * dim), dim)
        rotation(reports[2], dim)
    for path in arguments.data:
        report, v = Report(Path(path).stem), real(path, arguments.rows, arguments.queries)
        reports.append(report)
        pca_table(report, v, target=False)
        codes_as_vectors(report, v, target=False)
        merged_pca(report, v)
        half_in_bytes(report, v)
        dime(report, v)
        chain = Chain.fit((index_spec.PCA(v.rows.shape[1]),), v.rows[:20_000], Metric.DOT, unit=True)
        ordered = Vectors(chain.apply(v.rows), chain.apply_queries(v.queries)[0], v.truth)
        funnel(report, ordered, (32, 64, 128), "dims 32 to 128 after PCA", False)
        opq(report, v, 96, arguments.faiss)
    if arguments.json is not None:
        with arguments.json.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for report in reports for line in report.lines)


if __name__ == "__main__":
    main()
