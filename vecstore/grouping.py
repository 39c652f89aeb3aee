"""Queries whose answers are grouped by a payload key, such as the best chunks of each document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vecstore.hits import Hits
from vecstore.quality import Quality
from vecstore.query.filter import Scalar
from vecstore.types import QueryRequest
from vecstore.usage import Usage


@dataclass(slots=True)
class GroupsRequest:
    """The first `query.k` groups of points with the same value at the payload key `by`, in the order of their best
    hits, each with its `size` best hits.

    Values are strings, integers of 64 bits (1.0 is 1) and booleans. A point with an array belongs to the group of each
    of its values; one without such a value to none, and is left out."""

    query: QueryRequest
    by: str
    size: int = 3


@dataclass(slots=True)
class Group:
    """The points with `value`, best first."""

    value: Scalar
    hits: Hits


@dataclass(slots=True)
class Groups:
    """`groups` in the order of their best hits; `seq`, `explain`, `quality` and `usage` as of `Hits`."""

    groups: list[Group]
    seq: int
    explain: dict[str, Any] | None = None
    quality: Quality | None = None
    usage: Usage | None = None
