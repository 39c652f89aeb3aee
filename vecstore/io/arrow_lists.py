"""What Arrow columns of sparse vectors and of multi-vectors share: lists of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def lengths_of(lists: Any) -> np.ndarray:
    """(n,) int64 of a list column, 0 where there is none."""
    return np.asarray(pc.list_value_length(lists).fill_null(0), dtype=np.int64)
