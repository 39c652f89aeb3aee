"""Recall tables that deletes have made old: which segments' are to be measured again, and what stats say of them.

An index learns at build, among all rows of its segment, how hard it has to look for a recall. Deleted rows stay in its
way until the segment is rewritten, and what is left may lie otherwise, so when a share of the rows has died since, it
is measured again among those alive, in the background. Until then nothing is promised: `est_recall` is unknown.
"""

from __future__ import annotations

from typing import Any

from vecstore.engine import bitmaps
from vecstore.engine.collection import Collection
from vecstore.engine.sealed import SealedSegment
from vecstore.index.base import BuiltIndex, is_stale
from vecstore.kernels.base import Bitmap


def searched_rows(segment: SealedSegment, name: str, alive: Bitmap) -> Bitmap:
    """Rows alive that have the vector."""
    present = segment.present(name, segment.header.n_rows)
    return alive if present is None else alive & present


def stale(collection: Collection) -> tuple[SealedSegment, str] | None:
    """A segment and a vector field whose index, if it is open, is to be measured again."""
    for segment in list(collection.sealed.values()):
        alive = collection.alive(segment.uid)
        for name in segment.header.indexes:
            index = segment.opened(name)
            if index is not None and is_stale(index, bitmaps.count_bits(searched_rows(segment, name, alive))):
                return segment, name
    return None


def recall_tables(segment: SealedSegment, alive: Bitmap) -> dict[str, dict[str, Any]]:
    """For each field with an index that is open and measured: among how many rows, and whether that is too long ago."""
    found = {}
    for name in segment.header.indexes:
        index: BuiltIndex | None = segment.opened(name)
        if index is not None and index.measured_rows is not None:
            rows = bitmaps.count_bits(searched_rows(segment, name, alive))
            found[name] = {"measured_rows": index.measured_rows, "rows": rows, "stale": is_stale(index, rows)}
    return found
