"""Whatever a user may pass as a filter, to a `Filter`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

from vecstore.query.parse import parse_filter

from vecstore.errors import InvalidArgument
from vecstore.query.filter import Condition, Filter

FilterLike: TypeAlias = Filter | Condition | Mapping[str, Any]

_CONDITIONS = tuple(get_args(Condition))


def as_filter(value: FilterLike | None) -> Filter | None:
    """A filter from a `Filter`, one condition, an expression such as F("year") >= 2020, or a dictionary.

    Raises InvalidArgument (BAD_FILTER) for anything else.
    """
    if value is None or isinstance(value, Filter):
        return value
    if isinstance(value, _CONDITIONS):
        return Filter(must=(value,))
    if isinstance(value, Mapping):
        return parse_filter(value)
    message = f"a filter must be a Filter, an F expression or a dictionary, not {type(value).__name__}"
    raise InvalidArgument(message, reason="BAD_FILTER")
