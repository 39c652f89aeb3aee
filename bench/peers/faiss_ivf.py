"""Faiss, lists: IVF-PQ fast scan and IVF-RaBitQ fast scan, both refined by float32, and IVF with 8-bit scalars."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.contest import Built, Entrant
from bench.peers.centroids import centroids

NEEDS = "faiss"
FACTORS = (1, 2, 3, 5, 10, 20)
_stored: dict[tuple[int, str], Any] = {}  # one copy of the vectors for all refined indexes of a metric


def codes(dim: int) -> dict[str, list[str]]:
    """Codes after the lists, for each family."""
    return {
        "faiss IVF-PQfs+refine": [f"PQ{dim // 2}x4fs", f"PQ{dim // 4}x4fs"],
        "faiss IVF-RaBitQfs+refine": ["RaBitQfs"],
        "faiss IVF-SQ8": ["SQ8"],
    }


def racers(dim: int, nlists: Iterable[int]) -> Iterable[Entrant]:
    for family, listed in codes(dim).items():
        for code in listed:
            for nlist in nlists:
                refined = code != "SQ8"
                for metric in ("l2", "ip") if "PQ" in code else ("l2",):
                    yield Entrant(
                        "faiss",
                        family,
                        f"IVF{nlist},{code}{',RFlat' if refined else ''} {metric}",
                        lambda rows, n=nlist, c=code, m=metric, r=refined: build(rows, n, c, m, r),
                    )


def build(rows: np.ndarray, nlist: int, code: str, metric: str, refined: bool) -> Built:
    import faiss

    centres, _ = centroids(rows, nlist)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    rotated = "RaBitQ" in code  # needs it; the others do not
    dim = rows.shape[1]
    turn = faiss.RandomRotationMatrix(dim, dim)
    if rotated:
        turn.init(1)
        centres = turn.apply(centres)
    index = faiss.index_factory(dim, f"IVF{nlist},{code}", kind)
    coarse = faiss.IndexFlat(dim, kind)
    coarse.add(centres)
    index.quantizer, index.own_fields = coarse, False
    index.quantizer_trains_alone = 1  # the centroids are there
    base: Any = faiss.IndexPreTransform(turn, index) if rotated else index
    base.train(rows)
    base.add(rows)
    if refined:
        key = (id(rows), metric)
        if key not in _stored:
            _stored[key] = faiss.IndexFlat(dim, kind)
            _stored[key].add(rows)
        whole = faiss.IndexRefine(base, _stored[key])
    else:
        whole = base
    held = (coarse, index, base, turn)  # faiss holds plain pointers to them

    def search(queries: np.ndarray, k: int, nprobe: int, oversampling: int) -> np.ndarray:
        params = faiss.SearchParametersIVF(nprobe=nprobe)
        inner: Any = faiss.SearchParametersPreTransform(index_params=params) if rotated else params
        if refined:
            inner = faiss.IndexRefineSearchParameters(k_factor=oversampling, base_index_params=inner)
        assert held
        return whole.search(queries, k, params=inner)[1]

    factors = FACTORS if refined else (1,)
    return Built(search, float(index.code_size), [{"oversampling": one, "nprobe": 0} for one in factors])
