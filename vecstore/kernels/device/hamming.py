"""Exact Hamming scans: counts of differing bits, or for many queries products of plus and minus ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, UInt8Array
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.dense import chunks
from vecstore.kernels.device.masks import listed, mask_of
from vecstore.kernels.device.nearest import Nearest, write_answers

MANY = 32  # queries from which products of int8 cost less than counting; specs, gpu section 4.3


def upload(device: Device, rows: UInt8Array) -> dict[str, Any]:
    return {"words": device.put(as_words(rows))}


def as_words(rows: UInt8Array) -> np.ndarray:
    """(n, ceil(bytes / 4)) uint32; the bytes added are zero."""
    wide = np.zeros((len(rows), -(-rows.shape[1] // 4) * 4), np.uint8)
    wide[:, : rows.shape[1]] = rows
    return wide.view(np.uint32)


def scan(
    device: Device,
    held: Mapping[str, Any],
    queries: UInt8Array,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
) -> None:
    xp, words = device.xp, held["words"]
    asked = device.put(as_words(queries))
    signs = _signs(xp, asked) if len(queries) >= MANY else None
    nearest = Nearest(device, len(queries), out_rows.shape[1])
    few = listed(device, allowed, len(words))
    mask = None if allowed is None or few is not None else mask_of(device, allowed, len(words))
    for part in chunks(device, len(words) if few is None else len(few), len(queries)):
        numbers = xp.arange(part.start, part.stop) if few is None else few[part]
        rows = words[part] if few is None else words[numbers]
        if signs is None:
            distances = device.differing(rows, asked)
        else:
            distances = (signs.shape[1] - device.products(_signs(xp, rows), signs)) / 2
        if mask is not None:
            distances = xp.where(mask[part], distances, np.float32(np.nan))
        nearest.add(distances, numbers)
    found = [device.get(column) for column in nearest.kept()]
    write_answers(found[0], found[1], found[2], out_rows, out_distances)


def _signs(xp: Any, words: Any) -> Any:
    """int8 (n, bits): 1 for a set bit, -1 for another, in any order that is the same for all."""
    bits = xp.unpackbits(words.view(np.uint8).ravel()).reshape(len(words), -1)
    return (2 * bits.astype(np.int8) - 1).astype(np.int8)
