"""Search of vectors stored in blocks of dimensions, reading only the blocks that a query keeps.

The native extension serves it, or numpy where it is absent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

Blocks = NDArray[Any]  # (nblocks, n, width) float32, float16 or uint16 (bfloat16)


def block_scan(
    queries: Float32Array,  # (nq, nblocks * width)
    blocks: Blocks,
    inverse_norms: Float32Array | None,  # (n,) of whole rows, for cosine; None for dot
    kept: NDArray[np.int32],  # (nq, m) blocks that a query keeps, -1 for none
    allowed: Bitmap | None,
    out_rows: Int64Array,  # (nq, k)
    out_distances: Float32Array,
) -> None:
    """The k nearest rows to each query with every other block of it taken as zero, by dot or cosine."""
    if get_kernels().name == "native":
        from vecstore.kernels import _native

        _native.block_scan(queries, blocks, inverse_norms, kept, allowed, out_rows, out_distances)
    else:
        numpy_block_scan(queries, blocks, inverse_norms, kept, allowed, out_rows, out_distances)


def numpy_block_scan(
    queries: Float32Array,
    blocks: Blocks,
    inverse_norms: Float32Array | None,
    kept: NDArray[np.int32],
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
) -> None:
    """By the scan of whole rows, over the kept blocks put side by side."""
    width = blocks.shape[2]
    metric = Metric.DOT if inverse_norms is None else Metric.COSINE
    for q, query in enumerate(queries):
        mine = kept[q][kept[q] >= 0]
        rows = np.ascontiguousarray(blocks[mine].transpose(1, 0, 2)).reshape(blocks.shape[1], len(mine) * width)
        part = query.reshape(-1, width)[mine].reshape(1, -1)
        place = slice(q, q + 1)
        NumpyKernels().scan(metric, part, rows, inverse_norms, allowed, out_rows[place], out_distances[place])
