"""What plain numpy answers, worked out once for all backends compared with it: it takes longer than they do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import xxhash

Answer = TypeVar("Answer")
_kept: dict[Hashable, Any] = {}


def once(function: Callable[..., Answer], *given: object) -> Answer:
    """function(*given), kept by the contents of what is given. Nobody may write to the answer."""
    key = (function, *map(_key, given))
    if key not in _kept:
        _kept[key] = function(*given)
    return _kept[key]  # type: ignore[no-any-return]


def _key(one: Any) -> Hashable:
    if isinstance(one, np.ndarray):
        return str(one.dtype), one.shape, xxhash.xxh3_128_digest(np.ascontiguousarray(one).tobytes())
    if dataclasses.is_dataclass(one):
        return type(one), tuple(_key(getattr(one, field.name)) for field in dataclasses.fields(one))
    hash(one)
    return type(one), one
