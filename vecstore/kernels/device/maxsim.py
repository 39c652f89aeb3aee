"""Late interaction: products of all tokens of a chunk of documents with all tokens of all queries, the largest of each
document, summed over a query's tokens. Source: specs, gpu section 4.6.

Query tokens meet float16 tokens as the sum of two float16 vectors, which together hold 22 bits: the scores are those of
float32 sums, and nothing has to be scored again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.dense import lower
from vecstore.kernels.device.masks import mask_of
from vecstore.kernels.device.nearest import Nearest, write_answers
from vecstore.tokens import TokenRows


def upload(device: Device, rows: TokenRows) -> dict[str, Any]:
    return {"tokens": device.put(np.ascontiguousarray(rows.tokens))}


def scan(
    device: Device,
    held: Mapping[str, Any],
    queries: TokenRows,
    rows: TokenRows,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
) -> None:
    xp = device.xp
    asked = [device.put(part) for part in _two_parts(queries.tokens.astype(np.float32), rows.tokens.dtype)]
    members = np.zeros((len(queries), len(queries.tokens)), np.float32)
    members[np.repeat(np.arange(len(queries)), np.diff(queries.offsets)), np.arange(len(queries.tokens))] = 1
    summing = device.put(members)
    mask = None if allowed is None else mask_of(device, allowed, len(rows))
    nearest = Nearest(device, len(queries), out_rows.shape[1])
    for listed in _chunks(device, rows, max(1, len(queries.tokens))):
        starts = rows.offsets[np.append(listed, listed[-1] + 1)]
        tokens = held["tokens"][int(starts[0]) : int(starts[-1])]
        products = device.products(tokens, asked[0]) * asked[1]
        if len(asked) > 2:
            products = products + device.products(tokens, asked[2]) * asked[3]
        best = device.largest_of_runs(products, device.put(starts - starts[0]))
        numbers = device.put(listed)
        distances = -xp.matmul(summing, best)
        if mask is not None:
            distances = xp.where(mask[numbers], distances, np.float32(np.nan))
        nearest.add(distances, numbers)
    found = [device.get(column) for column in nearest.kept()]
    write_answers(found[0], found[1], found[2], out_rows, out_distances)


def _two_parts(tokens: Float32Array, dtype: np.dtype[Any]) -> list[np.ndarray]:
    """Arrays and scales whose products add up to those of the tokens."""
    first = lower(tokens, dtype)
    if dtype == np.float32:
        return [first.array, first.scale]
    rest = lower(tokens - first.array.astype(np.float32) * first.scale, dtype)
    return [first.array, first.scale, rest.array, rest.scale]


def _chunks(device: Device, rows: TokenRows, query_tokens: int) -> Iterator[Int64Array]:
    """Runs of neighbouring documents that have tokens, int64, whose scores stay in the device's cache."""
    listed = np.flatnonzero(np.diff(rows.offsets))
    bound = max(1024, device.score_bytes // (4 * query_tokens))
    low = 0
    while low < len(listed):
        ends = rows.offsets[listed[low:] + 1] - rows.offsets[listed[low]]
        count = max(1, int(np.searchsorted(ends, bound, side="right")))
        yield listed[low : low + count]
        low += count
