"""The filter tree: plain frozen values, combined with `&`, `|` and `~`.

`parse.py` reads it from dictionaries, `builder.py` from Python expressions, `vecstore.wire` from protobuf;
`evaluate.py` turns it into the rows of a segment. docs/FILTERS.md defines what matches.
"""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

import msgspec

PointId: TypeAlias = int | UUID | str
Scalar: TypeAlias = str | int | float | bool


class MatchValue(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    key: str
    value: Scalar


class MatchAny(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    key: str
    values: tuple[Scalar, ...]


class MatchExcept(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    key: str
    values: tuple[Scalar, ...]


class MatchText(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Every token of `text` occurs in the value."""

    key: str
    text: str


class MatchPhrase(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """The tokens of `text` occur one after another."""

    key: str
    text: str


class MatchPrefix(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A string value starts with `prefix`."""

    key: str
    prefix: str


class Range(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Bounds on a number; with `datetime` set, bounds are microseconds since 1970 UTC and values are RFC 3339 text."""

    key: str
    gt: int | float | None = None
    gte: int | float | None = None
    lt: int | float | None = None
    lte: int | float | None = None
    datetime: bool = False


class Exists(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    key: str


class IsNull(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    key: str


class IsEmpty(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    key: str


class ValuesCount(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    key: str
    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


class GeoRadius(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Values {"lat": .., "lon": ..} within `radius_m` metres (haversine, sphere of 6,371,008.8 m)."""

    key: str
    lat: float
    lon: float
    radius_m: float


class GeoBoundingBox(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Values inside the box; `left` > `right` crosses the date line."""

    key: str
    top: float
    left: float
    bottom: float
    right: float


class HasId(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    ids: tuple[PointId, ...]


class HasVector(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    name: str


class Nested(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One object inside the array at `key` satisfies the whole inner filter (its keys are relative to the object)."""

    key: str
    filter: Filter


class MinShould(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    conditions: tuple[Condition, ...]
    min_count: int


class Filter(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """All of `must`, none of `must_not`, at least one of `should` when there are any, and `min_should` when set."""

    must: tuple[Condition, ...] = ()
    should: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()
    min_should: MinShould | None = None

    def __and__(self, other: Filter) -> Filter:
        return Filter(must=self._all_of() + other._all_of())

    def __or__(self, other: Filter) -> Filter:
        return Filter(should=self._any_of() + other._any_of())

    def __invert__(self) -> Filter:
        alternatives = self._any_of()  # none of them holds
        return Filter(must_not=alternatives)

    def __bool__(self) -> bool:
        """Refused: `a and b` would be `b` alone, and `not a` False."""
        raise TypeError("a filter is neither true nor false: combine filters with & | ~, not with and, or, not")

    def _only(self, group: str) -> bool:
        return all(name == group or not getattr(self, name) for name in self.__struct_fields__)

    def _all_of(self) -> tuple[Condition, ...]:
        """Conditions whose conjunction is this filter; chains of `&` stay flat."""
        return self.must if self._only("must") else (self,)

    def _any_of(self) -> tuple[Condition, ...]:
        """Conditions whose disjunction is this filter; chains of `|` stay flat."""
        if len(self.must) == 1 and self._only("must"):
            return self.must
        return self.should if self.should and self._only("should") else (self,)


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
