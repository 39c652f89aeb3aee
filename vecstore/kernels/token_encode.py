"""Encoding of token vectors, with the same bits on every backend: what is stored is compared byte for byte."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import token_pool_numpy
from vecstore.kernels.base import Float32Array, Int64Array, UInt8Array
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.places import entered
from vecstore.kernels.select import get_kernels
from vecstore.kernels.tokens_numpy import exact_products, rounded

_BLOCK = 1 << 10  # tokens whose products with all centroids are held at once
_LEAST = 1 << 22  # products that are worth a device
log = logging.getLogger("vecstore.device")


def nearest_centroids(tokens: Float32Array, centroids: UInt8Array, scales: Float32Array) -> NDArray[np.uint16]:
    """The centroid (T,) of the largest <b, c> * scale with each token (T, dim), of equal ones the first; b is the token
    rounded to bytes and c a centroid's bytes - 128, as in `kernels.tokens`."""
    place = entered()
    if place is not None and len(tokens) * len(centroids) >= _LEAST:
        try:
            return _on_device(place.device, tokens, centroids, scales)
        except MemoryError:
            log.warning("products with %d centroids do not fit into %s", len(centroids), place.device.name)
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


def _on_device(device: Device, tokens: Float32Array, centroids: UInt8Array, scales: Float32Array) -> NDArray[np.uint16]:
    """Products of bytes are exact, and each factor is rounded by itself: the same bits."""
    there, by = device.put((centroids ^ 128).view(np.int8)), device.put(scales)
    step = max(_BLOCK, device.score_bytes // (4 * len(centroids)))
    found = []
    for low in range(0, len(tokens), step):
        bytes_, steps = rounded(tokens[low : low + step])
        wide = np.zeros((len(bytes_), centroids.shape[1]), np.int8)
        wide[:, : bytes_.shape[1]] = bytes_
        products = device.products(there, device.put(wide)).astype(np.float32)
        nearest: Any = (device.put(steps[:, None]) * products * by).argmax(axis=1)
        found.append(device.get(nearest).astype(np.uint16))
    return np.concatenate(found)


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
