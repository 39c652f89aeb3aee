"""Faiss, codes scanned flat: product, scalar and RaBitQ quantizers, each at its best metric and rotation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.contest import Built, Entrant

NEEDS = "faiss"
# Bounds of what training costs: it is a k-means of 256 centroids for each byte of a code, 384 of them at 8 bits a
# dimension. By default faiss takes 65,536 rows, 50 rounds of OPQ, and orders the centroids for polysemous filtering,
# which a flat scan does not use: the grid then takes hours.
TRAIN_ROWS = 16_384  # 64 for each centroid; faiss asks for 39
OPQ_ROUNDS = 5


def specs(dim: int) -> list[str]:
    """Factory strings at 1, 2, 4 and 8 bits a dimension, and a little more for codes that carry factors."""
    found = []
    for bits in (1, 2, 4, 8):
        code = dim * bits // 8
        if dim % code == 0:
            found.append(f"PQ{code}")
            if bits < 8:
                found.append(f"OPQ{code},PQ{code}")
        if 2 * code <= dim and dim % (2 * code) == 0:
            found += [f"PQ{2 * code}x4", f"PQ{2 * code}x4fs"]
            if 2 * code < dim:
                found.append(f"OPQ{2 * code},PQ{2 * code}x4")
        if code < dim:
            found.append(f"PCA{code},SQ8")
        if 2 * code < dim:
            found.append(f"PCA{2 * code},SQ4")
        found.append(f"RR{dim},RaBitQ{bits}")
    if dim > 64:
        found.append(f"PCAR{dim - 64},RaBitQ")  # its factors take 8 bytes: 64 dimensions fewer pay for them
    found += ["SQ4", f"RR{dim},SQ4", f"RR{dim},SQtqmse2", f"RR{dim},SQtqmse4", "SQ6", "SQ8", f"RR{dim},SQ8"]
    return found


def entrants(dim: int) -> Iterable[Entrant]:
    for spec in specs(dim):
        yield Entrant("faiss", "faiss", spec, lambda rows, spec=spec: build(rows, spec))


def build(rows: np.ndarray, spec: str) -> Built:
    """RaBitQ's factors depend on the metric, so it is built for both; the others take the metric at search."""
    import faiss

    faiss.omp_set_num_threads(1)
    metrics = {"ip": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}
    names = list(metrics) if "RaBitQ" in spec else ["l2"]
    made = {name: faiss.index_factory(rows.shape[1], spec, metrics[name]) for name in names}
    for index in made.values():
        if spec.startswith("OPQ"):
            faiss.downcast_VectorTransform(index.chain.at(0)).niter = OPQ_ROUNDS
        codes = innermost(faiss, index)
        if isinstance(codes, faiss.IndexPQ):
            codes.do_polysemous_training = False
        index.train(rows[np.random.default_rng(0).permutation(len(rows))[:TRAIN_ROWS]])
        index.add(rows)

    def search(queries: np.ndarray, k: int, metric: str) -> np.ndarray:
        index = made.get(metric) or made["l2"]
        if len(made) == 1:
            set_metric(faiss, index, metrics[metric])
        return index.search(queries, k)[1]

    first = next(iter(made.values()))
    return Built(search, code_bytes(faiss, first), [{"metric": name} for name in metrics])


def innermost(faiss: Any, index: Any) -> Any:
    inner = faiss.downcast_index(index)
    return innermost(faiss, inner.index) if isinstance(inner, faiss.IndexPreTransform) else inner


def set_metric(faiss: Any, index: Any, metric: int) -> None:
    inner = faiss.downcast_index(index)
    inner.metric_type = metric
    if isinstance(inner, faiss.IndexPreTransform):
        set_metric(faiss, inner.index, metric)


def code_bytes(faiss: Any, index: Any) -> float:
    return float(innermost(faiss, index).code_size)
