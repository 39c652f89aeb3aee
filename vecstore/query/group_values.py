"""The values of a payload key that points are grouped and counted by: strings, integers of 64 bits, booleans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from vecstore.query.filter import Scalar
from vecstore.query.index_numbers import exact_int64
from vecstore.query.match import is_number

Value: TypeAlias = tuple[bool, Scalar]  # whether it is a boolean (True equals 1), and the value


def group_values(values: Sequence[Any]) -> tuple[Value, ...]:
    """Each once, in their order."""
    found: dict[Value, None] = {}
    for value in values:
        if is_number(value):
            value = exact_int64(value)
        if isinstance(value, str | int):
            found[isinstance(value, bool), value] = None
    return tuple(found)
