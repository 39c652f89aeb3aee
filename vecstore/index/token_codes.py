"""Tokens in fewer bits: what is learned from a sample, codes of all of them, and both as stored arrays.

Centroids are spherical k-means of unit tokens, held as bytes; residuals from them have one set of levels for all
dimensions, Lloyd's for one dimension from quantiles on (ColBERTv2 takes the quantiles). A code's scale brings it as
near to its token as it gets, <x, code> / |code|^2, so that what is lost makes it shorter; all are multiplied by what
makes tokens' components along themselves right on average. RaBitQ's |x|^2 / <x, code>, by which each is right, errs the
most for the worst codes, and the largest of many products is taken here. Scales of tokens of about one length differ so
little that a byte says which of 256 values each has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import Progress
from vecstore.index.kmeans import normalize, update
from vecstore.index_spec import TokenStore
from vecstore.kernels import encode, token_encode
from vecstore.kernels.base import Float32Array, UInt8Array
from vecstore.kernels.places import ahead, by_batches, in_parts, like, quotients, xp_of
from vecstore.kernels.token_lists import packed_lists
from vecstore.kernels.tokens import Bits, Centroids, Codes, TokenCodes, code_bytes
from vecstore.kernels.tokens_numpy import rounded
from vecstore.schema import Metric
from vecstore.tokens import TokenRows

ITERATIONS = 5
POINTS_PER_CENTROID = 32
SAMPLE_MIN = 1 << 15
CENTROIDS_MAX = 1 << 16
_BATCH = 1 << 14  # tokens
_LEVEL_ITERATIONS = 20
_LEVEL_SAMPLE = 1 << 20  # components
SPREAD_MAX = 4  # between the scales of an index: the values of a byte are then within 0.3 % of them
BITS: dict[TokenStore, int] = {
    "stored": 0, "int8": 8, "residual1": 1, "residual2": 2, "residual4": 4, "residual8": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Learned:
    """Centroids where any are used; levels where codes are residuals of 1, 2 or 4 bits, a step for 8 bits of them."""

    bits: int  # 0: no codes
    centroids: UInt8Array | None
    scales: Float32Array | None
    levels: UInt8Array
    step: float


def centroid_count(tokens: int) -> int:
    """2^floor(log2(16 sqrt(tokens))), as in ColBERTv2, where there are as many points for each."""
    wanted = 1 << int(math.log2(16 * math.sqrt(max(1, tokens))))
    return max(1, min(CENTROIDS_MAX, wanted, tokens // 8))


def learn(sample: Float32Array, centroids: int, bits: int, progress: Progress, seed: int = 0) -> Learned:
    """From tokens (t, dim) of any length, t >= centroids; 0 centroids: none."""
    if not centroids:
        return Learned(bits, None, None, np.full(16, 128, np.uint8), 1.0)
    unit = sample.copy()
    normalize(unit)
    rng = np.random.default_rng(seed)
    found = unit[np.sort(rng.choice(len(unit), centroids, replace=False))]
    coded, scales = _as_bytes(found)
    for iteration in range(ITERATIONS):
        progress("train centroids", iteration, ITERATIONS)
        homes = _homes(unit, coded, scales)
        coded, scales = _as_bytes(update(Metric.DOT, unit, None, homes, centroids))
    levels, step = np.full(16, 128, np.uint8), 1.0
    if bits:
        some = unit[: max(1, _LEVEL_SAMPLE // unit.shape[1])]
        residuals = (some - widened(coded, scales, unit.shape[1])[_homes(some, coded, scales)]).ravel()
        levels, step = _levels(residuals.astype(np.float64), bits)
    return Learned(bits, coded, scales, levels, step)


def _homes(unit: Float32Array, coded: UInt8Array, scales: Float32Array) -> NDArray[np.int64]:
    return by_batches(unit, lambda some: token_encode.nearest_centroids(some, coded, scales)).astype(np.int64)


def widened(coded: UInt8Array, scales: Float32Array, dim: int) -> Float32Array:
    """Centroids (C, dim) as floats."""
    out: Float32Array = (coded[:, :dim].astype(np.float32) - np.float32(128)) * scales[:, None]
    return out


def _as_bytes(centroids: Float32Array) -> tuple[UInt8Array, Float32Array]:
    values, steps = rounded(centroids)
    width = (centroids.shape[1] + 3) // 4 * 4
    out = np.full((len(centroids), width), 128, np.uint8)
    out[:, : centroids.shape[1]] = values + 128
    return out, steps


def _levels(residuals: NDArray[np.float64], bits: int) -> tuple[UInt8Array, float]:
    """2^bits bytes and the step that they count in."""
    if bits == 8:
        most = float(np.quantile(np.abs(residuals), 0.9999)) if len(residuals) else 1.0
        return np.full(16, 128, np.uint8), max(most, 1e-6) / 127
    residuals = np.sort(residuals)
    count = 1 << bits
    levels = np.quantile(residuals, (np.arange(count) + 0.5) / count)
    sums = np.concatenate([[0.0], np.cumsum(residuals)])
    for _ in range(_LEVEL_ITERATIONS):
        cuts = np.searchsorted(residuals, (levels[1:] + levels[:-1]) / 2)
        ends = np.concatenate([[0], cuts, [len(residuals)]])
        held = np.diff(ends)
        levels = np.where(held > 0, np.diff(sums[ends]) / np.maximum(held, 1), levels)
    step = float(max(np.abs(levels).max(), 1e-6)) / 127
    out = np.full(16, 128, np.uint8)
    out[:count] = np.rint(levels / step).astype(np.int64) + 128
    return out, step


def batches(rows: TokenRows, size: int = _BATCH) -> Iterator[tuple[int, Float32Array]]:
    """(number of the first token, float32 tokens), in order."""
    for low in range(0, len(rows.tokens), size):
        yield low, rows.tokens[low : low + size].astype(np.float32)


def encode_rows(rows: TokenRows, learned: Learned, progress: Progress, listed: bool = True) -> TokenCodes:
    """With the rows at each centroid where they are to be `listed`."""
    total, dim = rows.tokens.shape
    homes = np.empty(total, np.uint16)
    bits = cast(Bits, learned.bits or 8)
    codes = np.empty((total, code_bytes(dim, bits) if learned.bits else 0), np.uint8)
    scales, shares = np.empty(total, np.float32), np.zeros(_BATCH)
    told = 0.0  # squared cosines of tokens and their codes
    encode_some = partial(_encoded, learned, _near(learned, dim))
    for low, tokens in ahead(batches(rows)):
        progress("encode", low, total)
        for part, found in in_parts(tokens, None, encode_some):
            own = slice(low + part.start, low + part.stop)
            homes[own] = found.get("homes", 0)
            if learned.bits:
                codes[own], scales[own], shares[part] = found["codes"], found["scales"], found.get("shares", 0)
        told += float(shares[: len(tokens)].sum())
    shared = None
    if learned.centroids is not None and learned.scales is not None:
        count = len(learned.centroids)
        lists = _lists(rows.offsets, homes, count) if listed else no_lists(count)
        shared = Centroids(homes, learned.centroids, learned.scales, *lists)
    if not learned.bits:
        return TokenCodes(dim, rows.offsets, shared, None)
    narrow, values_of = (scales, None) if learned.centroids is None else narrowed(_halves(scales, told))
    return TokenCodes(dim, rows.offsets, shared, Codes(bits, codes, narrow, learned.levels, learned.step, values_of))


def _near(learned: Learned, dim: int) -> Float32Array | None:
    if learned.centroids is None or learned.scales is None:
        return None
    return widened(learned.centroids, learned.scales, dim)


def _encoded(learned: Learned, near: Float32Array | None, tokens: Float32Array, _: object) -> dict[str, Any]:
    """Of tokens (t, dim), where they are: their centroids, codes and scales, and squared cosines of both."""
    if learned.centroids is None or learned.scales is None or near is None:
        values, scales = rounded(tokens)
        return {"codes": packed((values + 128).astype(np.uint8), 8), "scales": scales}
    homes = token_encode.nearest_centroids(tokens, learned.centroids, learned.scales)
    if not learned.bits:
        return {"homes": homes}
    return {"homes": homes, **_residuals(tokens, like(tokens, near)[homes.astype(np.int64)], learned)}


def _residuals(tokens: Float32Array, near: Float32Array, learned: Learned) -> dict[str, Any]:
    """Packed codes of tokens near points (t, dim), scales that bring them nearest, and squared cosines of both."""
    lengths = np.sqrt(encode.row_dots(tokens, tokens))
    unit = (tokens / np.maximum(lengths, 1e-30)[:, None]).astype(np.float32)
    step = np.float32(learned.step)
    if learned.bits == 8:
        numbers = (np.clip(np.rint((unit - near) / step), -127, 127) + 128).astype(np.uint8)
        values = numbers.astype(np.float32) - np.float32(128)
    else:
        levels = learned.levels[: 1 << learned.bits].astype(np.float32) - np.float32(128)
        bounds = ((levels[1:] + levels[:-1]) / 2 * step).astype(np.float32)
        ones = xp_of(unit).ones(len(unit), np.float32)
        numbers = encode.level_codes(unit - near, ones, bounds).astype(np.uint8)
        values = like(unit, levels)[numbers]
    coded = near + values * step
    along, squares = encode.row_dots(unit, coded), encode.row_dots(coded, coded)
    nearest = quotients(along, squares, along > 1e-6, 0)
    return {"codes": packed(numbers, learned.bits), "scales": lengths * nearest, "shares": along * nearest}


def _halves(scales: Float32Array, told: float) -> NDArray[np.float16]:
    """Scales by which tokens' components along themselves are right on average."""
    mean = told / max(1, int(np.count_nonzero(scales)))
    wide = np.divide(scales, mean or 1.0, dtype=np.float64)
    return np.minimum(wide, float(np.finfo(np.float16).max)).astype(np.float16)


def narrowed(scales: NDArray[np.float16]) -> tuple[NDArray[Any], Float32Array | None]:
    """Scales (T,) >= 0 as bytes and what these stand for (256,), byte 0 for 0; as they are where too unlike."""
    some = scales[scales > 0]
    if not len(some):
        return np.zeros(len(scales), np.uint8), np.zeros(256, np.float32)
    least, most = float(some.min()), float(some.max())
    if most > SPREAD_MAX * least:
        return scales, None
    values = np.zeros(256, np.float32)
    values[1:] = least * (most / least) ** (np.arange(255) / 254)
    halves = np.arange(1 << 15, dtype=np.uint16).view(np.float16)  # all that are not negative
    nearest = np.searchsorted((values[1:-1] + values[2:]) / 2, halves.astype(np.float32)) + 1
    nearest[0] = 0
    return nearest.astype(np.uint8)[scales.view(np.uint16)], values


def packed(numbers: UInt8Array, bits: int) -> UInt8Array:
    """Fields (t, dim) in planes, see `kernels.tokens`, where they are; 8 bits are padded with 128."""
    total, dim = numbers.shape
    width = code_bytes(dim, bits)
    planes = 8 // bits
    xp = xp_of(numbers)
    room = xp.full((total, planes * width), 128 if bits == 8 else 0, np.uint8)
    room[:, :dim] = numbers
    out: UInt8Array = xp.zeros((total, width), np.uint8)
    for plane in range(planes):
        out |= room[:, plane * width : (plane + 1) * width] << np.uint8(plane * bits)
    return out


def _lists(offsets: NDArray[np.int64], homes: NDArray[np.uint16], count: int) -> tuple[NDArray[np.int64], UInt8Array]:
    """For each centroid the rows that have a token at it."""
    rows = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))
    keys = np.unique(homes.astype(np.int64) << 32 | rows)
    starts = np.searchsorted(keys, np.arange(count + 1, dtype=np.int64) << 32)
    return packed_lists(starts.astype(np.int64), keys & 0xFFFFFFFF)


def no_lists(count: int) -> tuple[NDArray[np.int64], UInt8Array]:
    """Of tokens that are not listed."""
    return np.zeros(count + 1, np.int64), np.empty(0, np.uint8)
