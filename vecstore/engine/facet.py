"""Counting the values of a payload key: by the key's index where it holds them, else by payloads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from pyroaring import BitMap

from vecstore.engine import bitmaps
from vecstore.engine.segment import SegmentView
from vecstore.kernels.base import Bitmap
from vecstore.query.bitmaps import all_rows, bitmap_from_words
from vecstore.query.filter import Scalar
from vecstore.query.group_values import Value, group_values
from vecstore.query.path import found_at, parse_path, values_of
from vecstore.query.payload_index import FieldIndex
from vecstore.schema import FieldKind

Counts: TypeAlias = Counter[Value]


def count_values(view: SegmentView, allowed: Bitmap, key: str, counts: Counts) -> None:
    """Add how many of the allowed rows have each value."""
    index = view.field_index(key)
    held = None if index is None else index.value_entries()
    if index is None or held is None:
        _scan(view, bitmap_from_words(allowed), key, None, counts)
        return
    rows, numbers, values = held
    kept = rows < view.n_rows
    rows, numbers = rows[kept], numbers[kept]
    kept = bitmaps.are_set(allowed, rows.astype(np.int64))
    for number, count in _distinct(numbers[kept], rows[kept]):
        counts[False, values(number)] += count
    foreign = index.foreign_rows() & all_rows(view.n_rows)
    if foreign:
        foreign &= bitmap_from_words(allowed)
        _scan(view, foreign, key, index, counts)


def _distinct(numbers: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """How many rows have each number; a row counts once. Numbers that ascend have ascending rows."""
    if not (numbers[1:] >= numbers[:-1]).all():
        order = np.lexsort((rows, numbers))
        numbers, rows = numbers[order], rows[order]
    other = numbers[1:] != numbers[:-1]
    first = np.concatenate([np.ones(min(1, len(rows)), bool), other | (rows[1:] != rows[:-1])])
    starts = np.concatenate([np.zeros(min(1, len(rows)), np.int64), np.flatnonzero(other) + 1])
    found = np.add.reduceat(first, starts, dtype=np.int64) if len(starts) else starts
    return zip(numbers[starts].tolist(), found.tolist(), strict=True)


def _scan(view: SegmentView, rows: BitMap, key: str, index: FieldIndex | None, counts: Counts) -> None:
    """By payloads; only values that `index` does not hold."""
    path = parse_path(key)
    for _, payload in view.payloads(rows):
        for is_bool, value in group_values(values_of(found_at(payload, path))) if payload else ():
            held = index is not None and not is_bool and isinstance(value, str) == (index.kind is FieldKind.KEYWORD)
            if not held:
                counts[is_bool, value] += 1


def most_frequent(counts: Counts, limit: int) -> list[tuple[Scalar, int]]:
    return [(value, count) for (_, value), count in sorted(counts.items(), key=_order)[:limit]]


def _order(one: tuple[Value, int]) -> tuple[Any, ...]:
    """The most frequent first, then booleans, numbers, strings."""
    (is_bool, value), count = one
    return -count, not is_bool, isinstance(value, str), value
