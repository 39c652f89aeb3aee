"""Exact scans beside a plain read of the same bytes: `python bench/kernels.py [--mib 512] [--isa avx2] [--json FILE]`.

One thread. Each pair (what is measured, what it is compared with) runs interleaved; a rate is the median over the
repeats, a ratio the median of the pairs' ratios. Time is the thread's CPU time, which on a busy machine leaves out the
turns of other processes; `--wall` takes the clock instead.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecstore.kernels.base import Kernels
from vecstore.kernels.select import available_backends, load_backend
from vecstore.schema import Metric

K = 10


@dataclass
class Result:
    what: str
    rate: float  # of what is measured, in `unit`
    unit: str
    against: str
    ratio: float  # rate / the other's rate
    target: float | None  # least ratio that part 1 asks for


@dataclass
class Bench:
    mib: int
    repeats: int
    clock: Callable[[], float]
    results: list[Result]

    def seconds(self, call: Callable[[], object]) -> float:
        start = self.clock()
        call()
        return self.clock() - start

    def compare(
        self,
        what: str,
        call: tuple[Callable[[], object], float],
        against: str,
        other: tuple[Callable[[], object], float],
        unit: str,
        target: float | None = None,
    ) -> None:
        """Each side is (call, amount of `unit` it gets through)."""
        call[0](), other[0]()  # compile, fault in
        pairs = [(self.seconds(call[0]), self.seconds(other[0])) for _ in range(self.repeats)]
        rate = statistics.median(call[1] / mine for mine, _ in pairs)
        ratio = statistics.median((call[1] / mine) / (other[1] / theirs) for mine, theirs in pairs)
        result = Result(what, rate, unit, against, ratio, target)
        self.results.append(result)
        mark = "" if target is None else f"{'ok ' if ratio >= target else 'LOW'} (>= {target:g})"
        print(f"{what:<44} {rate:>10.2f} {unit:<9} {ratio:>6.2f} x {against:<22} {mark}", flush=True)


def _scan_call(kernels: Kernels, metric: Metric, queries: np.ndarray, rows: np.ndarray) -> Callable[[], None]:
    out = np.empty((len(queries), K), np.int64), np.empty((len(queries), K), np.float32)
    norms = np.ones(len(rows), np.float32) if metric is Metric.COSINE else None
    return lambda: kernels.scan(metric, queries, rows, norms, None, *out)


def _hamming_call(kernels: Kernels, queries: np.ndarray, rows: np.ndarray) -> Callable[[], None]:
    out = np.empty((len(queries), K), np.int64), np.empty((len(queries), K), np.float32)
    return lambda: kernels.hamming_scan(queries, rows, None, *out)


def dense(bench: Bench, native: Kernels, read: Callable[[np.ndarray], object], numba: Kernels | None) -> None:
    rng = np.random.default_rng(0)
    for dim in (384, 768):
        n = (bench.mib << 20) // (dim * 4)
        rows = rng.random((n, dim), dtype=np.float32)
        rows -= 0.5
        queries = rng.random((64, dim), dtype=np.float32) - np.float32(0.5)
        one = queries[:1].copy()
        raw = rows.reshape(-1).view(np.uint8)
        read_bytes = (lambda raw=raw: read(raw)), raw.nbytes / 1e9
        for metric in (Metric.L2, Metric.DOT, Metric.COSINE):
            call = _scan_call(native, metric, one, rows), rows.nbytes / 1e9
            bench.compare(f"float32 {dim} {metric} scan", call, "plain read", read_bytes, "GB/s", 0.8)

        half = rows.astype(np.float16)
        wide_rows = _scan_call(native, Metric.L2, one, rows), n / 1e6
        for metric in (Metric.L2, Metric.DOT):
            call = _scan_call(native, metric, one, half), n / 1e6
            wide = wide_rows if metric is Metric.L2 else (_scan_call(native, metric, one, rows), n / 1e6)
            bench.compare(f"float16 {dim} {metric} scan", call, "float32 scan", wide, "Mrows/s", 1.7)

        part = rows[: n // 8]
        for metric in (Metric.L2, Metric.DOT):
            batch = _scan_call(native, metric, queries, part), 64.0 * len(part) / 1e6
            single = _scan_call(native, metric, one, part), len(part) / 1e6
            bench.compare(f"float32 {dim} {metric} batch of 64", batch, "64 single scans", single, "Mpairs/s", 4.0)
            if numba is not None:
                call = _scan_call(numba, metric, queries, part), 64.0 * len(part) / 1e6
                bench.compare(f"numba float32 {dim} {metric} batch of 64", call, "native", batch, "Mpairs/s", 0.5)
        if numba is not None:
            for name, stored in (("float32", rows), ("float16", half)):
                call = _scan_call(numba, Metric.L2, one, stored), stored.nbytes / 1e9
                other = _scan_call(native, Metric.L2, one, stored), stored.nbytes / 1e9
                bench.compare(f"numba {name} {dim} l2 scan", call, "native", other, "GB/s", 0.5)
        peers(bench, native, rows, queries)


def hamming(bench: Bench, native: Kernels, read: Callable[[np.ndarray], object], numba: Kernels | None) -> None:
    rng = np.random.default_rng(0)
    for nbytes in (48, 96, 128):
        rows = rng.integers(0, 256, ((bench.mib << 20) // nbytes, nbytes), np.uint8)
        query = rows[5:6].copy()
        raw = rows.reshape(-1)
        call = _hamming_call(native, query, rows), rows.nbytes / 1e9
        read_bytes = (lambda raw=raw: read(raw)), raw.nbytes / 1e9
        bench.compare(f"hamming {nbytes} bytes scan", call, "plain read", read_bytes, "GB/s", 0.8)
        if numba is not None:
            other = _hamming_call(numba, query, rows), rows.nbytes / 1e9
            bench.compare(f"numba hamming {nbytes} bytes scan", other, "native", call, "GB/s", 0.5)


def peers(bench: Bench, native: Kernels, rows: np.ndarray, queries: np.ndarray) -> None:
    try:
        import faiss
    except ImportError:
        return
    faiss.omp_set_num_threads(1)
    part = rows[: len(rows) // 4]
    for metric, make in ((Metric.L2, faiss.IndexFlatL2), (Metric.DOT, faiss.IndexFlatIP)):
        index = make(rows.shape[1])
        index.add(part)
        for batch in (queries[:1].copy(), queries):
            amount = len(batch) * len(part) / 1e6
            call = _scan_call(native, metric, batch, part), amount
            other = (lambda index=index, batch=batch: index.search(batch, K)), amount
            what = f"float32 {rows.shape[1]} {metric}, {len(batch)} queries"
            bench.compare(what, call, "faiss IndexFlat", other, "Mpairs/s")


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {"cpu": cpu, "python": platform.python_version(), "numpy": np.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=512, help="bytes of rows; take several times the last-level cache")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--isa", help="force an instruction set of the native backend")
    parser.add_argument("--wall", action="store_true", help="measure wall-clock time instead of the thread's CPU time")
    parser.add_argument("--json", type=Path, help="append the JSON lines to this file (default: print them)")
    arguments = parser.parse_args()
    if "native" not in available_backends():
        sys.exit("the native extension is not built; there is nothing to compare")
    from vecstore.kernels import _native

    native = load_backend("native")
    if arguments.isa:
        _native.use_isa(arguments.isa)
    native.set_threads(1)
    numba = load_backend("numba") if "numba" in available_backends() else None
    if numba is not None:
        numba.set_threads(1)
    clock = time.perf_counter if arguments.wall else time.thread_time
    bench = Bench(arguments.mib, arguments.repeats, clock, [])
    about = _machine() | {"isa": native.isa, "mib": arguments.mib, "threads": 1}
    print(" ".join(f"{key}={value}" for key, value in about.items()))
    dense(bench, native, _native.read_bytes, numba)
    hamming(bench, native, _native.read_bytes, numba)
    lines = [json.dumps({"bench": "kernels", **about, **asdict(result)}) for result in bench.results]
    if arguments.json is not None:
        with arguments.json.open("a") as file:
            file.writelines(line + "\n" for line in lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
