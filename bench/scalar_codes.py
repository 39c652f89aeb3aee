"""Scalar codes: how fast they are read, and what they find: `python bench/scalar_codes.py [--data FILE ...]`.

- scans: one query over more codes than the last-level cache holds, beside a plain read of the same bytes; 32 queries at
  once beside 32 times one;
- tables: the 4-bit Lloyd-Max codes through tables and as levels in a register, one and 100 queries, beside turbovec;
- recall: the 10 nearest by each format alone, beside faiss's scalar quantizers, on real vectors;
- lvq: what two-level codes (LVQ-4x8, arXiv 2304.04759) find, in numpy, beside int8.

One thread; time is the process's CPU time, a ratio the median over interleaved pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vecstore import index_spec
from vecstore.kernels.base import Kernels
from vecstore.kernels.select import load_backend
from vecstore.quantize.base import Codes, Lists, Probes, Quantizer
from vecstore.quantize.lloyd_max import LloydMax
from vecstore.quantize.registry import QUANTIZERS
from vecstore.quantize.table_codes import TableSearch
from vecstore.schema import Metric

K = 10
SPECS: list[index_spec.Quantizer] = [
    index_spec.Float16(),
    index_spec.BFloat16(),
    index_spec.Float8("e4m3"),
    index_spec.Float8("e5m2"),
    index_spec.Int8(),
    index_spec.Int8(clip=0.001),
    index_spec.Int4(),
    index_spec.LloydMax(bits=4),
]


def trained(spec: index_spec.Quantizer, rows: np.ndarray, mean: np.ndarray | None) -> Quantizer:
    kind = QUANTIZERS[str(type(spec).__struct_config__.tag)]
    sample = rows[:: max(1, len(rows) // 16384)]
    return kind.train(spec, Metric.DOT, sample, around(mean, len(sample)), 0)


def around(mean: np.ndarray | None, n: int) -> np.ndarray | None:
    return None if mean is None else np.ascontiguousarray(np.broadcast_to(mean, (n, len(mean))))


def one_list(n: int) -> Lists:
    return Lists(np.array([0, n], np.int64), np.arange(n, dtype=np.uint32))


def find(codes: Codes, kernels: Kernels, queries: np.ndarray, mean: np.ndarray | None, k: int = K) -> np.ndarray:
    none = np.zeros((len(queries), 1), np.int32)
    add = none.astype(np.float32) if mean is None else (-queries @ mean[:, None]).astype(np.float32)
    return codes.search(kernels, queries, Probes(none, add, np.zeros_like(add)), k, k, None, 0.0).rows


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def ratio(mine: Callable[[], object], other: Callable[[], object], repeats: int = 7) -> tuple[float, float]:
    """Seconds of `mine`, and how many times faster than `other` it is."""
    mine(), other()
    pairs = [(seconds(mine), seconds(other)) for _ in range(repeats)]
    return min(m for m, _ in pairs), statistics.median(o / m for m, o in pairs)


def scans(kernels: Kernels, read: Callable[[np.ndarray], object], mib: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    base = rng.standard_normal((16384, 384)).astype(np.float32)
    queries = rng.standard_normal((32, 384)).astype(np.float32)
    records = []
    for spec in SPECS:
        if spec == index_spec.Int8(clip=0.001):
            continue
        quantizer = trained(spec, base, None)
        encoded = quantizer.encode(base, None)
        copies = int((mib << 20) // (quantizer.code_bytes * len(base))) + 1
        many = {name: np.concatenate([array] * copies) for name, array in encoded.items()}
        lists = one_list(len(base) * copies)
        arrays = quantizer.pack(many, lists)
        codes = quantizer.open(arrays, lists)
        raw = arrays["blocks"].reshape(-1).view(np.uint8)
        single = lambda c=codes: find(c, kernels, queries[:1], None)  # noqa: E731
        spent, share = ratio(single, lambda r=raw: read(r))
        part = one_list(len(base) * max(1, copies // 4))
        few = quantizer.open(quantizer.pack({n: a[: len(part.rows)] for n, a in many.items()}, part), part)
        _, gain = ratio(
            lambda c=few: find(c, kernels, queries, None), lambda c=few: find(c, kernels, queries[:1], None), 3
        )
        records.append(
            {
                "what": "scan",
                "spec": repr(spec),
                "bytes": quantizer.code_bytes,
                "GB/s": round(raw.nbytes / spent / 1e9, 1),
                "ns/row": round(spent / len(lists.rows) * 1e9, 2),
                "of plain read": round(share, 2),
                "32 queries over one": round(32 * gain, 2),
            }
        )
        show(records[-1])
    return records


def tables(kernels: Kernels, rows: np.ndarray, queries: np.ndarray) -> list[dict[str, Any]]:
    quantizer = trained(index_spec.LloydMax(bits=4), rows, None)
    assert isinstance(quantizer, LloydMax)
    lists = one_list(len(rows))
    arrays = quantizer.pack(quantizer.encode(rows, None), lists)
    by_levels, by_tables = quantizer.scanned(arrays, lists), TableSearch(arrays, lists, quantizer.tables)
    peer = turbovec(rows)
    truth = np.argsort(-(queries @ rows.T), axis=1)[:, :K]
    records = []
    for nq in (1, 100):
        asked = quantizer.project(queries[:nq])
        mine = lambda a=asked: find(by_levels, kernels, a, None)  # noqa: E731
        spent, gain = ratio(mine, lambda a=asked: find(by_tables, kernels, a, None), 9)
        every = quantizer.project(queries)
        record = {
            "what": "tables",
            "queries": nq,
            "ms": round(spent * 1e3, 3),
            "times as fast as tables": round(gain, 2),
            "recall": recall(find(by_levels, kernels, every, None), truth),
            "recall of tables": recall(find(by_tables, kernels, every, None), truth),
        }
        if peer is not None:
            record["times as fast as turbovec"] = round(ratio(mine, lambda n=nq: peer(queries[:n]), 9)[1], 2)
            record["recall of turbovec"] = recall(peer(queries), truth)
        records.append(record)
        show(record)
    return records


def turbovec(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
    try:
        import turbovec as peer
    except ImportError:
        return None
    index = peer.TurboQuantIndex(rows.shape[1], 4)
    index.add(rows)
    index.prepare()
    return lambda queries: index.search(queries, K)[1]


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    pairs = zip(found.tolist(), truth.tolist(), strict=True)
    return round(float(np.mean([len(set(a) & set(b)) / K for a, b in pairs])), 4)


def recalls(kernels: Kernels, name: str, rows: np.ndarray, queries: np.ndarray) -> list[dict[str, Any]]:
    truth = np.argsort(-(queries @ rows.T), axis=1)[:, :K]
    mean = rows.mean(axis=0)
    records = []
    for spec in SPECS:
        quantizer = trained(spec, rows, mean)
        lists = one_list(len(rows))
        codes = quantizer.open(quantizer.pack(quantizer.encode(rows, around(mean, len(rows))), lists), lists)
        found = find(codes, kernels, queries, mean)
        records.append({"what": "recall", "data": name, "spec": repr(spec), "bytes": quantizer.code_bytes,
                        "recall": recall(found, truth)})  # fmt: skip
        show(records[-1])
    for level in lvq(rows, queries, mean, truth):
        records.append({"what": "lvq", "data": name} | level)
        show(records[-1])
    return records + [{"what": "recall", "data": name} | peer for peer in faiss_recalls(rows, queries, truth)]


def faiss_recalls(rows: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> list[dict[str, Any]]:
    try:
        import faiss
    except ImportError:
        return []
    faiss.omp_set_num_threads(1)
    records = []
    for text in ("SQfp16", "SQbf16", "SQ8", "SQ4"):
        index = faiss.index_factory(rows.shape[1], text, faiss.METRIC_INNER_PRODUCT)
        index.train(rows)
        index.add(rows)
        records.append({"spec": f"faiss {text}", "bytes": index.sa_code_size(),
                        "recall": recall(index.search(queries, K)[1], truth)})  # fmt: skip
        show(records[-1])
    return records


def lvq(rows: np.ndarray, queries: np.ndarray, mean: np.ndarray, truth: np.ndarray) -> list[dict[str, Any]]:
    """LVQ-4 alone and, for its 50 best, with the residual's 8 bits."""
    centred = rows - mean
    low, high = centred.min(axis=1, keepdims=True), centred.max(axis=1, keepdims=True)
    step = (high - low) / 15
    first = np.rint((centred - low) / step) * step + low
    fine = step / 255
    second = first + (np.clip(np.rint((centred - first) / fine + 127.5), 0, 255) - 127.5) * fine
    scores = queries @ first.T
    candidates = np.argpartition(-scores, 50, axis=1)[:, :50]
    exact = np.einsum("qd,qcd->qc", queries, second[candidates])
    best = np.take_along_axis(candidates, np.argsort(-exact, axis=1)[:, :K], axis=1)
    alone = np.argsort(-scores, axis=1)[:, :K]
    dim = rows.shape[1]
    return [
        {"spec": "LVQ-4", "bytes": dim / 2 + 4, "recall": recall(alone, truth)},
        {"spec": "LVQ-4x8, 50 rescored", "bytes": dim * 1.5 + 4, "recall": recall(best, truth)},
    ]


def load(path: Path, limit: int) -> tuple[np.ndarray, np.ndarray]:
    import h5py

    with h5py.File(path) as file:
        parts = [np.asarray(file[name][:limit], np.float32) for name in ("train", "test")]
    rows, queries = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts)
    return rows, queries[:200]


def show(record: dict[str, Any]) -> None:
    print("  ".join(f"{name}: {value}" for name, value in record.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, nargs="*", default=[], help="HDF5 files in ann-benchmarks' format, angular"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each file, at most")
    parser.add_argument(
        "--mib", type=int, default=256, help="codes of the scans; take several times the last-level cache"
    )
    parser.add_argument("--isa", help="force an instruction set")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if os.environ.get("RAYON_NUM_THREADS") != "1":  # turbovec reads it when it is loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"RAYON_NUM_THREADS": "1"})
    from vecstore.kernels import _native, native_backend

    kernels = load_backend("native")
    kernels.set_threads(1)
    if args.isa:
        native_backend.use_isa(args.isa)
    records = scans(kernels, _native.read_bytes, args.mib) if args.mib else []
    for place, path in enumerate(args.data):
        rows, queries = load(path, args.rows)
        records += tables(kernels, rows, queries) if place == 0 else []
        records += recalls(kernels, path.stem, rows, queries)
    if args.json:
        args.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
