"""What an index over codes says of itself: the spec, the segment it belongs to, the calibration. Stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index.calibration import Calibration
from vecstore.index.header import read_header
from vecstore.index_spec import IVF, Flat
from vecstore.schema import Metric, VectorField

VERSION = 1


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    n: int
    dim: int
    metric: Metric
    spec: IVF | Flat
    calibration: Calibration


def spill(spec: IVF | Flat) -> str:
    return spec.spill if isinstance(spec, IVF) else "none"


def open_header(field: VectorField, n: int, arrays: Mapping[str, np.ndarray]) -> Header:
    header = read_header(arrays, Header, "an index")
    got, wanted = (header.version, header.n, header.dim, header.metric), (VERSION, n, field.dim, field.metric)
    if got != wanted:
        raise Corruption(f"an index is of (version, rows, dim, metric) {got}, its segment of {wanted}")
    return header
