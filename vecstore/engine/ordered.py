"""Points in the order of a payload key, and samples of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.ids import encode_id
from vecstore.engine.number_columns import NumberColumns
from vecstore.engine.recommend import every_key
from vecstore.engine.row_keys import by_segment, key_of, ranked_of, rows_of
from vecstore.engine.search import Ranked, ordered_ties
from vecstore.engine.segment import SegmentView
from vecstore.kernels.base import Bitmap, Int64Array
from vecstore.query.filter import PointId
from vecstore.ranking import LARGEST, OrderBy, Sample

SCORE_MAX = float(np.finfo(np.float32).max)  # an infinite one could not be fused, nor written as JSON


def ordered(view: View, numbers: NumberColumns, allowed: Mapping[int, Bitmap], order: OrderBy, k: int) -> Ranked:
    """The first k of the allowed rows, by place of the segment. Distances are the values, negated when descending."""
    sign = -1.0 if order.descending else 1.0
    keys, values = [np.empty(0, np.int64)], [np.empty(0)]
    for place, words in allowed.items():
        segment = view.segments[place]
        own = bitmaps.set_bits(words)
        found = numbers.values(segment, own, order.key, order.datetime, order.descending)
        found = sign * np.clip(found, -LARGEST, LARGEST)  # integers beyond float64 are numbers, too
        there = ~np.isnan(found)
        own, found = own[there], found[there]
        if order.start is not None:
            own, found = _from(segment, own, found, sign * order.start, order.after)
        first = _first(found, k, segment.segment.sorted_by_id)
        keys.append(key_of(place, own[first]))
        values.append(found[first])
    all_keys, all_values = np.concatenate(keys), np.concatenate(values)
    at = np.argsort(all_values, kind="stable")
    all_keys, all_values = all_keys[at], all_values[at]
    at = ordered_ties(view, ranked_of(all_keys, all_values), k)[:k]  # type: ignore[arg-type]  # only compared
    return ranked_of(all_keys[at], np.clip(all_values[at], -SCORE_MAX, SCORE_MAX).astype(np.float32))


def _from(
    segment: SegmentView, rows: Int64Array, values: NDArray[np.float64], start: float, after: PointId | None
) -> tuple[Int64Array, NDArray[np.float64]]:
    kept = values >= start
    if after is not None:
        later = segment.segment.rows_after(after, segment.n_rows)
        if segment.segment.sorted_by_id:
            first = next(iter(later), None)
            is_later = rows >= (segment.n_rows if first is None else first[1])
        else:
            is_later = np.isin(rows, [row for _, row in later])
        kept &= (values > start) | is_later
    return rows[kept], values[kept]


def _first(values: NDArray[np.float64], k: int, by_row: bool) -> Int64Array:
    """Places that may be among the k first; equal values are in order where `by_row`."""
    if len(values) <= k:
        return np.arange(len(values))
    if by_row:
        return np.argsort(values, kind="stable")[:k]
    return np.flatnonzero(values <= np.partition(values, k - 1)[k - 1])


def sampled(view: View, allowed: Mapping[int, Bitmap], sample: Sample, k: int) -> Ranked:
    """k of the allowed rows. With a seed, those whose ids hash lowest, so that the same points give the same sample
    whatever segments they are in."""
    keys = every_key(allowed)
    if sample.seed is None:
        chosen = keys[np.random.default_rng().permutation(len(keys))[:k]]
    else:
        hashes = np.empty(len(keys), np.uint64)
        for place, at in by_segment(keys):
            hashes[at] = _hashes(view.segments[place].segment.take_ids(rows_of(keys[at])), sample.seed)
        chosen = keys[np.argsort(hashes, kind="stable")[:k]]
    return ranked_of(chosen, np.zeros(len(chosen), np.float32))


def _hashes(ids: np.ndarray, seed: int) -> NDArray[np.uint64]:
    """Of (id, seed), by the finalizer of splitmix64 (Steele, Lea & Flood 2014)."""
    if ids.dtype == np.uint64:
        mixed = ids.copy()
    else:
        encoded = [encode_id(one) for one in ids.tolist()]
        mixed = np.array([zlib.crc32(one) << 32 | zlib.crc32(one[::-1]) for one in encoded], np.uint64)
        numbers = np.array([isinstance(one, int) for one in ids.tolist()], bool)
        mixed[numbers] = ids[numbers].astype(np.uint64)
    mixed += np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    hashes: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return hashes
