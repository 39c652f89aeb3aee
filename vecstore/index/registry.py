"""Every index by name. A new one is one file and one line here."""

from __future__ import annotations

from vecstore.index.base import Index
from vecstore.index.flat import BinaryFlatIndex, FlatIndex

INDEXES: dict[str, type[Index]] = {
    FlatIndex.name: FlatIndex,
    BinaryFlatIndex.name: BinaryFlatIndex,
}
