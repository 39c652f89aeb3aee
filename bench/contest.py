"""What the frontier and the races share: entrants, recall, timing in interleaved rounds, Pareto fronts, interpolation.

An entrant is one library with one build setting. Everybody gets the same unit vectors (cosine), the same queries in the
same process, one thread on one core, and is timed in turns, so that a slow minute of the machine hits all alike.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import datasets
from bench.metrics import EPSILON_STRICT

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
Search = Callable[..., np.ndarray]  # (queries, k, **settings) -> (nq, k) row numbers


@dataclass(slots=True)
class Built:
    """`bytes_per_vector` counts codes and factors; row numbers and stored vectors are left out for everybody."""

    search: Search
    bytes_per_vector: float
    settings: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    knob: str = "nprobe"  # the setting that a race sweeps
    rows_of: Callable[[Any], np.ndarray] = np.asarray  # row numbers of what `search` answers; not timed


@dataclass(frozen=True, slots=True)
class Entrant:
    system: str  # who; "vecstore" is ours
    family: str  # what is compared: the settings of one family share a Pareto front
    spec: str  # the build, in the library's own words
    build: Callable[[np.ndarray], Built]  # takes unit rows, float32 (n, dim)


@dataclass(slots=True)
class Point:
    """One search setting of one entrant, measured."""

    entrant: Entrant
    settings: dict[str, Any]
    recall: float
    qps: float
    built: Built

    def record(self) -> dict[str, Any]:
        return {
            "system": self.entrant.system,
            "family": self.entrant.family,
            "spec": self.entrant.spec,
            "settings": self.settings,
            "recall": round(self.recall, 5),
            "qps": round(self.qps, 1),
            "bytes_per_vector": round(self.built.bytes_per_vector, 2),
        }


class Truth:
    """Recall by exact distance: an answer counts when it is no farther than the true k-th neighbour (plus rounding)."""

    def __init__(self, rows: np.ndarray, queries: np.ndarray, neighbors: np.ndarray, k: int) -> None:
        self.rows, self.queries, self.k = rows, queries, k
        self.limit = self.products(neighbors[:, :k]).min(axis=1) - EPSILON_STRICT

    def products(self, answers: np.ndarray) -> np.ndarray:
        gathered = self.rows[np.maximum(answers, 0)].astype(np.float64)
        return np.einsum("qkd,qd->qk", gathered, self.queries[: len(answers)].astype(np.float64))

    def recall(self, answers: np.ndarray) -> float:
        """Answers to the first so many queries."""
        answers = np.sort(np.asarray(answers, np.int64)[:, : self.k], axis=1)
        fresh = np.ones(answers.shape, bool)
        fresh[:, 1:] = answers[:, 1:] != answers[:, :-1]
        good = (self.products(answers) >= self.limit[: len(answers), None]) & (answers >= 0) & fresh
        return float(good.sum(axis=1).mean() / self.k)


@dataclass(slots=True)
class Data:
    name: str
    rows: np.ndarray  # unit, float32 (n, dim)
    queries: np.ndarray  # unit, float32 (nq, dim)
    truth: Truth


def load(path: str | Path, k: int, queries: int | None = None, rows: int | None = None) -> Data:
    """A file of angular distance, unit length. With `rows`, its first so many, and their own truth."""
    found = datasets.load(path, queries)
    if found.metric != "cosine":
        raise ValueError(f"{found.name}: races are run on angular data, this is {found.metric}")
    train, test = unit(found.train), unit(found.test)
    neighbors = found.neighbors
    if rows is not None and rows < len(train):
        train = np.ascontiguousarray(train[:rows])
        neighbors = datasets.nearest("dot", train, test, k)
    if neighbors.shape[1] < k:
        raise ValueError(f"k={k} exceeds the {neighbors.shape[1]} neighbours that {found.name} has for each query")
    return Data(found.name, train, test, Truth(train, test, neighbors, k))


def unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.maximum(norms, np.float32(1e-30)), np.float32)


def alone(function: Callable[..., Any], *arguments: Any, threads: int = 1) -> Any:
    """Call in a process of its own whose libraries start with one thread each, or so many."""
    wanted = dict.fromkeys(ONE_THREAD, str(threads)) | {"OMP_WAIT_POLICY": "passive"}  # idle OpenMP threads do not spin
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            return process.submit(function, *arguments).result()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def one_thread() -> None:
    """From here on: every thread of this process on one core, and one thread for each library that has a switch."""
    with suppress(ImportError):
        import faiss

        faiss.omp_set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        core = max(os.sched_getaffinity(0))
        for task in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(task), {core})


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def interleaved(calls: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float]) -> list[float]:
    """Median seconds of each call, all called in turn `rounds` times."""
    took = np.empty((rounds, len(calls)))
    for turn in took:
        for place, call in enumerate(calls):
            began = clock()
            call()
            turn[place] = clock() - began
    return np.median(took, axis=0).tolist() if len(calls) else []


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in recall and rate at once, by ascending recall."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.recall, -point.qps)):
        if not kept or point.qps > kept[-1].qps:
            kept.append(point)
    return kept[::-1]


def qps_at(points: Sequence[Point], target: float) -> float | None:
    """The rate at a recall, on the line between the front's two neighbours (log rate against recall)."""
    ordered = front(points)
    above = [point for point in ordered if point.recall >= target]
    if not above:
        return None
    below = [point for point in ordered if point.recall < target]
    if not below:
        return above[0].qps
    low, high = below[-1], above[0]
    share = (target - low.recall) / (high.recall - low.recall)
    return float(np.exp(np.log(low.qps) * (1 - share) + np.log(high.qps) * share))
