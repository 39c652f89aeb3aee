"""What the read path needs of a segment, growing or sealed alike, and the view of one segment at one seq."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
from pyroaring import BitMap

from vecstore.engine import bitmaps
from vecstore.errors import Corruption
from vecstore.index.base import BuiltIndex, Index
from vecstore.kernels.base import Bitmap, Int64Array, Kernels
from vecstore.kernels.stop import check_stop
from vecstore.query.bitmaps import all_rows, bitmap_from_words
from vecstore.query.filter import PointId
from vecstore.query.payload_index import FieldIndex
from vecstore.rows import HeldRows, StoredVector
from vecstore.schema import weight_of

STOP_ROWS = 256  # payloads read between two looks at whether to stop

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def decode_payload(encoded: bytes | memoryview) -> dict[str, Any]:
    """A stored payload. Raises Corruption when it is no JSON object."""
    try:
        return _decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Corruption(f"a stored payload is no JSON object: {error}") from None


class Segment(Protocol):
    uid: str  # unique within the process, for caches
    sorted_by_id: bool  # rows ascend by id, so that ties by row are ties by id

    @property
    def payload_bytes(self) -> int:
        """Of all payloads, encoded."""

    def find(self, ids: Sequence[PointId], n_rows: int) -> Int64Array:
        """The newest row below `n_rows` of each id, dead or alive; -1 where absent."""

    def take_ids(self, rows: Int64Array) -> np.ndarray:
        """uint64 when all ids of the rows are numbers, else objects."""

    def rows_after(self, after: PointId | None, n_rows: int) -> Iterator[tuple[bytes, int]]:
        """(encoded id, row) in id order, from the first id greater than `after`."""

    def seqs(self, rows: Int64Array) -> np.ndarray: ...
    def payload(self, row: int) -> bytes | None: ...
    def take_payloads(self, rows: Int64Array, empty: bytes | None = None) -> list[bytes | None]:
        """Encoded; `empty` for points without one."""

    def vectors(self, name: str, n_rows: int) -> HeldRows: ...
    def vector(self, name: str, row: int) -> StoredVector:
        """A copy of one stored vector."""

    def guard(self, kernels: Kernels, name: str) -> Kernels:
        """The kernels to search a field of this segment with."""

    def present(self, name: str, n_rows: int) -> Bitmap | None:
        """Rows that have the vector; None when all have it."""

    def field_index(self, key: str) -> FieldIndex | None: ...
    def flat(self, name: str, n_rows: int) -> Index:
        """The exact index over the stored vectors."""

    def index(self, name: str) -> BuiltIndex | None:
        """The built index over all rows of the segment; None where there is none."""

    def tokens(self, name: str, n_rows: int) -> int:
        """Of multi-vectors, all together; 0 for other fields. Never opens anything."""

    def work(self, name: str, n_rows: int) -> int:
        """About how many stored vectors a query costs as much as; never opens anything."""


@dataclass(frozen=True, slots=True)
class SegmentView:
    """One segment as of one seq: its first `n_rows` rows, of which `alive` are neither deleted nor superseded.
    Also the `PayloadSource` that filters are evaluated on."""

    segment: Segment
    n_rows: int
    alive: Bitmap
    n_alive: int
    _flat: dict[str, Index] = field(default_factory=dict, init=False, repr=False, compare=False)

    def flat(self, name: str) -> Index:
        """The exact index over its rows."""
        found = self._flat.get(name)
        if found is None:
            found = self._flat[name] = self.segment.flat(name, self.n_rows)
        return found

    def weight(self, name: str) -> int:
        """What its rows count as where few are scanned; opens nothing."""
        return weight_of(self.n_rows, self.segment.tokens(name, self.n_rows))

    def find(self, ids: Sequence[PointId]) -> Int64Array:
        """The live row of each id, -1 where there is none."""
        rows = self.segment.find(ids, self.n_rows)
        hit = np.flatnonzero(rows >= 0)
        if len(hit):
            rows[hit[~bitmaps.are_set(self.alive, rows[hit])]] = -1
        return rows

    def field_index(self, key: str) -> FieldIndex | None:
        return self.segment.field_index(key)

    def payloads(self, rows: BitMap | None) -> Iterator[tuple[int, dict[str, Any] | None]]:
        payload = self.segment.payload
        try:  # around the loop, for it is the hot part of filters without an index
            for count, row in enumerate(range(self.n_rows) if rows is None else rows):
                if count % STOP_ROWS == 0:
                    check_stop()
                encoded = payload(row)
                yield row, (_decode(encoded) if encoded else None)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Corruption(f"a stored payload is no JSON object: {error}") from None

    def rows_of_ids(self, ids: Sequence[PointId]) -> BitMap:
        rows = self.segment.find(ids, self.n_rows)
        return BitMap(rows[rows >= 0].astype(np.uint32))

    def rows_with_vector(self, name: str) -> BitMap:
        present = self.segment.present(name, self.n_rows)
        if present is None:
            return all_rows(self.n_rows)
        return bitmap_from_words(present)
