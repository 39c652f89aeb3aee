"""What the file formats share: names of columns, kinds of ids, dtypes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.query.filter import PointId
from vecstore.schema import DataType, Metric, VectorField, VectorKind

ID, ID_KIND, PAYLOAD = "id", "id_kind", "payload"  # columns of the files written here
KIND_KEY = "vecstore.kind"  # in the metadata of a column of sparse vectors: the kind of field it was

IdKinds: TypeAlias = Sequence[str]  # of "num", "uuid", "str": the kinds of id in what is exported, in this order


def vector_field_of(dtype: np.dtype[np.generic], width: int) -> VectorField:
    """The field that holds rows of this dtype: bytes and bools are binary, other numbers dense."""
    if dtype == np.uint8 or dtype == np.bool_:
        bits = width * 8 if dtype == np.uint8 else width
        return VectorField(VectorKind.BINARY, bits, Metric.HAMMING)
    return VectorField(VectorKind.DENSE, width, Metric.COSINE)


def sparse_field() -> VectorField:
    return VectorField(VectorKind.SPARSE, 0, Metric.DOT)


def multi_field(dtype: np.dtype[np.generic], dim: int) -> VectorField:
    half = DataType.FLOAT16 if dtype == np.float16 else DataType.FLOAT32
    return VectorField(VectorKind.MULTI, dim, Metric.MAXSIM, half)


def text_field() -> VectorField:
    return VectorField(VectorKind.TEXT, 0, Metric.BM25)


def number_ids(start: int, count: int) -> list[PointId]:
    return list(itertools.islice(itertools.count(start), count))


def suffix_of(path: Path, known: Mapping[str, object]) -> str:
    suffix = path.suffix.lower()
    if suffix not in known:
        message = f"{path} has an unknown format {suffix or 'without a suffix'}; known: {', '.join(sorted(known))}"
        raise InvalidArgument(message, reason="BAD_FILE")
    return suffix


def exported_dtype(field: VectorField) -> np.dtype[np.generic]:
    """The dtype of exported rows: as stored, bfloat16 widened to float32."""
    return np.dtype(np.float32) if field.storage_dtype == np.uint16 else field.storage_dtype


def kind_of(one: PointId) -> str:
    return "num" if isinstance(one, int) else "uuid" if isinstance(one, UUID) else "str"
