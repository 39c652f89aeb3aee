"""What a graph index says of itself: the spec, the segment it belongs to, the calibration. Stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index.graph_calibration import WalkTable
from vecstore.index.header import read_header
from vecstore.index_spec import Graph
from vecstore.schema import Metric, VectorField

NAME = "a graph index"
VERSION = 1


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    n: int
    dim: int
    metric: Metric
    spec: Graph
    table: WalkTable


def open_header(field: VectorField, n: int, arrays: Mapping[str, np.ndarray]) -> Header:
    header = read_header(arrays, Header, NAME)
    got, wanted = (header.version, header.n, header.dim, header.metric), (VERSION, n, field.dim, field.metric)
    if got != wanted:
        raise Corruption(f"{NAME} is of (version, rows, dim, metric) {got}, its segment of {wanted}")
    return header
