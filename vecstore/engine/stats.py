"""What a collection holds and what it costs, for `stats`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vecstore.engine.collection import Collection, View
from vecstore.engine.derived import missing_fields, missing_vectors
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.indexing import Indexing
from vecstore.engine.rechecks import recall_tables
from vecstore.engine.row_columns import column_names
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.segment import SegmentView
from vecstore.index_spec import Auto, Flat
from vecstore.index_text import format_index
from vecstore.schema import VectorField


def collection_stats(collection: Collection, indexing: Indexing) -> dict[str, Any]:
    """Counts in rows, sizes in bytes. `deleted` counts rows that compaction will remove; `index_bytes` is of all
    collections."""
    view = collection.view
    segments = [_segment(segment, collection, indexing) for segment in view.segments]
    component_bytes: dict[str, int] = {}
    for segment in segments:
        for component, size in segment["bytes"].items():
            component_bytes[component] = component_bytes.get(component, 0) + size
    rows = sum(segment.n_rows for segment in view.segments)
    return {
        "name": collection.record.name,
        "seq": view.seq,
        "sealed_seq": collection.manifest.sealed_seq,
        "points": view.points,
        "rows": rows,
        "deleted": rows - view.points,
        "vectors": {
            name: {"kind": spec.kind.value, "dim": spec.dim, "metric": spec.metric.value,
                   "datatype": spec.datatype.value, **_indexing(name, spec, view, collection, indexing)}
            for name, spec in collection.schema.vectors.items()
        },
        "fields": {key: kind.value for key, kind in collection.schema.fields.items()},
        "bytes": component_bytes,
        "index_bytes": {"used": indexing.used(), "budget": indexing.budget},
        "log_bytes": collection.log_bytes,
        "segments": segments,
        "state": "ok" if all(not segment["damaged"] for segment in segments) else "damaged",
    }  # fmt: skip


def _indexing(name: str, field: VectorField, view: View, collection: Collection, indexing: Indexing) -> dict[str, Any]:
    """How far the field's index is: `none` (exact search), `building` or `ready` (small segments are scanned), or
    `failed`; rows that an index serves, of all rows, and how many of these are dead but still in its way; rows by what
    answers for them; bytes of the index's parts and of the vectors."""
    sealed = list(collection.sealed.values())
    served: dict[str, int] = {}
    rows_indexed = rows_dead = 0
    for one in view.segments:
        entry = one.segment.header.indexes.get(name) if isinstance(one.segment, SealedSegment) else None
        if entry is not None:
            rows_indexed += one.n_rows
            rows_dead += one.n_rows - one.n_alive
        text = "flat" if entry is None else format_index(entry.spec)
        served[text] = served.get(text, 0) + one.n_rows
    lacking = any(name in missing_vectors(segment, collection.schema, indexing) for segment in sealed)
    refused = [segment.refused[name].why for segment in sealed if _refused(segment, name, field, indexing)]
    sizes: dict[str, int] = {}
    for segment in sealed:
        entry = segment.header.indexes.get(name)
        parts = {} if entry is None else {column: array.split(".")[0] for array, column in entry.arrays.items()}
        rows = [*column_names(name, field), f"norms.{name}", f"present.{name}"]
        parts |= dict.fromkeys(rows, "vectors")
        for column in segment.header.columns:
            if column.name in parts:
                part = parts[column.name]
                sizes[part] = sizes.get(part, 0) + column.ref.length
    described = {
        "index": format_index(field.index or Flat()),
        "index_state": index_state(name, field, sealed, lacking, indexing),
        "rows_indexed": rows_indexed,
        "rows_dead": rows_dead,
        "dead_share": round(rows_dead / max(1, rows_indexed), 4),
        "served_by": served,
        "bytes": sizes,
    }
    return described | ({"index_error": refused[0]} if refused else {})


def index_state(
    name: str, field: VectorField, sealed: Sequence[SealedSegment], lacking: bool, indexing: Indexing
) -> str:
    """`lacking`: some segment has no index that it should have."""
    if field.index in (None, Flat()):
        return "none"
    if any(_refused(segment, name, field, indexing) for segment in sealed):
        return "failed"
    return "building" if lacking else "ready"


def _refused(segment: SealedSegment, name: str, field: VectorField, indexing: Indexing) -> bool:
    refused = segment.refused.get(name)
    return refused is not None and indexing.wanted(segment, name, field).spec in (None, refused.spec)


def _segment(view: SegmentView, collection: Collection, indexing: Indexing) -> dict[str, Any]:
    segment = view.segment
    dead = view.n_rows - view.n_alive
    described: dict[str, Any] = {"rows": view.n_rows, "alive": view.n_alive, "deleted": dead}
    described["dead_share"] = round(dead / max(1, view.n_rows), 4)
    if isinstance(segment, SealedSegment):
        sizes: dict[str, int] = {}
        for column in segment.header.columns:
            component = column.name.split(".")[0]
            sizes[component] = sizes.get(component, 0) + column.ref.length
        return {
            **described,
            "id": segment.header.id,
            "kind": "sealed",
            "bytes": sizes,
            "indexed": sorted(segment.header.fields),
            "vector_indexes": {name: format_index(entry.spec) for name, entry in segment.header.indexes.items()},
            "recall_tables": recall_tables(segment, view.alive),
            "chosen": _chosen(segment, collection, indexing),
            "to_index": sorted(missing_fields(segment, collection)),
            "damaged": dict(segment.quarantined),
        }
    assert isinstance(segment, GrowingSegment)
    sizes = {"vector": segment.nbytes - segment.payload_bytes, "payload": segment.payload_bytes}
    return {**described, "id": None, "kind": "growing", "bytes": sizes, "indexed": segment.indexed,
            "vector_indexes": {}, "recall_tables": {}, "chosen": {}, "to_index": [], "damaged": {}}  # fmt: skip


def _chosen(segment: SealedSegment, collection: Collection, indexing: Indexing) -> dict[str, Any]:
    """What the engine would have each field that is left to it indexed by, and why."""
    found = {}
    for name, field in collection.schema.vectors.items():
        if isinstance(field.index, Auto):
            choice = indexing.wanted(segment, name, field)
            found[name] = {"index": format_index(choice.spec or Flat()), "why": choice.why}
    return found
