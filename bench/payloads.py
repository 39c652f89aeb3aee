"""Payloads as columns of integers, and answers of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Payload = dict[str, np.ndarray]  # field to (n,) integers


def payloads(columns: Payload, low: int, high: int) -> list[dict[str, int]]:
    """Of rows `low` to `high`; empty ones where there are no columns."""
    lists = {name: values[low:high].tolist() for name, values in columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(high - low)]


def stacked(answers: Sequence[Sequence[int] | np.ndarray], k: int = 0) -> np.ndarray:
    """(n, k) with -1 for none; k is the longest answer's length unless it is given."""
    found = np.full((len(answers), k or max(map(len, answers), default=0)), -1, np.int64)
    for row, answer in zip(found, answers, strict=True):
        row[: len(answer)] = answer
    return found
