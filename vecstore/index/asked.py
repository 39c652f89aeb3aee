"""Queries of a user's own that an index was tuned on, as they are stored with it."""

from __future__ import annotations

import numpy as np

from vecstore.errors import Corruption
from vecstore.kernels.base import Float32Array


def open_asked(asked: np.ndarray | None, dim: int) -> Float32Array | None:
    """Raises Corruption."""
    if asked is None:
        return None
    if asked.dtype != np.float32 or asked.ndim != 2 or asked.shape[1] != dim or not np.isfinite(asked).all():
        raise Corruption(f"the queries of an index are {asked.dtype} {asked.shape}, not finite float32 of n x {dim}")
    return asked
