"""Which index each segment should have: what the schema says, or what the engine chooses where it says `auto`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vecstore.config import Storage as StorageSettings
from vecstore.engine.collection import Collection
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.header import Manifest
from vecstore.engine.sealed import SealedSegment
from vecstore.index import auto
from vecstore.index.auto import Choice
from vecstore.index_spec import Auto, Flat, Index, Inverted
from vecstore.index_text import format_index
from vecstore.schema import Schema, VectorField, weight_of


class Indexing:
    """Threads may share one object."""

    def __init__(self, settings: StorageSettings, collections: Callable[[], Sequence[Collection]]) -> None:
        self._settings = settings
        self._collections = collections
        self._sums: dict[int, tuple[Manifest, int]] = {}  # by collection; a manifest is replaced when it changes
        self.budget = settings.index_memory_bytes

    def wanted(
        self, segment: SealedSegment, name: str, field: VectorField, replaced: Sequence[SealedSegment] = ()
    ) -> Choice:
        """`replaced` are the segments in whose place `segment` is about to come; they are in use still."""
        n_rows, entry = segment.header.n_rows, segment.header.indexes.get(name)
        tokens = segment.tokens(name, n_rows)
        if not isinstance(field.index, Auto):
            return self._asked_for(field, n_rows, tokens, None if entry is None else entry.spec)
        has = entry.spec if entry is not None else _most_rows_by(replaced, name)
        rows_min = self._settings.auto_index_rows_min
        used, refused = self._used_by_others(segment, name, replaced), segment.refused.get(name)
        without = refused.spec if refused is not None and not refused.cancelled else None
        choice = auto.choose(field, n_rows, has, used, self.budget, rows_min, without, tokens)
        if refused is None or without is None:
            return choice
        return Choice(choice.spec, f"{choice.why}; {format_index(without)} could not be built: {refused.why}")

    def planned(self, field: VectorField, n_rows: int, tokens: float, used: int) -> Choice:
        """What a new segment of so many rows, and of multi-vectors so many tokens, would have, beside `used` bytes of
        other indexes."""
        if not isinstance(field.index, Auto):
            return self._asked_for(field, n_rows, tokens, None)
        rows_min = self._settings.auto_index_rows_min
        return auto.choose(field, n_rows, None, used, self.budget, rows_min, tokens=tokens)

    def _asked_for(self, field: VectorField, n_rows: int, tokens: float, has: Index | None) -> Choice:
        if field.index in (None, Flat()):
            return Choice(None)
        assert field.index is not None
        few = weight_of(n_rows, tokens) < self._settings.index_rows_min and has in (None, Inverted())
        return auto.few_rows(field, n_rows, self._settings.index_rows_min) if few else Choice(field.index)

    def used_beside(self, collection: Collection) -> int:
        """Bytes of the vector indexes of other collections."""
        return self.used() - self._used(collection)

    def has_enough(self, schema: Schema, segment: GrowingSegment) -> bool:
        """Whether a field would have an index if the segment were sealed."""
        for name, field in schema.vectors.items():
            if isinstance(field.index, Auto) and auto.tiers(field):
                rows_min = self._settings.auto_index_rows_min
            elif field.index not in (None, Auto(), Flat()):
                rows_min = self._settings.index_rows_min
            else:
                continue
            if weight_of(segment.n_rows, segment.tokens(name, segment.n_rows)) >= rows_min:
                return True
        return False

    def used(self) -> int:
        """Bytes of all vector indexes."""
        return sum(self._used(collection) for collection in self._collections())

    def _used_by_others(self, segment: SealedSegment, name: str, replaced: Sequence[SealedSegment]) -> int:
        own = segment.header.index_bytes()
        others = own.pop(name, 0)
        if replaced:  # `segment` does not count yet, and they will not count any more
            gone = sum(sum(old.header.index_bytes().values()) for old in replaced)
            return max(0, self.used() - gone + sum(own.values()))
        return max(0, self.used() - others)

    def _used(self, collection: Collection) -> int:
        manifest = collection.manifest
        known = self._sums.get(collection.number)
        if known is None or known[0] is not manifest:
            total = sum(sum(header.index_bytes().values()) for header in manifest.segments)
            known = self._sums[collection.number] = manifest, total
        return known[1]


def _most_rows_by(segments: Sequence[SealedSegment], name: str) -> Index | None:
    """The spec of the largest segment's index."""
    indexed = [segment.header for segment in segments if name in segment.header.indexes]
    largest = max(indexed, key=lambda header: header.n_rows, default=None)
    return None if largest is None else largest.indexes[name].spec
