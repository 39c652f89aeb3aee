"""`python -m bench intruders`: how often random unit vectors have a cosine above s, by the formula and by drawing them.

P(cos > s) = I(1 - s²; (d - 1) / 2, 1 / 2) / 2, the regularised incomplete beta function. Among N vectors N P of them
outrank a right answer whose cosine is s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import betainc

from bench import results

COLUMNS = ["dim", "cosine", "formula", "drawn", "pairs", "off"]
COSINES = (0.1, 0.2, 0.3, 0.4)
SEEN = 1_000  # pairs above s: with fewer, chance alone is over three percent
BATCH = 50_000


def intruders(dims: list[int], vectors: int, seed: int, out: str) -> list[dict[str, Any]]:
    """The queries of a vector are the axes: its components are its cosines with them."""
    rng = np.random.default_rng(seed)
    records = []
    for dim in dims:
        above = np.zeros(len(COSINES), np.int64)
        for low in range(0, vectors, BATCH):
            rows = rng.standard_normal((min(BATCH, vectors - low), dim), np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            above += [int(np.count_nonzero(rows > cosine)) for cosine in COSINES]
        for cosine, count in zip(COSINES, above, strict=True):
            formula = float(betainc((dim - 1) / 2, 0.5, 1 - cosine**2) / 2)
            drawn = int(count) / (vectors * dim)
            off = drawn / formula - 1 if count >= SEEN else None
            records.append(dict(zip(COLUMNS, (dim, cosine, formula, drawn, int(count), off), strict=True)))
    results.append(out, [record | {"seed": seed} | results.surroundings() for record in records])
    print(results.table(records, COLUMNS))
    return records
