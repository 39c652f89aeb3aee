"""How a product of narrow rows becomes a call of cuBLAS's gemmEx, apart from the call itself, so that it can be tested.

Row-major (n, d) is column-major (d, n). The scores, row-major (m queries, n rows), are column-major (n, m), which is
rows^T of (d, n) times queries (d, m): A is the rows, transposed, B the queries, and every leading dimension follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# cudaDataType and cublasComputeType_t
_TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 2, np.dtype(np.uint16): 14, np.dtype(np.int8): 3}
_FLOAT32, _INT32 = 0, 10
_COMPUTE_32F, _COMPUTE_32F_FAST_TF32, _COMPUTE_32I = 68, 77, 72
_INT8_MULTIPLE = 4  # leading dimensions of int8 must be


@dataclass(frozen=True, slots=True)
class GemmCall:
    """C (m, n) = A (k, m)^T B (k, n), column-major, with leading dimensions k, k and m."""

    a: Any
    b: Any
    m: int
    n: int
    k: int
    in_type: int
    out_type: int
    out_dtype: type[np.generic]
    scalar_dtype: type[np.generic]
    compute: int


def gemm_call(xp: Any, rows: Any, queries: Any) -> GemmCall:
    """For rows (n, d) and queries (m, d) of float32, float16, bfloat16 (uint16) or int8. float32 meets the tensor cores
    as TF32."""
    if rows.dtype == np.int8:
        rows, queries = _padded(xp, rows), _padded(xp, queries)
        types: tuple[int, type[np.generic], type[np.generic], int] = _INT32, np.int32, np.int32, _COMPUTE_32I
    else:
        compute = _COMPUTE_32F_FAST_TF32 if rows.dtype == np.float32 else _COMPUTE_32F
        types = _FLOAT32, np.float32, np.float32, compute
    out_type, out_dtype, scalar, compute = types
    n, d = rows.shape
    return GemmCall(
        xp.ascontiguousarray(rows), xp.ascontiguousarray(queries), n, len(queries), d, _TYPES[np.dtype(rows.dtype)],
        out_type, out_dtype, scalar, compute,
    )  # fmt: skip


def _padded(xp: Any, array: Any) -> Any:
    short = -array.shape[1] % _INT8_MULTIPLE
    if not short:
        return array
    return xp.concatenate((array, xp.zeros((len(array), short), array.dtype)), axis=1)
