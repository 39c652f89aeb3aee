"""Points and hits by column, and the hits of one query as a sequence of `Hit` that are made when they are asked for.

A batch of queries gives thousands of hits, of which a caller may read no more than the ids: an object for each would
take longer than an index does to find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeAlias, overload

import numpy as np

from vecstore.quality import Quality
from vecstore.query.filter import PointId
from vecstore.rows import StoredVector
from vecstore.types import Hit, Point
from vecstore.usage import Spent, Usage, usage_of

Payloads: TypeAlias = list[bytes | None] | None  # encoded, one a point; None when none was asked for
VectorsOf: TypeAlias = list[dict[str, StoredVector] | None] | None  # by field, one dictionary a point


@dataclass(slots=True)
class PointColumns:
    """Points by column: `ids` is uint64 (n,) when all are numbers, else objects; `seqs` is uint64 (n,)."""

    ids: np.ndarray
    seqs: np.ndarray
    payloads: Payloads = None
    vectors: VectorsOf = None
    held: Any = None  # room in memory that is taken as long as these are there

    def points(self) -> list[Point]:
        return list(map(Point, *self.lists(slice(None))))

    def lists(self, part: slice) -> tuple[Iterable[Any], ...]:
        """(ids, seqs, payloads, vectors) of a part, as Python values in the order of `Point`'s fields."""
        payloads = repeat(None) if self.payloads is None else self.payloads[part]
        vectors = repeat(None) if self.vectors is None else self.vectors[part]
        return self.ids[part].tolist(), self.seqs[part].tolist(), payloads, vectors


@dataclass(slots=True)
class Answers:
    """The hits of queries that were answered together, one query's after the other's. `scores` is float32 (n,)."""

    points: PointColumns
    scores: np.ndarray
    seq: int
    explain: dict[str, Any] | None = None
    legs: list[dict[int, float]] | None = None  # of a fusion, one a hit
    quality: Quality | None = None
    usage: Usage | Spent | None = None


class Hits(Sequence[Hit]):
    """The hits of one query, best first: a sequence of `Hit` (`.id`, `.score`, `.payload`, `.vectors`), with `ids` and
    `scores` as arrays. `seq` is what the query saw, `quality` how good the answer is (`.est_recall`, `.complete`,
    `.strategy`), `usage` what it took (`.time_us`, `.segments`, `.rows_scored`, of `.queries`), `explain` how it was
    found where that was asked for."""

    __slots__ = ("_answers", "_high", "_low")

    def __init__(self, answers: Answers, low: int, high: int) -> None:
        """Hits `low` to `high` - 1 of `answers`."""
        self._answers, self._low, self._high = answers, low, high

    @classmethod
    def of(
        cls,
        hits: Iterable[Hit],
        seq: int = 0,
        explain: dict[str, Any] | None = None,
        quality: Quality | None = None,
        usage: Usage | None = None,
    ) -> Hits:
        """From hits one by one."""
        listed = list(hits)
        columns = PointColumns(
            id_array([hit.id for hit in listed]),
            np.array([hit.seq for hit in listed], dtype=np.uint64),
            [hit.payload_json for hit in listed],
            [hit.vectors for hit in listed],
        )
        scores = np.array([hit.score for hit in listed], dtype=np.float32)
        legs = [hit.legs or {} for hit in listed] if any(hit.legs is not None for hit in listed) else None
        return cls(Answers(columns, scores, seq, explain, legs, quality, usage), 0, len(listed))

    @property
    def seq(self) -> int:
        return self._answers.seq

    @property
    def explain(self) -> dict[str, Any] | None:
        return self._answers.explain

    @property
    def quality(self) -> Quality | None:
        """None where these are no answer to a query."""
        return self._answers.quality

    @property
    def usage(self) -> Usage | None:
        """None where these are no answer to a query, or of a server that does not say."""
        usage = self._answers.usage
        return usage_of(usage) if isinstance(usage, tuple) else usage

    @property
    def ids(self) -> np.ndarray:
        """Ids in order: uint64 when all are numbers, else an object array."""
        return self._answers.points.ids[self._low : self._high]

    @property
    def scores(self) -> np.ndarray:
        """Scores in order, float32."""
        return self._answers.scores[self._low : self._high]

    @property
    def legs(self) -> list[dict[int, float]] | None:
        """Of a fusion, the scores of each hit in the prefetches that found it, by the prefetch's place."""
        legs = self._answers.legs
        return None if legs is None else legs[self._low : self._high]

    def values(self) -> Iterator[tuple[PointId, int, bytes | None, dict[str, StoredVector] | None, float]]:
        """The fields of each `Hit`, without making one."""
        part = slice(self._low, self._high)
        return zip(*self._answers.points.lists(part), self._answers.scores[part].tolist(), strict=False)

    def __iter__(self) -> Iterator[Hit]:
        part = slice(self._low, self._high)
        legs = repeat(None) if self._answers.legs is None else self._answers.legs[part]
        return map(Hit, *self._answers.points.lists(part), self._answers.scores[part].tolist(), legs)

    def __len__(self) -> int:
        return self._high - self._low

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> list[Hit]: ...
    def __getitem__(self, place: int | slice) -> Hit | list[Hit]:
        if isinstance(place, slice):
            return list(self)[place]
        at = range(self._low, self._high)[place]
        return next(iter(Hits(self._answers, at, at + 1)))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Hits | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # like a list

    def __repr__(self) -> str:
        return repr(list(self))


def id_array(ids: Sequence[PointId]) -> np.ndarray:
    """Ids as a column: uint64 when all are numbers, else an object array."""
    if all(isinstance(one, int) for one in ids):
        return np.array(ids, dtype=np.uint64)
    column = np.empty(len(ids), dtype=object)
    column[:] = ids
    return column
