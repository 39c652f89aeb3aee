"""Randomness that can be had again: a test that fails prints its seed."""

from __future__ import annotations

import numpy as np


def seeded() -> np.random.Generator:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    return np.random.default_rng(seed)
