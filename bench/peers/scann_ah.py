"""ScaNN: asymmetric hashing with anisotropic loss, flat or under a tree, reordered by float32."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.contest import Built, Entrant

NEEDS = "scann"
OVERSAMPLING = (1, 2, 3, 5, 10, 20)


def entrants(dim: int) -> Iterable[Entrant]:
    for block in (2, 4):
        for threshold in (float("nan"), 0.2):
            spec = f"score_ah({block}, anisotropic={threshold})"
            yield Entrant("scann", "scann", spec, lambda rows, b=block, t=threshold: flat(rows, b, t))


def racers(dim: int, nlists: Iterable[int]) -> Iterable[Entrant]:
    for soar in (None, 1.5):
        for nlist in nlists:
            spec = f"tree({nlist}, soar={soar}) score_ah(2, 0.2) reorder"
            yield Entrant("scann", "scann", spec, lambda rows, n=nlist, s=soar: race(rows, n, s))


def builder(rows: np.ndarray) -> Any:
    from scann import scann_ops_pybind

    return scann_ops_pybind.builder(rows, 10, "dot_product").set_n_training_threads(os.cpu_count() or 1)


def flat(rows: np.ndarray, block: int, threshold: float) -> Built:
    index = builder(rows).score_ah(block, anisotropic_quantization_threshold=threshold).build()

    def search(queries: np.ndarray, k: int) -> np.ndarray:
        return index.search_batched(queries, final_num_neighbors=k)[0].astype(np.int64)

    return Built(search, rows.shape[1] / block / 2)


def race(rows: np.ndarray, nlist: int, soar: float | None) -> Built:
    spill = {} if soar is None else {"soar_lambda": soar, "overretrieve_factor": 2.0}
    made = builder(rows).tree(nlist, nlist // 10, training_sample_size=len(rows), **spill)
    index = made.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()

    def search(queries: np.ndarray, k: int, nprobe: int, oversampling: int) -> np.ndarray:
        found = index.search_batched(
            queries,
            final_num_neighbors=k,
            pre_reorder_num_neighbors=k * oversampling,
            leaves_to_search=nprobe,
        )[0]
        return found.astype(np.int64)

    copies = 1.0 if soar is None else 2.0
    return Built(search, copies * rows.shape[1] / 4, [{"oversampling": one, "nprobe": 0} for one in OVERSAMPLING])
