"""Codebooks of product quantization: k-means in each subspace, by faiss."""

from __future__ import annotations

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.kernels.base import Float32Array

ITERATIONS = 25
SAMPLE_PER_CENTROID = 256  # more rows than that are of no use


def train_codebooks(sample: Float32Array, m: int, bits: int, seed: int) -> Float32Array:
    """Centroids (m, 2**bits, ds) of the m subspaces of `sample` (n, m * ds), in float32.

    Raises InvalidArgument when faiss is not installed or there is no row."""
    try:
        import faiss
    except ImportError:
        raise InvalidArgument(
            "product quantization is trained by faiss, which is not installed: pip install 'vecstore[train]'",
            reason="BAD_INDEX_SPEC",
        ) from None
    size = 1 << bits
    if len(sample) == 0:
        raise InvalidArgument("product quantization needs a sample to train on, not 0 rows", reason="BAD_INDEX_SPEC")
    if len(sample) < size:  # every row becomes a centroid, some of them more than once
        sample = np.resize(sample, (size, sample.shape[1]))
    quantizer = faiss.ProductQuantizer(sample.shape[1], m, bits)
    quantizer.cp.niter = ITERATIONS
    quantizer.cp.seed = seed & 0x7FFFFFFF
    quantizer.cp.max_points_per_centroid = SAMPLE_PER_CENTROID
    quantizer.cp.min_points_per_centroid = 1  # faiss would only warn
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the same codebooks everywhere; and many threads only wait in problems this small
    try:
        quantizer.train(np.ascontiguousarray(sample))
    finally:
        faiss.omp_set_num_threads(threads)
    codebooks: Float32Array = faiss.vector_to_array(quantizer.centroids).reshape(m, size, -1)
    return codebooks
