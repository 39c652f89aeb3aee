"""What a collection holds and what it costs, for `stats`."""

from __future__ import annotations

from typing import Any

from vecstore.engine.collection import Collection
from vecstore.engine.derived import missing_fields, missing_vectors
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.segment import SegmentView
from vecstore.index_text import format_index
from vecstore.schema import VectorField


def collection_stats(collection: Collection, rows_min: int) -> dict[str, Any]:
    """Counts in rows, sizes in bytes. `deleted` counts rows that compaction will remove."""
    view = collection.view
    segments = [_segment(segment, collection) for segment in view.segments]
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
                   "datatype": spec.datatype.value, **_indexing(name, spec, collection, rows_min)}
            for name, spec in collection.schema.vectors.items()
        },
        "fields": {key: kind.value for key, kind in collection.schema.fields.items()},
        "bytes": component_bytes,
        "log_bytes": collection.log_bytes,
        "segments": segments,
        "state": "ok" if all(not segment["damaged"] for segment in segments) else "damaged",
    }  # fmt: skip


def _indexing(name: str, field: VectorField, collection: Collection, rows_min: int) -> dict[str, Any]:
    """How far the field's index is: `none` (exact search), `building` or `ready` (small segments are scanned), or
    `failed`; rows that an index serves, of all rows; bytes of the index's parts and of the vectors."""
    sealed = list(collection.sealed.values())
    indexed = {segment.uid: segment.header.n_rows for segment in sealed if name in segment.header.indexes}
    lacking = [segment for segment in sealed if name in missing_vectors(segment, collection.schema, rows_min)]
    refused = [segment.refused[name].why for segment in sealed if _refused(segment, name, field)]
    state = "failed" if refused else "building" if lacking else "ready"
    sizes: dict[str, int] = {}
    for segment in sealed:
        entry = segment.header.indexes.get(name)
        parts = {} if entry is None else {column: array.split(".")[0] for array, column in entry.arrays.items()}
        parts |= {f"vector.{name}": "vectors", f"norms.{name}": "vectors", f"present.{name}": "vectors"}
        for column in segment.header.columns:
            if column.name in parts:
                part = parts[column.name]
                sizes[part] = sizes.get(part, 0) + column.ref.length
    described = {
        "index": "flat" if field.built is None else format_index(field.built),
        "index_state": "none" if field.built is None else state,
        "rows_indexed": sum(indexed.values()),
        "bytes": sizes,
    }
    return described | ({"index_error": refused[0]} if refused else {})


def _refused(segment: SealedSegment, name: str, field: VectorField) -> bool:
    refused = segment.refused.get(name)
    return refused is not None and refused.spec == field.built


def _segment(view: SegmentView, collection: Collection) -> dict[str, Any]:
    segment = view.segment
    described: dict[str, Any] = {"rows": view.n_rows, "alive": view.n_alive, "deleted": view.n_rows - view.n_alive}
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
            "to_index": sorted(missing_fields(segment, collection)),
            "damaged": dict(segment.quarantined),
        }
    assert isinstance(segment, GrowingSegment)
    sizes = {"vector": segment.nbytes - segment.payload_bytes, "payload": segment.payload_bytes}
    return {**described, "id": None, "kind": "growing", "bytes": sizes, "indexed": segment.indexed,
            "vector_indexes": {}, "to_index": [], "damaged": {}}  # fmt: skip
