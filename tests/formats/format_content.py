"""What a fixture holds, written so that every version could write it: see make_fixture.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

DIM, SEALED, CHANGED, GROWING = 8, 80, 15, 6
ROWS = SEALED + GROWING
DELETED = range(40, 50)
WORDS = ("amber", "basalt", "cedar", "dune", "ember", "fjord", "glade")


def point_id(key: int) -> Any:
    """Ids of all kinds."""
    return (key, uuid.UUID(int=(7 << 64) + key), f"point/{key}")[key % 3]


def version(key: int) -> int:
    """How often a point was written before the last time."""
    return int(SEALED - CHANGED <= key < SEALED)


def vector(key: int) -> np.ndarray:
    """Distinct, exact in float16, too."""
    return np.array([key, version(key), *((key * step + step * step) % 61 for step in range(2, DIM))], np.float32)


def bits(key: int) -> np.ndarray:
    return np.array([key % 256, 3 * key % 256], np.uint8)


def sparse(key: int) -> dict[int, float]:
    return {key: 1.0, 1_000 + key % 9: float(1 + key % 5), 70_000 + key % 4: 0.5}


def text(key: int) -> str:
    return " ".join((WORDS[key % 7], WORDS[key * 3 % 7], WORDS[key // 7 % 7]))


def tokens(key: int) -> np.ndarray:
    return np.stack([vector(key)[:4] + step for step in range(1 + key % 3)])


def payload(key: int) -> dict[str, Any]:
    return {"n": key, "colour": WORDS[key % 7], "v": version(key), "deep": {"list": [key, None, "é"]}}


FIELDS: dict[str, Callable[[int], Any]] = {
    "exact": vector,
    "lists": vector,
    "graph": vector,
    "bits": bits,
    "terms": sparse,
    "words": text,
    "many": tokens,
}
LIVE = [key for key in range(ROWS) if key not in DELETED]
