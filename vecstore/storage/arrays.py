"""Named arrays with a small JSON header, as one run of bytes: log records and the headers of segments.

Little-endian. Nothing is used before it is checked: a matching checksum does not make bytes safe.

    0   magic            8 bytes "VSARRAYS"
    8   version          u32
    12  json_bytes       u32
    16  total_bytes      u64, of everything
    24  body_checksum    u64, xxh3_64 of everything from body_start on
    32  head_checksum    u64, xxh3_64 of bytes 0-31 and the JSON
    40  JSON             {"header": {...}, "arrays": [[name, dtype, shape], ...]}
        zeros up to body_start, the next multiple of 64
        the arrays in that order, each starting at a multiple of 64, zeros between

Where an array starts follows from the shapes before it, so no offset can point elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import xxhash

from vecstore.errors import Corruption, FailedPrecondition, InvalidArgument
from vecstore.storage.checksum import xxh3_64
from vecstore.storage.format import ARRAY_ALIGNMENT, ARRAYS_MAGIC, ARRAYS_VERSION, CHUNK_BYTES

_PREFIX = struct.Struct("<8sIIQQ")
_CHECKSUM = struct.Struct("<Q")
_JSON_START = _PREFIX.size + _CHECKSUM.size
_NDIM_MAX: Final = 4
DTYPES: Final = {
    np.dtype(code).str: np.dtype(code)
    for code in ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")
}

Array = np.ndarray[Any, np.dtype[Any]]


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    header: dict[str, Any]
    arrays: list[tuple[str, str, list[int]]]


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[bytes | memoryview]:
    """The bytes, in pieces that refer to `arrays` where those are contiguous. `header` must encode as JSON.

    Raises InvalidArgument for a dtype that is not in DTYPES or more than four dimensions."""
    flat = {name: _little_endian(name, array) for name, array in arrays.items()}
    specs = [(name, array.dtype.str, list(array.shape)) for name, array in flat.items()]
    encoded = msgspec.json.encode(_Head(dict(header), specs))
    head_bytes = _JSON_START + len(encoded)
    body: list[bytes | memoryview] = []
    hasher = xxhash.xxh3_64()
    total = _aligned(head_bytes)
    for array in flat.values():
        for piece in (_bytes_of(array), bytes(_aligned(array.nbytes) - array.nbytes)):
            hasher.update(piece)
            body.append(piece)
        total += _aligned(array.nbytes)
    prefix = _PREFIX.pack(ARRAYS_MAGIC, ARRAYS_VERSION, len(encoded), total, hasher.intdigest())
    head_checksum = _CHECKSUM.pack(xxh3_64(prefix + encoded))
    padding = bytes(_aligned(head_bytes) - head_bytes)
    return [prefix + head_checksum + encoded + padding, *(piece for piece in body if len(piece))]


def unpack(buffer: bytes | memoryview, *, copy: bool = False) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays; read-only views of `buffer` unless `copy`.

    Raises Corruption for anything that `pack` cannot have written, FailedPrecondition (FORMAT_TOO_NEW) for a newer
    version."""
    view = memoryview(buffer).cast("B").toreadonly()
    if len(view) < _JSON_START:
        raise Corruption(f"arrays record has {len(view)} bytes, at least {_JSON_START} are needed")
    magic, version, json_bytes, total, body_checksum = _PREFIX.unpack_from(view)
    (head_checksum,) = _CHECKSUM.unpack_from(view, _PREFIX.size)
    if magic != ARRAYS_MAGIC:
        raise Corruption("arrays record does not start with its magic number")
    if version > ARRAYS_VERSION:
        raise FailedPrecondition(
            f"arrays record has version {version}, this version reads up to {ARRAYS_VERSION}", reason="FORMAT_TOO_NEW"
        )
    if version < 1 or json_bytes > len(view) - _JSON_START or total != len(view):
        raise Corruption(f"arrays record of {len(view)} bytes claims {total}, of which {json_bytes} are its header")
    encoded = view[_JSON_START : _JSON_START + json_bytes]
    hasher = xxhash.xxh3_64(view[: _PREFIX.size])
    hasher.update(encoded)
    if hasher.intdigest() != head_checksum:
        raise Corruption("header of an arrays record does not match its checksum")
    at = _aligned(_JSON_START + json_bytes)
    if at > total or xxh3_64(view[at:]) != body_checksum:
        raise Corruption("body of an arrays record does not match its checksum")
    head = _decode_head(encoded)
    arrays: dict[str, Array] = {}
    for name, code, shape in head.arrays:
        dtype, size = _checked_size(name, code, shape)
        if name in arrays or size > total - at:
            raise Corruption(f"array {name[:64]!r} of {size} bytes is named twice or leaves its record")
        array = np.frombuffer(view[at : at + size], dtype).reshape(shape)
        arrays[name] = array.copy() if copy else array
        at += _aligned(size)
    if at != total or any(view[_JSON_START + json_bytes : _aligned(_JSON_START + json_bytes)]):
        raise Corruption("arrays record holds bytes that belong to no array")
    return head.header, arrays


def array_blob(array: Array) -> Iterator[memoryview]:
    """The raw little-endian bytes of one column, in pieces. Raises InvalidArgument as `pack`."""
    content = _bytes_of(_little_endian("column", array))
    return (content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES))


def array_from_blob(blob: memoryview, dtype: str, shape: Sequence[int]) -> Array:
    """A read-only view of a column whose dtype and shape stand in the segment's header. Raises Corruption."""
    checked, size = _checked_size("column", dtype, list(shape))
    if size != len(blob):
        raise Corruption(f"column of {len(blob)} bytes cannot hold {dtype}{list(shape)}, which takes {size}")
    return np.frombuffer(blob.toreadonly(), checked).reshape(shape)


def _decode_head(encoded: memoryview) -> _Head:
    try:
        return msgspec.json.decode(encoded, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Corruption(f"header of an arrays record is not what it must be: {error}") from None


def _checked_size(name: str, code: str, shape: list[int]) -> tuple[np.dtype[Any], int]:
    """The dtype and the size in bytes; Python's integers cannot wrap."""
    dtype = DTYPES.get(code)
    if dtype is None or len(shape) > _NDIM_MAX or any(extent < 0 for extent in shape):
        raise Corruption(f"array {name[:64]!r} has dtype {code[:16]!r} and shape {shape[:8]}")
    strides = dtype.itemsize  # numpy counts what stands beside a zero extent too, and refuses what it cannot address
    for extent in shape:
        strides *= max(extent, 1)
    if strides >= 1 << 62:
        raise Corruption(f"array {name[:64]!r} has shape {shape}")
    return dtype, 0 if 0 in shape else strides


def _little_endian(name: str, array: Array) -> Array:
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in DTYPES or array.ndim > _NDIM_MAX:
        raise InvalidArgument(f"array {name!r} has dtype {array.dtype} and {array.ndim} dimensions")
    return np.asarray(array, dtype=dtype, order="C")


def _bytes_of(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data.toreadonly()


def _aligned(size: int) -> int:
    return -(-size // ARRAY_ALIGNMENT) * ARRAY_ALIGNMENT
