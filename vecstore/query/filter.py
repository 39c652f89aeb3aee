"""The filter tree: plain frozen values. `parse.py` reads it from dictionaries, `builder.py` from Python expressions,
`vecstore.wire` from protobuf; `evaluate.py` turns it into the rows of a segment. docs/FILTERS.md defines what matches."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

import msgspec

PointId: TypeAlias = int | UUID | str
Scalar: TypeAlias = str | int | float | bool


class MatchValue(msgspec.Struct, frozen=True):
    key: str
    value: Scalar


class MatchAny(msgspec.Struct, frozen=True):
    key: str
    values: tuple[Scalar, ...]


class MatchExcept(msgspec.Struct, frozen=True):
    key: str
    values: tuple[Scalar, ...]


class MatchText(msgspec.Struct, frozen=True):
    """Every token of `text` occurs in the value."""

    key: str
    text: str


class MatchPhrase(msgspec.Struct, frozen=True):
    """The tokens of `text` occur one after another."""

    key: str
    text: str


class MatchPrefix(msgspec.Struct, frozen=True):
    """A string value starts with `prefix`."""

    key: str
    prefix: str


class Range(msgspec.Struct, frozen=True):
    """Bounds on a number; with `datetime` set, bounds are microseconds since 1970 UTC and values are RFC 3339 text."""

    key: str
    gt: int | float | None = None
    gte: int | float | None = None
    lt: int | float | None = None
    lte: int | float | None = None
    datetime: bool = False


class Exists(msgspec.Struct, frozen=True):
    key: str


class IsNull(msgspec.Struct, frozen=True):
    key: str


class IsEmpty(msgspec.Struct, frozen=True):
    key: str


class ValuesCount(msgspec.Struct, frozen=True):
    key: str
    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


class GeoRadius(msgspec.Struct, frozen=True):
    """Values {"lat": .., "lon": ..} within `radius_m` metres (haversine, sphere of 6,371,008.8 m)."""

    key: str
    lat: float
    lon: float
    radius_m: float


class GeoBoundingBox(msgspec.Struct, frozen=True):
    """Values inside the box; `left` > `right` crosses the date line."""

    key: str
    top: float
    left: float
    bottom: float
    right: float


class HasId(msgspec.Struct, frozen=True):
    ids: tuple[PointId, ...]


class HasVector(msgspec.Struct, frozen=True):
    name: str


class Nested(msgspec.Struct, frozen=True):
    """One object inside the array at `key` satisfies the whole inner filter (its keys are relative to the object)."""

    key: str
    filter: Filter


class MinShould(msgspec.Struct, frozen=True):
    conditions: tuple[Condition, ...]
    min_count: int


class Filter(msgspec.Struct, frozen=True):
    """All of `must`, none of `must_not`, at least one of `should` when there are any, and `min_should` when set."""

    must: tuple[Condition, ...] = ()
    should: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()
    min_should: MinShould | None = None


Condition: TypeAlias = (
    MatchValue
    | MatchAny
    | MatchExcept
    | MatchText
    | MatchPhrase
    | MatchPrefix
    | Range
    | Exists
    | IsNull
    | IsEmpty
    | ValuesCount
    | GeoRadius
    | GeoBoundingBox
    | HasId
    | HasVector
    | Nested
    | Filter
)
