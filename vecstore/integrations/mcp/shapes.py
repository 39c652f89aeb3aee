"""What the tools take and give, from which the protocol's JSON schemas are made."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from vecstore.query.filter import PointId
from vecstore.schema import VectorKind
from vecstore.types import CollectionInfo, Hit, Point


class VectorInfo(BaseModel):
    kind: str = Field(description="dense, binary, sparse, text (searched by words, BM25) or multi")
    dim: int | None = Field(description="numbers of a vector; null where it has no fixed size")
    metric: str = Field(description="scores of l2 and hamming are distances: small is near; of others large is near")
    language: str | None = Field(default=None, description="of a text field")
    embedder: str | None = Field(default=None, description="makes the vectors of texts, so that texts can be given")


class Collection(BaseModel):
    name: str
    points: int
    fields: dict[str, VectorInfo] = Field(description="what can be searched")
    payload_indexes: dict[str, str] = Field(description="payload keys with an index, which filters are fast on")

    @classmethod
    def of(cls, info: CollectionInfo) -> Collection:
        fields = {
            name: VectorInfo(
                kind=field.kind.value,
                dim=field.dim or None,
                metric=field.metric.value,
                language=field.analysis.language if field.kind is VectorKind.TEXT and field.analysis else None,
                embedder=field.embedder,
            )
            for name, field in info.schema.vectors.items()
        }
        indexes = {key: kind.value for key, kind in info.schema.fields.items()}
        return cls(name=info.name, points=info.points, fields=fields, payload_indexes=indexes)


class Collections(BaseModel):
    collections: list[Collection]


class StoredPoint(BaseModel):
    id: str | int
    payload: dict[str, Any]
    score: float | None = Field(default=None, description="of a search; not comparable between searches")

    @classmethod
    def of(cls, point: Point) -> StoredPoint:
        id = str(point.id) if isinstance(point.id, uuid.UUID) else point.id
        score = point.score if isinstance(point, Hit) else None
        return cls(id=id, payload=point.payload or {}, score=score)


class Points(BaseModel):
    points: list[StoredPoint]

    @classmethod
    def of(cls, points: Iterable[Point]) -> Points:
        return cls(points=[StoredPoint.of(point) for point in points])


class NewPoint(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str | int | None = Field(default=None, description="replaces the point with this id; made when left out")
    text: str | None = Field(
        default=None,
        description="found by its words, and by its meaning where there is an embedder; also in the payload as 'text'",
    )
    vector: list[float] | None = Field(default=None, description="for the dense field, where it has no embedder")
    payload: dict[str, Any] = Field(default_factory=dict, description="any JSON object, by which points are filtered")


class Added(BaseModel):
    ids: list[str | int] = Field(description="of the points, in the order given")


def candidates(id: str | int) -> list[PointId]:
    """The ids that a caller may mean: a UUID is a string in JSON."""
    try:
        return [id, uuid.UUID(id)] if isinstance(id, str) else [id]
    except ValueError:
        return [id]
