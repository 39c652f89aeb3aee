"""HDF5 files in ann-benchmarks' format: `train`, `test`, `neighbors`, attribute `distance`.

Bits come either as booleans (ann-benchmarks' own hamming files) or packed with the first dimension in the high bit of
byte 0 (`numpy.packbits`); both are held packed here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

DISTANCES = {"angular": "cosine", "euclidean": "l2", "ip": "dot", "dot": "dot", "hamming": "hamming"}
BLOCK = 64  # queries at a time in exact search


@dataclass(slots=True)
class Dataset:
    """`train` (n, dim) and `test` (nq, dim) are float32, or packed uint8 (…, dim / 8) when `metric` is hamming.
    `neighbors` (nq, k) holds rows of `train`, nearest first."""

    name: str
    metric: str  # vecstore's name: cosine, l2, dot, hamming
    dim: int  # bits for hamming
    train: np.ndarray
    test: np.ndarray
    neighbors: np.ndarray

    @property
    def binary(self) -> bool:
        return self.metric == "hamming"

    def distances(self, query: int, rows: np.ndarray) -> np.ndarray:
        """Exact distances (float64, small is near) from test row `query` to rows of `train`; +inf for row -1."""
        found = np.asarray(rows)
        near = exact_distances(self.metric, self.test[query], self.train[np.maximum(found, 0)])
        return np.where(found >= 0, near, np.inf)


def exact_distances(metric: str, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if metric == "hamming":
        return np.bitwise_count(rows ^ query).sum(axis=1, dtype=np.int64).astype(np.float64)
    a, b = query.astype(np.float64), rows.astype(np.float64)
    if metric == "l2":
        return np.linalg.norm(b - a, axis=1)
    product = b @ a
    if metric == "dot":
        return -product
    norms = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
    return 1.0 - product / np.where(norms == 0, 1.0, norms)


def load(path: str | Path, queries: int | None = None) -> Dataset:
    """Read a file, with at most `queries` of its test rows. Raises ValueError when it is not in the format."""
    path = Path(path)
    with h5py.File(path) as file:
        missing = [name for name in ("train", "test", "neighbors") if name not in file]
        distance = file.attrs.get("distance")
        if missing or distance not in DISTANCES:
            raise ValueError(f"{path.name}: needs train, test, neighbors (missing: {missing}) and a distance of "
                             f"{', '.join(DISTANCES)} (found: {distance})")  # fmt: skip
        metric = DISTANCES[distance]
        prepare = packed if metric == "hamming" else floats
        train, test = prepare(file["train"][:]), prepare(file["test"][:queries])
        dim = train.shape[1] * (8 if metric == "hamming" else 1)
        return Dataset(path.stem, metric, dim, train, test, file["neighbors"][:queries].astype(np.int64))


def packed(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows if rows.dtype == np.uint8 else np.packbits(rows.astype(bool), axis=1))


def floats(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows, dtype=np.float32)


def peek(path: str | Path) -> str:
    """The metric of a file. Raises ValueError when vecstore does not have its distance."""
    with h5py.File(path) as file:
        distance = file.attrs.get("distance")
    if distance not in DISTANCES:
        raise ValueError(f"{Path(path).name}: distance {distance!r} is none of {', '.join(DISTANCES)}")
    return DISTANCES[distance]


def nearest(metric: str, train: np.ndarray, test: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """The k nearest (allowed) rows of `train` for each test row by a sort of exact distances, ties by row; places past
    the number of allowed rows hold -1."""
    rows = np.arange(len(train)) if allowed is None else np.flatnonzero(allowed)
    if metric == "hamming":  # |a - b| = |a| + |b| - 2 <a, b> on bits, exact in float32
        base, asked = (np.unpackbits(part, axis=1).astype(np.float32) for part in (train[rows], test))
    else:
        base, asked = train[rows].astype(np.float64), test.astype(np.float64)
    if metric == "cosine":
        base, asked = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-300) for part in (base, asked))
    squares = (base * base).sum(axis=1) if metric in ("l2", "hamming") else 0.0
    out = np.full((len(test), k), -1, dtype=np.int64)
    for low in range(0, len(test), BLOCK):
        block = squares - (2.0 if metric in ("l2", "hamming") else 1.0) * (asked[low : low + BLOCK] @ base.T)
        for place, distances in enumerate(block, low):
            order = np.argsort(distances, kind="stable")[:k]
            out[place, : len(order)] = rows[order]
    return out


def synthesize(path: str | Path, distance: str, rows: int, dim: int, queries: int, k: int = 100, seed: int = 1) -> None:
    """Write a file of clustered Gaussian vectors (or their signs, for hamming). Made-up data: for trying the commands
    out and for tests, not for figures."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, rows // 100), dim))
    train, test = (
        (centres[rng.integers(len(centres), size=n)] + rng.normal(scale=0.5, size=(n, dim))).astype(np.float32)
        for n in (rows, queries)
    )
    if distance == "hamming":
        train, test = np.packbits(train > 0, axis=1), np.packbits(test > 0, axis=1)
    with h5py.File(path, "w") as file:
        file["train"], file["test"] = train, test
        file["neighbors"] = nearest(DISTANCES[distance], train, test, min(k, rows)).astype(np.int32)
        file.attrs["distance"] = distance
        file.attrs["dimension"] = dim
