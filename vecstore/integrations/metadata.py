"""Metadata as frameworks have it: filters that are plain dictionaries, scores from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vecstore.client.filters import FilterLike
from vecstore.query.builder import F
from vecstore.query.parse import KEYED, UNKEYED
from vecstore.query.validate import GROUPS
from vecstore.schema import Metric

_WORDS = {*KEYED, *UNKEYED, *GROUPS}


def as_metadata_filter(given: FilterLike | None) -> FilterLike | None:
    """{"lang": "en", "year": [2024, 2025]}, all of which must match, as a filter; a filter as it is. A dictionary with
    a word of filters among its keys (docs/FILTERS.md), such as "must", is a filter."""
    if not isinstance(given, Mapping) or not given or any(key in _WORDS for key in given):
        return given
    return F.all(*(_equals(key, value) for key, value in given.items()))


def _equals(key: str, value: Any) -> Any:
    if value is None:
        return F(key).is_empty()
    return F(key).in_(value) if isinstance(value, list | tuple | set) else F(key).eq(value)


def relevance(metric: Metric, score: float) -> float:
    """A score of a dense field from 0 to 1, 1 nearest: (1 + s) / 2 of a cosine, 1 / (1 + d) of a distance, and of an
    inner product the logistic function."""
    if metric is Metric.COSINE:
        return min(max((1 + score) / 2, 0.0), 1.0)
    if metric is Metric.L2:
        return 1 / (1 + score)
    return 0.5 * (1 + math.tanh(score / 2))
