"""Small parts of queries: the one vector, integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.errors import invalid
from vecstore.pb.v1 import common_pb2
from vecstore.rows import GivenRows
from vecstore.wire.given import given_rows, widen
from vecstore.wire.vectors import vector_from_pb


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
