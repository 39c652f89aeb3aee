"""Vectors one by one. Numbers are little-endian where they are packed; bfloat16 is uint16 in numpy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from vecstore.errors import InvalidArgument, invalid
from vecstore.rows import GivenRows, StoredVector
from vecstore.schema import VectorField, VectorKind
from vecstore.sparse import SparseVector
from vecstore.sparse_check import bad_vector
from vecstore.wire.given import OneVector, given_rows, tokens_of, widen


class Packing(StrEnum):
    """The numbers of packed bytes; `bit` is for binary vectors, first dimension in the high bit of byte 0."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    BIT = "bit"


class VectorEncoding(StrEnum):
    """How vectors come back: as lists of numbers, or packed in base64."""

    LIST = "list"
    BASE64 = "base64"


Index32: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]


class VectorData(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Packed numbers (`data`, with `dim` the token vectors of a multi-vector), or a sparse vector (`indices` and
    `values`)."""

    data: Annotated[bytes, msgspec.Meta(description="Little-endian numbers of `dtype`, in base64.")] | None = None
    dtype: Packing = Packing.FLOAT32
    dim: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)] | None = None
    indices: list[Index32] | None = None
    values: list[float] | None = None


Vector: TypeAlias = (
    Annotated[
        list[float | list[float]],
        msgspec.Meta(description="Numbers, or for a multi-vector a list of numbers for each token."),
    ]
    | Annotated[str, msgspec.Meta(description="For a text field.")]
    | VectorData
)

DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "bit": np.dtype("u1"),
}
PACKINGS = {
    np.dtype(np.float32): Packing.FLOAT32,
    np.dtype(np.float16): Packing.FLOAT16,
    np.dtype(np.uint16): Packing.BFLOAT16,
    np.dtype(np.uint8): Packing.BIT,
}


def vector_from_json(value: Vector, path: str, field: VectorField | None = None) -> OneVector:
    """An array of one dimension (float32, float16, uint16 for bfloat16, uint8 for bits), or of two for a multi-vector's
    tokens; a sparse vector; or a text. Raises InvalidArgument (BAD_VECTOR, DIMENSION_MISMATCH)."""
    if type(value) is list:
        if not value and field is not None and field.kind is VectorKind.MULTI:
            return np.empty((0, field.dim), np.float32)
        try:
            with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the engine refuses by name
                return np.array(value, dtype=np.float32)
        except ValueError:
            raise _uneven(value, path) from None
    if isinstance(value, VectorData):
        return _data_from_json(value, path)
    assert isinstance(value, str)
    return value


def query_vector(value: Vector, path: str) -> GivenRows:
    """One query's vector, as `QueryRequest` takes it."""
    vector = vector_from_json(value, path)
    if isinstance(vector, np.ndarray) and vector.ndim == 1:
        return widen(vector)
    return given_rows([vector], path)


def vector_to_json(vector: OneVector | StoredVector, packed: bool) -> Vector:
    if isinstance(vector, str):
        return vector
    if isinstance(vector, SparseVector):
        return VectorData(indices=vector.indices.tolist(), values=vector.values.tolist())
    if vector.dtype == np.uint8:
        return VectorData(data=vector.tobytes(), dtype=Packing.BIT)
    if not packed:
        return widen(vector).tolist()  # type: ignore[no-any-return]
    if vector.dtype not in PACKINGS:
        vector = vector.astype(np.float32)
    dim = vector.shape[1] if vector.ndim == 2 else None
    return VectorData(data=vector.tobytes(), dtype=PACKINGS[vector.dtype], dim=dim)


def _data_from_json(value: VectorData, path: str) -> OneVector:
    sparse = value.indices is not None or value.values is not None
    if sparse == (value.data is not None):
        raise bad_vector(path, "must hold either data, or indices and values")
    if value.data is None:
        if value.dim is not None or value.dtype is not Packing.FLOAT32:
            raise bad_vector(path, "is sparse, and has no dtype or dim")
        with np.errstate(over="ignore"):
            return SparseVector(np.array(value.indices or [], np.uint32), np.array(value.values or [], np.float32))
    dtype = DTYPES[value.dtype]
    if value.dim is not None:
        return tokens_of(value.data, dtype, value.dim, path)
    if len(value.data) % dtype.itemsize:
        problem = f"holds {len(value.data)} bytes, no multiple of the {dtype.itemsize} bytes of a number"
        raise bad_vector(f"{path}.data", problem)
    return np.frombuffer(value.data, dtype)


def _uneven(value: list[Any], path: str) -> InvalidArgument:
    """Numbers beside lists, or lists of different lengths."""
    if not all(isinstance(one, list) for one in value):
        return bad_vector(path, "must be numbers, or one list of numbers for each token")
    sizes = sorted({len(one) for one in value})
    message = f"{path} has tokens of {sizes[:5]} dimensions, they must have one number of them"
    return invalid("DIMENSION_MISMATCH", message, path)
