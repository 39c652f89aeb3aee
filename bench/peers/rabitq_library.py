"""RaBitQ-Library (`rabitqlib`): IVF with 1 to 9 bits a dimension; one list makes it a flat scan."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.contest import Built, Entrant
from bench.peers.centroids import centroids

NEEDS = "rabitqlib"
ID_BYTES = 4  # not counted for anybody


def entrants(dim: int) -> Iterable[Entrant]:
    """Flat: one list around the mean."""
    for bits in (1, 2, 4, 8):
        for metric in ("ip", "l2"):
            spec = f"nbits={bits} {metric}"
            yield Entrant("rabitqlib", "rabitqlib", spec, lambda rows, b=bits, m=metric: flat(rows, b, m))


def racers(dim: int, nlists: Iterable[int]) -> Iterable[Entrant]:
    """32 bits are codes of one bit and the vectors themselves."""
    for bits, metric in ((4, "l2"), (8, "l2"), (8, "ip"), (32, "l2")):
        for nlist in nlists:
            yield Entrant(
                "rabitqlib",
                f"rabitqlib IVF {bits} bits",
                f"nlist={nlist} nbits={bits} {metric}",
                lambda rows, n=nlist, b=bits, m=metric: race(rows, n, b, m),
            )


def make(rows: np.ndarray, centres: np.ndarray, lists: np.ndarray, bits: int, metric: str) -> Any:
    import rabitqlib

    index = rabitqlib.IvfIndex(
        dim=rows.shape[1], max_elements=len(rows), num_clusters=len(centres), nbits=bits, metric=metric
    )
    index.build(rows, centres, lists.astype(np.uint32), num_threads=os.cpu_count() or 1)
    return index


def flat(rows: np.ndarray, bits: int, metric: str) -> Built:
    mean, lists = rows.mean(axis=0, keepdims=True), np.zeros(len(rows), np.uint32)
    index = make(rows, mean, lists, bits, metric)
    half = len(rows) // 2
    extra = saved_bytes(index) - saved_bytes(make(rows[:half], mean, lists[:half], bits, metric))

    def search(queries: np.ndarray, k: int) -> np.ndarray:
        return index.search(queries, k=k, nprobe=1, high_accuracy=True)[0].astype(np.int64)

    return Built(search, extra / (len(rows) - half) - ID_BYTES)


def race(rows: np.ndarray, nlist: int, bits: int, metric: str) -> Built:
    centres, lists = centroids(rows, nlist)
    index = make(rows, centres, lists, bits, metric)

    def search(queries: np.ndarray, k: int, nprobe: int, high_accuracy: bool) -> np.ndarray:
        return index.search(queries, k=k, nprobe=nprobe, high_accuracy=high_accuracy)[0].astype(np.int64)

    settings = [{"high_accuracy": accurate, "nprobe": 0} for accurate in (False, True)]
    return Built(search, saved_bytes(index) / len(rows) - ID_BYTES, settings)


def saved_bytes(index: Any) -> int:
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-") as folder:
        path = Path(folder) / "index"
        index.save(str(path))
        return path.stat().st_size
