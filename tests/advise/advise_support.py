"""Made-up vectors with a spectrum and clusters, as embeddings have: some dimensions say more than others."""

from __future__ import annotations

import os

import numpy as np

SEED = int(os.environ.get("VECSTORE_TEST_SEED", "0")) or 20_261_121


def embeddings(count: int, dim: int = 32, seed: int = SEED) -> np.ndarray:
    """(count, dim) float32. Calls with the same dim draw from one distribution."""
    centres = np.random.default_rng(7).normal(size=(30, dim))
    rng = np.random.default_rng(seed)
    spread = 1 / np.sqrt(1 + np.arange(dim))
    rows = (0.7 * centres[rng.integers(len(centres), size=count)] + rng.normal(size=(count, dim))) * spread
    return rows.astype(np.float32)
