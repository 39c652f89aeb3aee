"""Iterative quantization: the rotation of the leading principal directions whose signs lose least.

Gong, Lazebnik, Gordo and Perronnin, "Iterative quantization: a Procrustean approach to learning binary codes" (2013).
"""

from __future__ import annotations

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.index_spec import BAD_INDEX_SPEC
from vecstore.kernels.base import Float32Array

ITERATIONS = 50
_ROWS_PER_BIT = 20  # more rows change the codes' recall by less than sampling does


def train_itq(residuals: Float32Array, bits: int, seed: int) -> Float32Array:
    """The map (dim, bits), orthonormal columns, of residuals (n, dim). Raises InvalidArgument (BAD_INDEX_SPEC)."""
    n, dim = residuals.shape
    if not 1 <= bits <= dim:
        raise InvalidArgument(f"Binary.bits={bits} is not in 1..{dim}, the dimension, for itq", reason=BAD_INDEX_SPEC)
    if n < bits:
        message = f"Binary with itq and {bits} bits is trained on at least as many vectors, the sample has {n}"
        raise InvalidArgument(message, reason=BAD_INDEX_SPEC)
    rng = np.random.default_rng(seed)
    wide = residuals.astype(np.float64)
    _, directions = np.linalg.eigh(wide.T @ wide)
    leading = directions[:, ::-1][:, :bits]
    chosen = rng.choice(n, min(n, _ROWS_PER_BIT * bits), replace=False)
    values = (wide[chosen] @ leading).astype(np.float32)
    rotation = np.linalg.qr(rng.standard_normal((bits, bits)))[0].astype(np.float32)
    for _ in range(ITERATIONS):
        signs = np.where(values @ rotation >= 0, np.float32(1), np.float32(-1))
        left, _, right = np.linalg.svd(signs.T @ values)
        rotation = right.T @ left.T
    # Orthonormal to the last float32 bit: fifty products have drifted.
    left, _, right = np.linalg.svd(rotation.astype(np.float64))
    columns: Float32Array = np.ascontiguousarray(leading @ (left @ right), np.float32)
    return columns
