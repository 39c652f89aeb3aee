"""Vectors one by one. Numbers travel little-endian; bfloat16 is uint16 in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.pb.v1 import common_pb2 as pb
from vecstore.sparse import SparseVector
from vecstore.sparse_check import bad_vector
from vecstore.wire.given import OneVector, tokens_of

_DTYPES: dict[int, np.dtype[Any]] = {
    pb.DATA_TYPE_UNSPECIFIED: np.dtype("<f4"),
    pb.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    pb.DATA_TYPE_FLOAT16: np.dtype("<f2"),
    pb.DATA_TYPE_BFLOAT16: np.dtype("<u2"),
    pb.DATA_TYPE_BIT: np.dtype("u1"),
}
DATA_TYPES = {
    np.dtype(np.float32): pb.DATA_TYPE_FLOAT32,
    np.dtype(np.float16): pb.DATA_TYPE_FLOAT16,
    np.dtype(np.uint16): pb.DATA_TYPE_BFLOAT16,
    np.dtype(np.uint8): pb.DATA_TYPE_BIT,
}


def set_vector(message: pb.Vector, vector: OneVector) -> None:
    """Write a vector into a message that exists, over what it holds: uint8 as binary, other arrays as packed dense
    numbers."""
    if isinstance(vector, str):
        message.text = vector
        return
    if isinstance(vector, np.ndarray) and vector.ndim == 2:
        set_multi(message.multi, vector)
        return
    if isinstance(vector, SparseVector):
        message.sparse.Clear()
        message.sparse.SetInParent()
        message.sparse.indices.extend(vector.indices.tolist())
        message.sparse.values.extend(vector.values.tolist())
        return
    if vector.dtype == np.uint8:
        message.binary.data = vector.tobytes()
        return
    dtype = DATA_TYPES.get(vector.dtype)
    if dtype is None:
        vector, dtype = vector.astype(np.float32), pb.DATA_TYPE_FLOAT32
    message.dense.data = vector.tobytes()
    if dtype != pb.DATA_TYPE_FLOAT32:
        message.dense.dtype = dtype


def set_multi(message: pb.MultiVector, tokens: np.ndarray) -> None:
    dtype = DATA_TYPES.get(tokens.dtype, pb.DATA_TYPE_BIT)
    if dtype not in (pb.DATA_TYPE_FLOAT32, pb.DATA_TYPE_FLOAT16):
        tokens, dtype = tokens.astype(np.float32), pb.DATA_TYPE_FLOAT32
    message.data, message.dtype, message.dim = tokens.tobytes(), dtype, tokens.shape[1]


def vector_to_pb(vector: OneVector) -> pb.Vector:
    message = pb.Vector()
    set_vector(message, vector)
    return message


def vector_from_pb(message: pb.Vector, path: str) -> OneVector:
    """A one-dimensional float32, float16, uint16 (bfloat16) or uint8 (packed bits) array, or a two-dimensional one of a
    multi-vector's tokens, read-only, over the message's bytes; or a sparse vector or a text. Raises InvalidArgument
    (BAD_VECTOR) when it is empty or its bytes are no whole numbers."""
    kind = message.WhichOneof("vector")
    if kind == "dense":
        dense = message.dense
        data = dense.data
        if data:
            if dense.values:
                raise bad_vector(path, "has both data and values")
            dtype = dtype_of(dense.dtype, path)
            if dtype.itemsize == 1:
                raise bad_vector(path, "is dense, but its dtype is DATA_TYPE_BIT: use binary")
            return _whole(data, dtype, path)
        return np.array(dense.values, dtype=np.float32)
    if kind == "binary":
        return np.frombuffer(message.binary.data, np.uint8)
    if kind == "sparse":
        sparse = message.sparse
        return SparseVector(np.array(sparse.indices, np.uint32), np.array(sparse.values, np.float32))
    if kind == "text":
        return message.text
    if kind == "multi":
        return tokens_of(message.multi.data, dtype_of(message.multi.dtype, path), message.multi.dim, path)
    raise bad_vector(path, "is empty: give dense, binary, sparse, multi or text")


def dtype_of(value: int, path: str) -> np.dtype[Any]:
    try:
        return _DTYPES[value]
    except KeyError:
        raise bad_vector(f"{path}.dtype", f"is {value}, which is unknown") from None


def _whole(data: bytes, dtype: np.dtype[Any], path: str) -> np.ndarray:
    if len(data) % dtype.itemsize:
        raise bad_vector(path, f"holds {len(data)} bytes, no multiple of the {dtype.itemsize} bytes of a number")
    return np.frombuffer(data, dtype)
