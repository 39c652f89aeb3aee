"""The one vector of a query."""

from __future__ import annotations

import numpy as np

from vecstore.pb.v1 import common_pb2
from vecstore.rows import GivenRows
from vecstore.wire.vectors import OneVector, given_rows, given_vectors, vector_from_pb, widen


def only(given: GivenRows) -> OneVector:
    """The vector of a request with one query."""
    return given if isinstance(given, np.ndarray) else given_vectors(given)[0]


def query_vector(message: common_pb2.Vector, path: str) -> GivenRows:
    vector = vector_from_pb(message, path)
    if isinstance(vector, np.ndarray) and vector.ndim == 1:
        return widen(vector)
    return given_rows([vector], path)
