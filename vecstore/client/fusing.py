"""Tuning a fusion: the answers of every leg, as the advice on fusions takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vecstore.errors import invalid
from vecstore.hits import Hits
from vecstore.query.filter import PointId
from vecstore.query.fusion import Listed


def as_listed(
    legs: Sequence[Sequence[Hits]], larger_is_near: Sequence[bool], relevant: Sequence[Mapping[PointId, float]]
) -> tuple[list[list[Listed]], list[dict[int, float]]]:
    """For each query the answer of each leg, and the gains, with numbers in place of ids."""
    counts = {len(leg) for leg in legs}
    if counts != {len(relevant)}:
        message = f"queries of {sorted(counts)} rows do not fit judgements of {len(relevant)} queries"
        raise invalid("BAD_ARGUMENT", message, "relevant")
    lists, gains = [], []
    for place, judged in enumerate(relevant):
        numbers: dict[PointId, int] = {}
        own = []
        for leg, large in zip(legs, larger_is_near, strict=True):
            hits = leg[place]
            keys = [numbers.setdefault(one, len(numbers)) for one in hits.ids.tolist()]
            own.append(Listed(np.array(keys, np.int64), hits.scores if large else -hits.scores))
        lists.append(own)
        gains.append({numbers.setdefault(one, len(numbers)): float(gain) for one, gain in judged.items() if gain > 0})
    return lists, gains
