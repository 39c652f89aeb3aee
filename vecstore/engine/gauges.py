"""A collection's state in numbers, for those who watch it: a part of `stats` that is cheap enough to ask for often."""

from __future__ import annotations

from dataclasses import dataclass, field

from vecstore.engine.collection import Collection
from vecstore.engine.derived import missing_vectors
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.indexing import Indexing
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.stats import index_state


@dataclass(slots=True)
class FieldGauges:
    """`state`: none (exact search), building, ready or failed."""

    state: str
    rows_indexed: int = 0


@dataclass(slots=True)
class Gauges:
    """Rows and bytes. `failed` says why the collection answers nothing; `damaged` counts segments of which a column
    cannot be read, whose rest is served."""

    points: int = 0
    seq: int = 0
    rows_deleted: int = 0
    rows_growing: int = 0
    bytes_growing: int = 0
    bytes_sealed: int = 0
    bytes_log: int = 0
    segments_sealed: int = 0
    segments_growing: int = 0
    damaged: int = 0
    failed: str | None = None
    fields: dict[str, FieldGauges] = field(default_factory=dict)


def collection_gauges(collection: Collection, indexing: Indexing) -> Gauges:
    """Takes tens of microseconds and some for each segment."""
    view = collection.view
    found = Gauges(points=view.points, seq=view.seq, bytes_log=collection.log_bytes)
    if collection.failed is not None:
        found.failed = str(collection.failed)
        return found
    indexed = dict.fromkeys(collection.schema.vectors, 0)
    for one in view.segments:
        segment = one.segment
        found.rows_deleted += one.n_rows - one.n_alive
        if isinstance(segment, GrowingSegment):
            found.segments_growing += 1
            found.rows_growing += one.n_rows
            found.bytes_growing += segment.nbytes
        elif isinstance(segment, SealedSegment):
            found.segments_sealed += 1
            found.bytes_sealed += sum(column.ref.length for column in segment.header.columns)
            found.damaged += bool(segment.quarantined)
            for name in segment.header.indexes:
                if name in indexed:
                    indexed[name] += one.n_rows
    sealed = list(collection.sealed.values())
    lacking = [missing_vectors(segment, collection.schema, indexing) for segment in sealed]
    for name, spec in collection.schema.vectors.items():
        state = index_state(name, spec, sealed, any(name in missing for missing in lacking), indexing)
        found.fields[name] = FieldGauges(state, indexed[name])
    return found
