"""A filter over the rows of one segment.

Every condition becomes two sets of rows, those that match for sure and those that only their payload can decide; groups
combine them in three-valued logic (Kleene). What is left open at the root is scanned once, so that a scan decodes each
payload once however many conditions need it, and sees only rows that the indexes could not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pyroaring import BitMap

from vecstore.errors import InvalidArgument
from vecstore.query.bitmaps import all_rows, bitmap_from_words, bitmap_words, from_mask
from vecstore.query.filter import (
    Condition,
    Exists,
    Filter,
    HasId,
    HasVector,
    IsEmpty,
    IsNull,
    MatchAny,
    MatchExcept,
    MatchPhrase,
    MatchPrefix,
    MatchText,
    MatchValue,
    MinShould,
    PointId,
    Range,
    ValuesCount,
)
from vecstore.query.index_answers import Answer, can_answer, listed_values
from vecstore.query.match import compile_filter
from vecstore.query.payload_index import FieldIndex
from vecstore.schema import FieldKind

__all__ = ["EvalStats", "PayloadSource", "bitmap_from_words", "bitmap_words", "evaluate", "require_indexes"]


class PayloadSource(Protocol):
    """Rows 0..n_rows-1 of a segment. Answers may hold rows past `n_rows`, written since; they are ignored."""

    @property
    def n_rows(self) -> int: ...
    def field_index(self, key: str) -> FieldIndex | None: ...

    def payloads(self, rows: BitMap | None) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Decoded payloads of `rows`, or of all rows."""

    def rows_of_ids(self, ids: Sequence[PointId]) -> BitMap: ...
    def rows_with_vector(self, name: str) -> BitMap: ...


@dataclass(slots=True)
class EvalStats:
    """Counters for explain, summed over calls."""

    conditions_indexed: int = 0
    conditions_scanned: int = 0  # conditions without an index that answers them
    rows_scanned: int = 0  # payloads decoded


def evaluate(
    filter: Filter,
    source: PayloadSource,
    *,
    strict: bool = False,
    within: BitMap | None = None,
    stats: EvalStats | None = None,
) -> BitMap:
    """The rows that match `filter`, which has passed `check_filter`. `within` bounds the answer (and so the scan), for
    example to live rows; without it dead rows are answered like others.

    With `strict`, raises InvalidArgument (INDEX_REQUIRED) when a condition has no index that answers it.
    """
    if strict:
        require_indexes(filter, lambda key: index.kind if (index := source.field_index(key)) else None)
    every_row = all_rows(source.n_rows)
    if within is not None:
        every_row &= within
    evaluation = _Evaluation(source, every_row, stats or EvalStats())
    answer = evaluation.filter(filter)
    return answer.sure | evaluation.scan(filter, answer.maybe) if answer.maybe else answer.sure


def bounds(filter: Filter, source: PayloadSource, within: BitMap) -> tuple[int, int]:
    """How many rows of `within` match for sure, and how many may; what lies between, `evaluate` would read payloads
    for. Reads none."""
    answer = _Evaluation(source, within, EvalStats()).filter(filter)
    return len(answer.sure), len(answer.sure | answer.maybe)


class _Evaluation:
    def __init__(self, source: PayloadSource, every_row: BitMap, stats: EvalStats) -> None:
        self._source = source
        self._every_row = every_row
        self._stats = stats
        self._point_rows: dict[int, BitMap] = {}  # by identity of the condition, which the filter keeps alive

    def filter(self, filter: Filter) -> Answer:
        sure = possible = self._every_row
        for condition in sorted(filter.must, key=self._cost):
            answer = self._condition(condition)
            sure, possible = sure & answer.sure, possible & (answer.sure | answer.maybe)
            if not possible:
                return Answer(possible, possible)
        for condition in sorted(filter.must_not, key=self._cost):
            answer = self._condition(condition)
            sure, possible = sure - answer.sure - answer.maybe, possible - answer.sure
            if not possible:
                return Answer(possible, possible)
        if filter.should:
            answer = self._any(filter.should)
            sure, possible = sure & answer.sure, possible & (answer.sure | answer.maybe)
        if filter.min_should is not None:
            answer = self._at_least(filter.min_should)
            sure, possible = sure & answer.sure, possible & (answer.sure | answer.maybe)
        return Answer(sure, possible - sure)

    def _any(self, conditions: Sequence[Condition]) -> Answer:
        sure, possible = BitMap(), BitMap()
        for condition in sorted(conditions, key=self._cost):
            answer = self._condition(condition)
            sure, possible = sure | answer.sure, possible | answer.maybe
            if len(sure) == len(self._every_row):
                break
        return Answer(sure, possible - sure)

    def _at_least(self, some: MinShould) -> Answer:
        size = self._every_row.max() + 1 if self._every_row else 0
        sure, possible = np.zeros(size, dtype=np.uint32), np.zeros(size, dtype=np.uint32)
        for condition in some.conditions:
            answer = self._condition(condition)
            sure[np.frombuffer(answer.sure.to_array(), dtype=np.uint32)] += 1
            possible[np.frombuffer((answer.sure | answer.maybe).to_array(), dtype=np.uint32)] += 1
        sure_rows = from_mask(sure >= some.min_count)
        return Answer(
            sure_rows & self._every_row, (from_mask(possible >= some.min_count) - sure_rows) & self._every_row
        )

    def _condition(self, condition: Condition) -> Answer:
        """Never more than the rows asked about."""
        if isinstance(condition, Filter):
            return self.filter(condition)
        if isinstance(condition, HasId | HasVector):
            self._stats.conditions_indexed += 1
            return Answer(self._rows_of_points(condition) & self._every_row, BitMap())
        index = self._source.field_index(condition.key)
        answer = index.answer(condition, self._every_row) if index else None
        if answer is not None:
            self._stats.conditions_indexed += 1
            return Answer(answer.sure & self._every_row, answer.maybe & self._every_row)
        self._stats.conditions_scanned += 1
        # The presence conditions never get here with an index, and every other one needs a value.
        return Answer(BitMap(), index.rows_with_values() & self._every_row if index else self._every_row)

    def _cost(self, condition: Condition) -> int:
        """Cheap ones first, so that an empty intersection ends the work early."""
        if isinstance(condition, HasId | HasVector):
            return 0
        if isinstance(condition, Filter):
            return 3
        index = self._source.field_index(condition.key)
        if index is None or not can_answer(index.kind, condition):
            return 4
        return 1 if isinstance(condition, MatchValue | Exists | IsNull | IsEmpty) else 2

    def _rows_of_points(self, condition: HasId | HasVector) -> BitMap:
        rows = self._point_rows.get(id(condition))
        if rows is None:
            if isinstance(condition, HasId):
                rows = self._source.rows_of_ids(condition.ids)
            else:
                rows = self._source.rows_with_vector(condition.name)
            self._point_rows[id(condition)] = rows
        return rows

    def scan(self, filter: Filter, rows: BitMap) -> BitMap:
        test = compile_filter(filter)
        row = -1

        def point_test(condition: HasId | HasVector) -> bool:
            return row in self._rows_of_points(condition)

        found = []
        everything = len(rows) == self._source.n_rows
        for row, payload in self._source.payloads(None if everything else rows):
            if test(payload or {}, point_test):
                found.append(row)
        self._stats.rows_scanned += len(rows)
        return BitMap(found)


def require_indexes(filter: Filter, kind_of: Callable[[str], FieldKind | None]) -> None:
    """Raises InvalidArgument (INDEX_REQUIRED) for the first condition that no index answers. `kind_of` gives the kind
    of the index on a key, None without one."""
    waiting: list[Condition] = [filter]
    while waiting:
        condition = waiting.pop()
        if isinstance(condition, Filter):
            some = condition.min_should.conditions if condition.min_should else ()
            waiting.extend((*some, *condition.must_not, *condition.should, *condition.must))
        elif not isinstance(condition, HasId | HasVector):
            kind = kind_of(condition.key)
            if kind is None or not can_answer(kind, condition):
                raise _index_required(condition, kind)


def _index_required(condition: Condition, kind: FieldKind | None) -> InvalidArgument:
    key, name = getattr(condition, "key", ""), type(condition).__name__
    wanted = _fitting_kind(condition)
    if wanted is None:
        why = f"strict filters refuse {name} on {key!r}: no kind of index answers it"
    else:
        has = f"its {kind} index does not answer {name}" if kind else "it has none"
        why = f"strict filters need an index on {key!r} and {has}; call create_field_index({key!r}, {str(wanted)!r})"
    return InvalidArgument(why, reason="INDEX_REQUIRED", metadata={"key": key}, field_violations=[("filter", why)])


def _fitting_kind(condition: Condition) -> FieldKind | None:
    if isinstance(condition, MatchText | MatchPhrase):
        return FieldKind.TEXT
    if isinstance(condition, Range):
        if condition.datetime:
            return FieldKind.DATETIME
        bounds = (condition.gt, condition.gte, condition.lt, condition.lte)
        return FieldKind.FLOAT if any(isinstance(bound, float) for bound in bounds) else FieldKind.INTEGER
    if isinstance(condition, MatchValue | MatchAny | MatchExcept):
        values = listed_values(condition) or ("",)
        kinds = {bool: FieldKind.BOOL, int: FieldKind.INTEGER, float: FieldKind.FLOAT}
        return kinds.get(type(values[0]), FieldKind.KEYWORD)
    if isinstance(condition, MatchPrefix | Exists | IsNull | IsEmpty | ValuesCount):
        return FieldKind.KEYWORD
    return None
