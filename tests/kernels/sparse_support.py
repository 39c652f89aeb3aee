"""Random sparse rows, and exact answers over them written without the library."""

from __future__ import annotations

import numpy as np

from vecstore.kernels.sparse import Saturation
from vecstore.sparse import SparseRows

EPS = 2.0**-24


def random_rows(
    rng: np.random.Generator,
    n: int,
    terms: np.ndarray,
    mean: float,
    dtype: str = "float32",
    signed: bool = False,
    empty: float = 0.1,
) -> SparseRows:
    """Rows of Poisson-many entries over `terms` (ascending u32), the first of which are the commonest. Some rows are
    empty, and values come from few levels, so that scores tie."""
    skew = 1 / np.arange(1, len(terms) + 1)
    skew /= skew.sum()
    parts = []
    for _ in range(n):
        count = 0 if rng.random() < empty else min(rng.poisson(mean), len(terms))
        parts.append(np.sort(rng.choice(len(terms), count, replace=False, p=skew)))
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    chosen = np.concatenate(parts) if n else np.empty(0, np.int64)
    levels = rng.integers(1, 40, len(chosen)) / np.float32(16)
    if signed:
        levels *= rng.choice([-1, 1], len(chosen))
    return SparseRows(offsets, terms[chosen].astype(np.uint32), levels.astype(dtype))


def random_saturation(rng: np.random.Generator, n: int) -> Saturation:
    return Saturation(rng.integers(1, 60, n).astype(np.float32), 0.375, float(np.float32(rng.uniform(0.01, 0.2))))


def norm(saturation: Saturation, row: int) -> float:
    return saturation.base + saturation.slope * float(saturation.lengths[row])


def exact(
    query: SparseRows, rows: SparseRows, saturation: Saturation | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) float64 distances to one query, the error allowed for each, and which rows share an index."""
    weights = dict(zip(query.indices.tolist(), query.values.astype(np.float64).tolist(), strict=True))
    distances, errors, matched = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows), bool)
    for place in range(len(rows)):
        row = rows.row(place)
        for index, value in zip(row.indices.tolist(), row.values.astype(np.float64).tolist(), strict=True):
            if index in weights:
                part = value if saturation is None else value / (value + norm(saturation, place))
                distances[place] -= weights[index] * part
                errors[place] += abs(weights[index] * part)
                matched[place] = True
    return distances, errors * (8 + len(weights) / 4) * EPS, matched
