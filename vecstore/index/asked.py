"""Queries of a user's own that an index was tuned on, as they are stored with it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vecstore.errors import Corruption
from vecstore.kernels.base import Float32Array
from vecstore.kernels.sparse_checks import check_queries
from vecstore.sparse import SparseRows


def open_asked(asked: np.ndarray | None, dim: int) -> Float32Array | None:
    """Raises Corruption."""
    if asked is None:
        return None
    if asked.dtype != np.float32 or asked.ndim != 2 or asked.shape[1] != dim or not np.isfinite(asked).all():
        raise Corruption(f"the queries of an index are {asked.dtype} {asked.shape}, not finite float32 of n x {dim}")
    return asked


def open_asked_sparse(arrays: Mapping[str, np.ndarray]) -> SparseRows | None:
    """As `open_asked`, of all arrays of an index."""
    named = {name: arrays.get(f"asked.{name}") for name in ("offsets", "indices", "values")}
    if all(array is None for array in named.values()):
        return None
    try:
        asked = SparseRows(**named)  # type: ignore[arg-type]
        check_queries(asked)
    except (ValueError, AttributeError, TypeError) as error:
        raise Corruption(f"the queries of a seismic index are damaged: {error}") from None
    return asked
