"""Points given one by one as dictionaries, gathered into batches by column."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from vecstore.client.vectors import build_batch, only_vector
from vecstore.errors import InvalidArgument
from vecstore.schema import Schema
from vecstore.types import Point, PointBatch

# {"id": .., "vector": [..] or "vectors": {name: [..]}, "payload": {..}}, or a point as it was read
PointLike: TypeAlias = Mapping[str, Any] | Point

GATHERED_POINTS = 512
_KEYS = {"id", "vector", "vectors", "payload"}


def batches_of(points: Iterable[PointBatch | PointLike], schema: Schema) -> Iterator[PointBatch]:
    """Batches as they are, dictionaries gathered by a few hundred; order is kept."""
    for is_batch, run in itertools.groupby(points, key=lambda point: isinstance(point, PointBatch)):
        if is_batch:
            yield from run  # type: ignore[misc]
        else:
            while chunk := list(itertools.islice(run, GATHERED_POINTS)):
                yield batch_from_points(chunk, schema)  # type: ignore[arg-type]


def batch_from_points(points: Sequence[PointLike], schema: Schema) -> PointBatch:
    """Turn rows into columns. Raises InvalidArgument (BAD_ID, BAD_VECTOR, BAD_PAYLOAD) naming the point."""
    columns: dict[str, list[Any]] = {}
    rows = [_as_read(point) if isinstance(point, Point) else point for point in points]
    for row, point in enumerate(rows):
        if not isinstance(point, Mapping) or "id" not in point:
            raise InvalidArgument(f"points[{row}] must be a Point, or a dictionary with an id", reason="BAD_ID")
        if unknown := set(point) - _KEYS:
            message = f"points[{row}] has unknown keys {sorted(unknown)}; known: {sorted(_KEYS)}"
            raise InvalidArgument(message, reason="BAD_PAYLOAD")
        named = dict(point.get("vectors") or {})
        if point.get("vector") is not None:
            named[only_vector(schema, None)] = point["vector"]
        for name, vector in named.items():
            columns.setdefault(name, [None] * len(points))[row] = vector
    payloads = [point.get("payload") for point in rows]
    some = any(payload is not None for payload in payloads)
    return build_batch(schema, [point["id"] for point in rows], columns, payloads if some else None)


def _as_read(point: Point) -> Mapping[str, Any]:
    return {"id": point.id, "vectors": point.vectors, "payload": point.payload_json}
