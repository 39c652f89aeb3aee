"""The law: plain numpy with float64 sums, rounded to float32 once at the end. The other backends are tested against it.

Sums run over each pair by itself (einsum, not a matrix product), so that equal rows get equal distances wherever they
stand and ties fall to the lower row. That makes it slow; it is also what runs where neither the extension nor Numba is.
"""

from __future__ import annotations

from vecstore.kernels.codes_numpy_backend import NumpyCodes
from vecstore.kernels.graph_numpy_backend import NumpyGraphs
from vecstore.kernels.sparse_numpy_backend import NumpySparse
from vecstore.kernels.tokens_numpy_backend import NumpyTokens


class NumpyKernels(NumpyCodes, NumpyGraphs, NumpySparse, NumpyTokens):
    name = "numpy"
    isa = "numpy"
    threads = 1

    def set_threads(self, threads: int) -> None:
        """numpy runs on the calling thread; any bound holds."""
