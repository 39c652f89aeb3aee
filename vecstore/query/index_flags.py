"""One byte for each row: what kinds of values its payload has at the indexed key."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from vecstore.query import bitmaps
from vecstore.query.growable import Growable

PRESENT = 1  # the path exists
NULL = 2  # a value is null
VALUED = 4  # a value is not null
MULTI = 8  # more than one value is not null
FOREIGN = 16  # a value is of a type that the index does not hold
LEFTOVER = 32  # a value is of the index's type and cannot be held exactly, such as 2**70 in an integer index
TRUE = 64  # bool index: a value is true
FALSE = 128  # bool index: a value is false


class Flags(Protocol):
    def rows(self, bits: int) -> BitMap:
        """Rows that have any of `bits`. The caller must not change the bitmap."""


class SealedFlags:
    def __init__(self, flags: NDArray[np.uint8]) -> None:
        self.flags = flags
        self._cache: dict[int, BitMap] = {}

    def rows(self, bits: int) -> BitMap:
        found = self._cache.get(bits)
        if found is None:
            found = self._cache[bits] = bitmaps.from_mask((self.flags & bits) != 0)
        return found


class GrowingFlags:
    def __init__(self) -> None:
        self.flags = Growable(np.uint8)

    def rows(self, bits: int) -> BitMap:
        return bitmaps.from_mask((self.flags.view() & bits) != 0)
