"""Small parts of messages: the one vector of a query, integers, members of enumerations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from vecstore.errors import InvalidArgument, invalid
from vecstore.pb.v1 import common_pb2
from vecstore.rows import GivenRows
from vecstore.wire.given import given_rows, widen
from vecstore.wire.vectors import vector_from_pb

M = TypeVar("M")


def query_vector(message: common_pb2.Vector, path: str) -> GivenRows:
    vector = vector_from_pb(message, path)
    if isinstance(vector, np.ndarray) and vector.ndim == 1:
        return widen(vector)
    return given_rows([vector], path)


def set_int(message: Any, name: str, value: int) -> None:
    try:
        setattr(message, name, value)
    except ValueError:
        problem = f"{name} is {value}, outside int64"
        raise invalid("LIMIT_EXCEEDED", problem, name) from None


def known(members: Mapping[Any, M], number: int, path: str) -> M:
    """The member with this number. Raises InvalidArgument."""
    try:
        return members[number]
    except KeyError:
        message = f"{path} is {number}, which is unknown"
        raise InvalidArgument(message, field_violations=[(path, message)]) from None


def both_given(one: str, other: str) -> InvalidArgument:
    message = f"{one} and {other} are both given: give one"
    return InvalidArgument(message, field_violations=[(one, message)])
