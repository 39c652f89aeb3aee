"""What BM25 needs to know of a collection: how many live texts there are, how long they are, and in how many of them a
term occurs. Counted for each query over the segments of its view, so that writes and deletes count at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.segment import SegmentView
from vecstore.engine.segment_cache import SegmentCache
from vecstore.index.terms import TermQueries
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.rows import Rows
from vecstore.schema import VectorField, VectorKind
from vecstore.sparse import SparseRows

SEGMENTS_REMEMBERED = 256


class TextIndex(Protocol):
    """What every index of a text field has besides `Index`."""

    @property
    def lengths(self) -> Float32Array:
        """(ntotal,) terms of each text, repeats counted."""

    def document_frequency(self, kernels: Kernels, terms: np.ndarray, alive: Bitmap | None) -> Int64Array:
        """How many of the texts, or of those alive, hold each of the terms."""


@dataclass(frozen=True, slots=True)
class _Texts:
    """The live texts of a segment view, which `alive` and `n_rows` tell from other views of the segment."""

    alive: Bitmap
    n_rows: int
    count: int
    length: float  # of all of them together, in terms


class TermStatistics:
    """Threads may share one object."""

    def __init__(self) -> None:
        self._texts: SegmentCache[_Texts] = SegmentCache(SEGMENTS_REMEMBERED)

    def prepared(
        self, kernels: Kernels, view: View, name: str, field: VectorField, vectors: Rows
    ) -> Rows | TermQueries:
        """Checked queries as the indexes of their field take them: those of a text field weighed."""
        if field.kind is VectorKind.TEXT and isinstance(vectors, SparseRows):
            return self.weigh(kernels, view, name, vectors)
        return vectors

    def weigh(self, kernels: Kernels, view: View, name: str, terms: SparseRows) -> TermQueries:
        """Queries that hold how often each term is asked for, weighed by idf = ln(1 + (N - df + 0.5) / (df + 0.5)): df
        of N live texts have the term (Robertson & Zaragoza 2009; never negative, as in Lucene)."""
        wanted, places = np.unique(terms.indices, return_inverse=True)
        frequency = np.zeros(len(wanted), np.int64)
        count, length = 0, 0.0
        for segment in view.segments:
            texts = self._of(segment, name)
            count, length = count + texts.count, length + texts.length
            if texts.count and len(wanted):
                alive = None if segment.n_alive == segment.n_rows else segment.alive
                frequency += _index(segment, name).document_frequency(kernels, wanted, alive)
        idf = np.log1p((count - frequency + 0.5) / (frequency + 0.5))
        weights = (terms.values * idf[places]).astype(np.float32)
        return TermQueries(SparseRows(terms.offsets, terms.indices, weights), length / count if count else 0.0)

    def _of(self, segment: SegmentView, name: str) -> _Texts:
        known = self._texts.get(segment.segment, name)
        if known is not None and known.alive is segment.alive and known.n_rows == segment.n_rows:
            return known
        lengths = _flat(segment, name).lengths
        present = segment.segment.present(name, segment.n_rows)
        alive = segment.alive if present is None else segment.alive & present
        flags = np.unpackbits(alive.view(np.uint8), bitorder="little")[: segment.n_rows].view(bool)
        total = float(lengths[flags].sum(dtype=np.float64))
        found = _Texts(segment.alive, segment.n_rows, bitmaps.count_bits(alive), total)
        self._texts.put(segment.segment, name, found)
        return found


def _flat(segment: SegmentView, name: str) -> TextIndex:
    return cast(TextIndex, segment.segment.flat(name, segment.n_rows))


def _index(segment: SegmentView, name: str) -> TextIndex:
    index = segment.segment.index(name)
    return _flat(segment, name) if index is None else cast(TextIndex, index)
