"""Encoding of token vectors, with the same bits on every backend: what is stored is compared byte for byte."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import token_pool_numpy
from vecstore.kernels.base import Float32Array, Int64Array, UInt8Array
from vecstore.kernels.places import Place, place_of
from vecstore.kernels.select import get_kernels
from vecstore.kernels.tokens_numpy import exact_products, rounded

_BLOCK = 1 << 10  # tokens whose products with all centroids are held at once


def nearest_centroids(tokens: Float32Array, centroids: UInt8Array, scales: Float32Array) -> NDArray[np.uint16]:
    """The centroid (T,) of the largest <b, c> * scale with each token (T, dim), of equal ones the first; b is the token
    rounded to bytes and c a centroid's bytes - 128, as in `kernels.tokens`. Of tokens on a device, there."""
    if (place := place_of(tokens)) is not None:
        return _on_device(place, tokens, centroids, scales)
    homes = np.empty(len(tokens), np.uint16)
    if get_kernels().name == "native":
        from vecstore.kernels import _native as native

        native.nearest_centroids(np.ascontiguousarray(tokens), centroids, scales, homes)
        return homes
    values = centroids[:, : tokens.shape[1]].astype(np.int32) - 128
    for low in range(0, len(tokens), _BLOCK):
        bytes_, steps = rounded(tokens[low : low + _BLOCK])
        products = exact_products(bytes_, values).astype(np.float32)
        homes[low : low + _BLOCK] = np.argmax((steps[:, None] * products) * scales, axis=1)
    return homes


def _on_device(place: Place, tokens: Float32Array, centroids: UInt8Array, scales: Float32Array) -> NDArray[np.uint16]:
    """Products of bytes are exact, and each factor is rounded by itself: the same bits."""
    device, xp = place.device, place.device.xp
    there, by = place.held(centroids, lambda: device.put((centroids ^ 128).view(np.int8))), device.put(scales)
    step = max(_BLOCK, device.score_bytes // (4 * len(centroids)))
    homes = xp.empty(len(tokens), np.uint16)
    for low in range(0, len(tokens), step):
        bytes_, steps = rounded(tokens[low : low + step])
        wide = xp.zeros((len(bytes_), centroids.shape[1]), np.int8)
        wide[:, : bytes_.shape[1]] = bytes_.astype(np.int8)
        products = device.products(there, wide).astype(np.float32)
        homes[low : low + step] = (steps[:, None] * products * by).argmax(axis=1).astype(np.uint16)
    found: NDArray[np.uint16] = homes
    return found


def pool_tokens(tokens: Float32Array, offsets: Int64Array, kept: int, out_offsets: Int64Array) -> Float32Array:
    """Tokens (T, dim) of the rows that `offsets` cut, pooled to as many as `out_offsets` cut: the first `kept` of a row
    as they are, then clusters of the others in order of their first token, by Ward's method on directions.

    A cluster has the direction of the mean of its tokens' directions and the mean of their lengths."""
    out = np.empty((int(out_offsets[-1]), tokens.shape[1]), np.float32)
    name = get_kernels().name
    if name == "native":
        from vecstore.kernels import _native as native

        native.pool_tokens(np.ascontiguousarray(tokens), offsets, kept, out_offsets, out)
    elif name == "numba":
        from vecstore.kernels import token_pool_numba

        token_pool_numba.pool_tokens(np.ascontiguousarray(tokens), offsets, kept, out_offsets, out)
    else:
        token_pool_numpy.pool_tokens(tokens, offsets, kept, out_offsets, out)
    return out
