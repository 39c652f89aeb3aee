"""Whatever a user may pass as a filter, to a `Filter`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from vecstore.config import Limits
from vecstore.query.filter import Condition, Filter
from vecstore.query.parse import parse_filter

FilterLike: TypeAlias = Filter | Condition | Mapping[str, Any] | Sequence[Any]


def as_filter(value: FilterLike | None, limits: Limits) -> Filter | None:
    """A filter from an expression such as F("year").gte(2020), or dictionaries. Raises InvalidArgument (BAD_FILTER)."""
    return None if value is None else parse_filter(value, limits)
