"""Point ids: one canonical order, an array form for disk, and lookup in a sealed segment.

Order: numbers, then UUIDs, then strings; the encoded key (one tag byte, then 8 bytes, 16 bytes or UTF-8, big-endian)
sorts the same way bytewise. Two array forms exist: `ids.num` (uint64) when all ids are numbers, else `ids.bytes` and
`ids.offsets` with the encoded keys; a sealed segment adds `ids.hash` (sorted xxh3_64 of the keys) and `ids.hash_row`.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
import xxhash

from vecstore.errors import Corruption
from vecstore.kernels.base import Int64Array
from vecstore.query.filter import PointId

_NUM, _UUID, _STR = 0, 1, 2
KEY_OF_NUMBER_BYTES = 9


def encode_id(point_id: PointId) -> bytes:
    """The canonical key of a validated id."""
    if isinstance(point_id, int):
        return b"\x00" + point_id.to_bytes(8, "big")
    if isinstance(point_id, UUID):
        return b"\x01" + point_id.bytes
    return b"\x02" + point_id.encode()


def decode_id(key: bytes) -> PointId:
    """The inverse of `encode_id`. Raises Corruption for bytes that are no key."""
    if len(key) == KEY_OF_NUMBER_BYTES and key[0] == _NUM:
        return int.from_bytes(key[1:], "big")
    if len(key) == 17 and key[0] == _UUID:
        return UUID(bytes=bytes(key[1:]))
    if len(key) > 1 and key[0] == _STR:
        try:
            return str(key[1:], "utf-8")
        except UnicodeDecodeError:
            pass
    raise Corruption(f"a stored id of {len(key)} bytes is malformed")


def pack_ids(ids: Sequence[PointId]) -> dict[str, np.ndarray]:
    """Ids as arrays, in the given order."""
    if all(isinstance(point_id, int) for point_id in ids):
        return {"ids.num": np.array(ids, dtype=np.uint64)}
    keys = [encode_id(point_id) for point_id in ids]
    return pack_keys(keys)


def pack_keys(keys: Sequence[bytes]) -> dict[str, np.ndarray]:
    offsets = np.zeros(len(keys) + 1, dtype=np.uint64)
    np.cumsum([len(key) for key in keys], out=offsets[1:])
    return {"ids.bytes": np.frombuffer(b"".join(keys), dtype=np.uint8), "ids.offsets": offsets}


def unpack_ids(arrays: Mapping[str, np.ndarray]) -> list[PointId]:
    """The inverse of `pack_ids`."""
    if "ids.num" in arrays:
        if arrays["ids.num"].dtype != np.uint64 or arrays["ids.num"].ndim != 1:
            raise Corruption("ids.num is not one run of uint64")
        numbers: list[PointId] = arrays["ids.num"].tolist()
        return numbers
    return [decode_id(key) for key in unpack_keys(arrays)]


def unpack_keys(arrays: Mapping[str, np.ndarray]) -> list[bytes]:
    data, offsets = arrays["ids.bytes"].tobytes(), _checked_offsets(arrays)
    bounds = offsets.tolist()
    return [data[low:high] for low, high in itertools.pairwise(bounds)]


def encoded_keys(arrays: Mapping[str, np.ndarray]) -> list[bytes]:
    """The canonical keys of packed ids, whichever form they have."""
    if "ids.num" in arrays:
        big_endian = arrays["ids.num"].astype(">u8").tobytes()
        return [b"\x00" + big_endian[start : start + 8] for start in range(0, len(big_endian), 8)]
    return unpack_keys(arrays)


def sealed_ids(keys: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Arrays of a sealed segment's ids from sorted keys."""
    if all(key[0] == _NUM for key in keys):
        return {"ids.num": np.frombuffer(b"".join(key[1:] for key in keys), dtype=">u8").astype(np.uint64)}
    hashes = np.fromiter((xxhash.xxh3_64_intdigest(key) for key in keys), dtype=np.uint64, count=len(keys))
    order = np.argsort(hashes, kind="stable")
    return {**pack_keys(keys), "ids.hash": hashes[order], "ids.hash_row": order.astype(np.uint32)}


class IdColumn:
    """The ids of a sealed segment, ascending; row i has the i-th id."""

    def __init__(self, arrays: Mapping[str, np.ndarray], n_rows: int) -> None:
        self.arrays = arrays
        self._numbers = arrays.get("ids.num")
        if self._numbers is not None:
            if len(self._numbers) != n_rows:
                raise Corruption(f"ids.num has {len(self._numbers)} entries for {n_rows} rows")
            return
        self._bytes = arrays["ids.bytes"]
        self._offsets = _checked_offsets(arrays)
        self._hashes, self._hash_rows = arrays["ids.hash"], arrays["ids.hash_row"]
        if not len(self._offsets) - 1 == len(self._hashes) == len(self._hash_rows) == n_rows:
            raise Corruption(f"id columns disagree on the number of rows, {n_rows}")
        if n_rows and int(self._hash_rows.max()) >= n_rows:
            raise Corruption("ids.hash_row points past the segment")

    def __len__(self) -> int:
        return len(self._numbers) if self._numbers is not None else len(self._hashes)

    def key(self, row: int) -> bytes:
        if self._numbers is not None:
            return b"\x00" + int(self._numbers[row]).to_bytes(8, "big")
        return self._bytes[int(self._offsets[row]) : int(self._offsets[row + 1])].tobytes()

    def take(self, rows: Int64Array) -> np.ndarray:
        """uint64 when all ids of the segment are numbers, else objects."""
        if self._numbers is not None:
            numbers: np.ndarray = self._numbers[rows]
            return numbers
        ids = np.empty(len(rows), dtype=object)
        ids[:] = [decode_id(self.key(row)) for row in rows.tolist()]
        return ids

    def find(self, ids: Sequence[PointId]) -> Int64Array:
        """The row of each id, -1 where absent."""
        found = np.full(len(ids), -1, dtype=np.int64)
        if not len(self) or not len(ids):
            return found
        if self._numbers is not None:
            places = [place for place, point_id in enumerate(ids) if isinstance(point_id, int)]
            if places:
                wanted = np.array([ids[place] for place in places], dtype=np.uint64)
                rows = np.minimum(np.searchsorted(self._numbers, wanted), len(self) - 1)
                found[places] = np.where(self._numbers[rows] == wanted, rows, -1)
            return found
        keys = [encode_id(point_id) for point_id in ids]
        wanted = np.fromiter((xxhash.xxh3_64_intdigest(key) for key in keys), dtype=np.uint64, count=len(keys))
        first = np.searchsorted(self._hashes, wanted, side="left")
        last = np.searchsorted(self._hashes, wanted, side="right")
        for place in np.flatnonzero(last > first).tolist():
            for candidate in range(int(first[place]), int(last[place])):
                row = int(self._hash_rows[candidate])
                if self.key(row) == keys[place]:
                    found[place] = row
        return found

    def first_after(self, point_id: PointId | None) -> int:
        """The first row whose id is greater than `point_id` (0 for None)."""
        if point_id is None:
            return 0
        return bisect_right(range(len(self)), encode_id(point_id), key=self.key)


def _checked_offsets(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    offsets, data = arrays["ids.offsets"], arrays["ids.bytes"]
    if not len(offsets) or int(offsets[0]) != 0 or int(offsets[-1]) != len(data) or (offsets[1:] < offsets[:-1]).any():
        raise Corruption("id offsets do not fit the id bytes")
    return offsets
