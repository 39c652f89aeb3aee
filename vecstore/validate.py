"""Every check on user input, called by the engine, so that all doors refuse the same things in the same words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from vecstore.config import Limits
from vecstore.errors import invalid, limit_exceeded
from vecstore.index_check import check_index
from vecstore.kernels.base import Float32Array
from vecstore.query.filter import PointId
from vecstore.schema import NEAREST, DataType, Metric, Schema, VectorField, VectorKind
from vecstore.text.analyze import check_analysis

_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_DEVICE = re.compile(r"cuda:\d{1,3}\Z")
_U64_MAX = (1 << 64) - 1
# Squared lengths stay far enough from float32's end that a distance between two accepted vectors is finite.
SQUARED_LENGTH_MAX = float(np.finfo(np.float32).max) / 8


def check_name(name: object, limits: Limits, what: str = "collection") -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise invalid("BAD_NAME", f"{what} name {name!r:.80} must match [A-Za-z0-9_-]+", what)
    if len(name) > limits.name_length_max:
        raise limit_exceeded("name_length_max", len(name), limits.name_length_max, path=f"{what}.name length")
    return name


def check_schema(schema: Schema, limits: Limits) -> None:
    if not schema.vectors:
        raise invalid("BAD_SCHEMA", "a collection needs at least one vector field", "vectors")
    if len(schema.vectors) > limits.vector_fields_max:
        raise limit_exceeded("vector_fields_max", len(schema.vectors), limits.vector_fields_max)
    if len(schema.fields) > limits.field_indexes_max:
        raise limit_exceeded("field_indexes_max", len(schema.fields), limits.field_indexes_max)
    for name, field in schema.vectors.items():
        check_name(name, limits, "vector")
        check_vector_field(name, field, limits)
    for key in schema.fields:
        check_payload_key(key)


def check_device(device: str, path: str) -> None:
    """Raises InvalidArgument (BAD_SCHEMA) for what names no device; whether the machine has it does not matter."""
    if device not in ("cpu", "auto") and not _DEVICE.match(device):
        message = f'{path}={device!r} must be "cpu", "auto" or "cuda:N"'
        raise invalid("BAD_SCHEMA", message, path)


def check_vector_field(name: str, field: VectorField, limits: Limits) -> None:
    path = f"vectors.{name}"
    if field.device is not None:
        check_device(field.device, f"{path}.device")
    if field.is_sparse:
        if field.device not in (None, "cpu"):
            message = (
                f"{path}.device={field.device} does not apply to a {field.kind.value} field: it has no such kernels"
            )
            raise invalid("BAD_SCHEMA", message, f"{path}.device")
        _check_sparse_field(path, field)
        check_index(field, f"{path}.index")
        return
    if field.analysis is not None:
        message = f"{path}.analysis does not apply to a {field.kind.value} field"
        raise invalid("BAD_SCHEMA", message, f"{path}.analysis")
    if isinstance(field.dim, bool) or not isinstance(field.dim, int) or field.dim < 1:
        raise invalid("BAD_SCHEMA", f"{path}.dim={field.dim!r} must be an integer of at least 1", f"{path}.dim")
    if field.dim > limits.dim_max:
        raise limit_exceeded("dim_max", field.dim, limits.dim_max, path=f"{path}.dim")
    if field.kind is VectorKind.MULTI:
        _check_multi_field(path, field)
        check_index(field, f"{path}.index")
        return
    binary = field.kind is VectorKind.BINARY
    if binary and field.dim % 8:
        raise invalid("BAD_SCHEMA", f"{path}.dim={field.dim} of a binary field must be a multiple of 8", f"{path}.dim")
    if binary != (field.metric is Metric.HAMMING) or field.metric in (Metric.BM25, Metric.MAXSIM):
        message = f"{path}.metric={field.metric.value} does not fit kind={field.kind.value}: binary fields use hamming"
        raise invalid("BAD_SCHEMA", message, f"{path}.metric")
    if binary and field.datatype is not DataType.FLOAT32:
        raise invalid("BAD_SCHEMA", f"{path}.datatype does not apply to a binary field", f"{path}.datatype")
    check_index(field, f"{path}.index")


def _check_sparse_field(path: str, field: VectorField) -> None:
    kind = field.kind.value
    if field.dim != 0:
        raise invalid(
            "BAD_SCHEMA", f"{path}.dim={field.dim!r} must be 0: {kind} vectors have no dimension", f"{path}.dim"
        )
    if field.metric is not NEAREST[field.kind]:
        message = f"{path}.metric={field.metric.value} does not fit kind={kind}: it uses {NEAREST[field.kind].value}"
        raise invalid("BAD_SCHEMA", message, f"{path}.metric")
    text = field.kind is VectorKind.TEXT
    if field.datatype is DataType.BFLOAT16 or (text and field.datatype is not DataType.FLOAT32):
        message = f"{path}.datatype={field.datatype.value} does not apply to a {kind} field"
        raise invalid("BAD_SCHEMA", message, f"{path}.datatype")
    if field.analysis is not None and not text:
        raise invalid("BAD_SCHEMA", f"{path}.analysis does not apply to a {kind} field", f"{path}.analysis")
    if field.analysis is not None:
        check_analysis(field.analysis, f"{path}.analysis")


def _check_multi_field(path: str, field: VectorField) -> None:
    if field.metric is not Metric.MAXSIM:
        message = f"{path}.metric={field.metric.value} does not fit kind=multi: it uses maxsim"
        raise invalid("BAD_SCHEMA", message, f"{path}.metric")
    if field.datatype is DataType.BFLOAT16:
        message = f"{path}.datatype={field.datatype.value} does not apply to a multi field"
        raise invalid("BAD_SCHEMA", message, f"{path}.datatype")


def check_payload_key(key: object) -> str:
    if not isinstance(key, str) or not key or len(key) > 255:
        raise invalid("BAD_SCHEMA", f"payload key {key!r:.80} must be a string of 1 to 255 characters", "key")
    return key


def check_ids(ids: Sequence[PointId], limits: Limits, path: str = "ids") -> list[PointId]:
    """Ids as Python values: numpy integers become int. An empty list is EMPTY_BATCH."""
    if isinstance(ids, np.ndarray):
        ids = ids.tolist()
    if not len(ids):
        raise invalid("EMPTY_BATCH", f"{path} is empty", path)
    if len(ids) > limits.batch_points_max:
        raise limit_exceeded("batch_points_max", len(ids), limits.batch_points_max, path=f"{path} count")
    numbers = [point_id for point_id in ids if type(point_id) is int]  # exact type: a bool is no id
    if len(numbers) == len(ids) and min(numbers) >= 0 and max(numbers) <= _U64_MAX:
        return list(ids)
    return [check_id(point_id, limits, f"{path}[{place}]") for place, point_id in enumerate(ids)]


def check_id(point_id: Any, limits: Limits, path: str = "id") -> PointId:
    if isinstance(point_id, int | np.integer) and not isinstance(point_id, bool):
        if 0 <= point_id <= _U64_MAX:
            return int(point_id)
        raise invalid("BAD_ID", f"{path}={point_id} is outside 0..2^64-1", path)
    if isinstance(point_id, UUID):
        return point_id
    if isinstance(point_id, str):
        try:
            size = len(point_id.encode())
        except UnicodeEncodeError:
            raise invalid("BAD_ID", f"{path} is not valid Unicode", path) from None
        if 1 <= size <= limits.string_id_bytes_max:
            return str(point_id)
        if size == 0:
            raise invalid("BAD_ID", f"{path} is an empty string", path)
        raise limit_exceeded("string_id_bytes_max", size, limits.string_id_bytes_max, path=f"{path} bytes")
    raise invalid("BAD_ID", f"{path} is a {type(point_id).__name__}; an id is an int, a UUID or a string", path)


def check_vectors(
    rows: np.ndarray, field: VectorField, count: int, path: str, present: np.ndarray | None = None
) -> np.ndarray:
    """Stored form of a batch of vectors: (count, storage width), contiguous, in the field's storage dtype.

    Accepts float arrays for dense fields (uint16 only for bfloat16 fields) and packed uint8 for binary ones. Raises
    InvalidArgument with DIMENSION_MISMATCH, BAD_VECTOR, NAN_OR_INF or ZERO_VECTOR; nothing is ever clipped."""
    rows = np.asarray(rows)
    if rows.ndim != 2:
        raise invalid("BAD_VECTOR", f"{path} must be two-dimensional, got {rows.ndim} dimensions", path)
    if len(rows) != count:
        raise invalid("BAD_VECTOR", f"{path} has {len(rows)} rows for {count} points", path)
    if rows.shape[1] == 0 and present is not None and not present.any():  # as the wire has columns without a row
        return np.zeros((count, field.storage_width), field.storage_dtype)
    _check_width(rows.shape[1], field, path)
    if field.kind is VectorKind.BINARY:
        if rows.dtype != np.uint8:
            raise invalid("BAD_VECTOR", f"{path} of a binary field must be packed uint8, got {rows.dtype}", path)
        return np.ascontiguousarray(rows)
    if field.datatype is DataType.BFLOAT16 and rows.dtype == np.uint16:
        stored, values = np.ascontiguousarray(rows), widen(rows, field)
    else:
        if rows.dtype.kind not in "fiu":
            raise invalid("BAD_VECTOR", f"{path} must hold numbers, got {rows.dtype}", path)
        with np.errstate(over="ignore"):
            stored = narrow(rows, field)
        values = widen(stored, field)
    _check_values(values, field, path, present)
    return stored


def check_query_vector(vector: np.ndarray, field: VectorField, path: str = "query") -> np.ndarray:
    """A query as float32 (dim,) or packed uint8 (dim / 8,). Raises like `check_vectors`."""
    vector = np.asarray(vector)
    if vector.ndim != 1:
        raise invalid("BAD_VECTOR", f"{path} must be one vector, got an array of shape {vector.shape}", path)
    _check_query_kind(vector, field, path)
    if field.kind is VectorKind.BINARY:
        return np.ascontiguousarray(vector)
    values = _as_float32(vector)
    squared = float(np.vdot(values, values))  # unlike other products, it does not warn when this overflows
    if not squared <= SQUARED_LENGTH_MAX or (squared == 0.0 and field.metric is Metric.COSINE):
        _check_values(values[None, :], field, path, None)
    return values


def check_query_vectors(vectors: np.ndarray, field: VectorField, path: str = "queries") -> np.ndarray:
    """A query a row, as float32 (n, dim) or packed uint8 (n, dim / 8). Raises like `check_query_vector`, with the place
    of the first bad one."""
    vectors = np.asarray(vectors)
    if vectors.ndim != 2:
        raise invalid("BAD_VECTOR", f"{path} must be two-dimensional, got {vectors.ndim} dimensions", path)
    _check_query_kind(vectors, field, path)
    if field.kind is VectorKind.BINARY:
        return np.ascontiguousarray(vectors)
    values = _as_float32(vectors)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.vecdot(values, values)
    fine = squared <= SQUARED_LENGTH_MAX
    if field.metric is Metric.COSINE:
        fine &= squared > 0
    if not fine.all():
        _check_values(values, field, path, None)
    return values


def _as_float32(vectors: np.ndarray) -> Float32Array:
    if vectors.dtype == np.float32:
        return np.ascontiguousarray(vectors)
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the callers refuse
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _check_query_kind(vectors: np.ndarray, field: VectorField, path: str) -> None:
    _check_width(vectors.shape[-1], field, path)
    if field.kind is VectorKind.BINARY:
        if vectors.dtype != np.uint8:
            raise invalid("BAD_VECTOR", f"{path} of a binary field must be packed uint8, got {vectors.dtype}", path)
    elif vectors.dtype.kind not in "fiu":
        raise invalid("BAD_VECTOR", f"{path} must hold numbers, got {vectors.dtype}", path)


def _check_width(width: int, field: VectorField, path: str) -> None:
    if width == field.storage_width:
        return
    if field.kind is VectorKind.BINARY:
        message = f"{path} has {width} bytes per vector, the field has {field.storage_width} (dim={field.dim} bits)"
    else:
        message = f"{path} has dim={width}, the field has dim={field.dim}"
    raise invalid("DIMENSION_MISMATCH", message, path)


def _check_values(values: Float32Array, field: VectorField, path: str, present: np.ndarray | None) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("ij,ij->i", values, values)
    bad = ~(squared <= SQUARED_LENGTH_MAX)
    if bad.any():
        row = int(np.argmax(bad))
        spot = path if len(values) == 1 and path == "query" else f"{path}[{row}]"
        if np.isfinite(values[row]).all():
            message = f"{spot} has a squared length of more than {SQUARED_LENGTH_MAX:.3g}: distances would overflow"
        else:
            column = int(np.argmax(~np.isfinite(values[row])))
            stored = f" as {field.datatype.value}" if field.datatype is not DataType.FLOAT32 else ""
            message = f"{spot} is NaN or infinite{stored} at component {column}"
        raise invalid("NAN_OR_INF", message, spot)
    if field.metric is Metric.COSINE:
        zero = squared == 0.0
        if present is not None:
            zero &= present
        if zero.any():
            spot = path if len(values) == 1 and path == "query" else f"{path}[{int(np.argmax(zero))}]"
            raise invalid("ZERO_VECTOR", f"{spot} has length zero, which cosine cannot use", spot)


def narrow(rows: np.ndarray, field: VectorField) -> np.ndarray:
    """Numbers to the field's storage dtype, round to nearest even."""
    if field.datatype is not DataType.BFLOAT16:
        return np.ascontiguousarray(rows, dtype=field.storage_dtype)
    bits = np.ascontiguousarray(rows, dtype=np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(nan, np.uint32(0x7FC0), rounded).astype(np.uint16)


def widen(rows: np.ndarray, field: VectorField) -> np.ndarray:
    """Stored rows of a dense field as float32."""
    if field.datatype is DataType.BFLOAT16:
        return (rows.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(rows, dtype=np.float32)


def check_payload_json(encoded: bytes, limits: Limits, path: str = "payload") -> bytes | None:
    """The same bytes when they are a JSON object within the limits, None for an empty object."""
    if len(encoded) > limits.payload_bytes_max:
        raise limit_exceeded("payload_bytes_max", len(encoded), limits.payload_bytes_max, path=f"{path} bytes")
    deep = encoded.count(b"{") + encoded.count(b"[") > limits.payload_depth_max
    if deep and json_depth(encoded) > limits.payload_depth_max:
        raise limit_exceeded("payload_depth_max", json_depth(encoded), limits.payload_depth_max, path=f"{path} depth")
    try:
        decoded = msgspec.json.decode(encoded)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise invalid("BAD_PAYLOAD", f"{path} is not JSON: {str(error)[:200]}", path) from None
    if not isinstance(decoded, dict):
        raise invalid("BAD_PAYLOAD", f"{path} must be a JSON object, got {type(decoded).__name__}", path)
    return bytes(encoded) if decoded else None


_JSON_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def json_depth(encoded: bytes) -> int:
    """How deep brackets nest, counted without recursion (strings are skipped)."""
    depth = deepest = 0
    for token in _JSON_BRACKETS.finditer(encoded):
        first = token.group()[:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest


def check_count(value: object, name: str, low: int, limit_name: str, bound: int) -> int:
    """An integer in low..bound; past the bound it is LIMIT_EXCEEDED naming `limit_name`."""
    if type(value) is int and low <= value <= bound:
        return value
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise invalid("BAD_ARGUMENT", f"{name}={value!r:.40} must be an integer", name)
    if value < low:
        raise invalid("BAD_ARGUMENT", f"{name}={value} must be at least {low}", name)
    if value > bound:
        raise limit_exceeded(limit_name, int(value), bound, path=name)
    return int(value)
