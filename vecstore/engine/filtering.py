"""From a filter to the live rows of a segment, with a cache of what filters select in sealed segments."""

from __future__ import annotations

import threading

from cachetools import LRUCache

from vecstore.config import Search
from vecstore.engine import bitmaps
from vecstore.engine.segment import SegmentView
from vecstore.kernels.base import Bitmap, Int64Array
from vecstore.query.bitmaps import bitmap_words
from vecstore.query.evaluate import EvalStats, evaluate, require_indexes
from vecstore.query.filter import Filter
from vecstore.query.schema_check import check_vectors
from vecstore.schema import Schema


class Filtering:
    """Threads may share one object."""

    def __init__(self, settings: Search) -> None:
        self._strict = settings.strict_filters
        self._lock = threading.Lock()
        self._cache: LRUCache[tuple[str, str], Bitmap] = LRUCache(
            max(1, settings.filter_cache_bytes), getsizeof=lambda words: max(1, words.nbytes)
        )

    @property
    def cached_bytes(self) -> int:
        return int(self._cache.currsize)

    def check(self, where: Filter | None, schema: Schema) -> None:
        """Raises InvalidArgument: VECTOR_NAME_UNKNOWN for a vector that the schema does not have; in strict mode,
        INDEX_REQUIRED for a key without an index."""
        if where is None:
            return
        check_vectors(where, schema.vectors)
        if self._strict:
            require_indexes(where, schema.fields.get)

    def allowed(self, view: SegmentView, where: Filter | None, stats: EvalStats | None = None) -> Bitmap:
        """The live rows that match, as packed words that must not be changed."""
        if where is None:
            return view.alive
        return self._matching(view, where, stats) & view.alive

    def live_rows(self, view: SegmentView, where: Filter | None) -> Int64Array:
        return bitmaps.set_bits(self.allowed(view, where))

    def _matching(self, view: SegmentView, where: Filter, stats: EvalStats | None) -> Bitmap:
        if not view.segment.sorted_by_id:  # growing segments change under the cache
            return bitmap_words(evaluate(where, view, stats=stats), view.n_rows)
        key = (view.segment.uid, repr(where))  # repr keeps 1, 1.0 and True apart, which compare equal
        with self._lock:
            words = self._cache.get(key)
        if words is None:
            words = bitmap_words(evaluate(where, view, stats=stats), view.n_rows)
            with self._lock:
                if words.nbytes <= self._cache.maxsize:
                    self._cache[key] = words
        return words
