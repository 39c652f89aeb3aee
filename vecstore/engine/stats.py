"""What a collection holds and what it costs, for `stats`."""

from __future__ import annotations

from typing import Any

from vecstore.engine.collection import Collection
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.maintenance import missing_fields
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.segment import SegmentView


def collection_stats(collection: Collection) -> dict[str, Any]:
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
                   "datatype": spec.datatype.value, "index": "flat"}
            for name, spec in collection.schema.vectors.items()
        },
        "fields": {key: kind.value for key, kind in collection.schema.fields.items()},
        "bytes": component_bytes,
        "log_bytes": collection.log_bytes,
        "segments": segments,
        "state": "ok" if all(not segment["damaged"] for segment in segments) else "damaged",
    }  # fmt: skip


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
            "to_index": sorted(missing_fields(segment, collection)),
            "damaged": dict(segment.quarantined),
        }
    assert isinstance(segment, GrowingSegment)
    sizes = {"vector": segment.nbytes - segment.payload_bytes, "payload": segment.payload_bytes}
    return {**described, "id": None, "kind": "growing", "bytes": sizes, "indexed": segment.indexed, "to_index": [],
            "damaged": {}}  # fmt: skip
