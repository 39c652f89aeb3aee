"""From a filter to the live rows of a segment, with a cache of what filters select in sealed segments."""

from __future__ import annotations

from vecstore.config import Search
from vecstore.engine import bitmaps
from vecstore.engine.segment import SegmentView
from vecstore.engine.segment_cache import SegmentCache
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
        self._cache: SegmentCache[Bitmap] = SegmentCache(
            settings.filter_cache_bytes, lambda words: max(1, words.nbytes)
        )

    @property
    def cached_bytes(self) -> int:
        return self._cache.size

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
        key = repr(where)  # which keeps 1, 1.0 and True apart, which compare equal
        words = self._cache.get(view.segment, key)
        if words is None:
            words = bitmap_words(evaluate(where, view, stats=stats), view.n_rows)
            self._cache.put(view.segment, key, words)
        return words
