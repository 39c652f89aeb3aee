"""What each kind of index answers: rows that match for sure, and rows that only their payload can decide.

An index holds all values of its own type, except those it cannot hold exactly (LEFTOVER); rows with values of another
type are FOREIGN. So a condition about the index's type leaves the LEFTOVER rows open, one about another type the
FOREIGN rows, and nothing else: an index's answer completed by a scan of the open rows equals a scan of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_

from pyroaring import BitMap

from vecstore.query.filter import (
    Condition,
    Exists,
    GeoBoundingBox,
    GeoRadius,
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
    Nested,
    Range,
    Scalar,
    ValuesCount,
)
from vecstore.query.index_flags import FALSE, FOREIGN, LEFTOVER, MULTI, NULL, PRESENT, TRUE, VALUED, Flags
from vecstore.query.index_numbers import Numbers, exact_float64, exact_int64, float_bounds, integer_bounds
from vecstore.query.index_terms import Terms
from vecstore.query.match import bounds_test, is_number
from vecstore.schema import FieldKind
from vecstore.text.tokenize import tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """`sure` rows match, `maybe` rows have to be looked at, all others do not match. The two are disjoint."""

    sure: BitMap
    maybe: BitMap


def answer_of(sure: BitMap, maybe: BitMap) -> Answer:
    return Answer(sure, maybe - sure)


def listed_values(condition: MatchValue | MatchAny | MatchExcept) -> tuple[Scalar, ...]:
    return (condition.value,) if isinstance(condition, MatchValue) else tuple(condition.values)


def can_answer(kind: FieldKind, condition: Condition) -> bool:
    """Whether an index of this kind narrows the condition down; otherwise all rows with a value have to be scanned."""
    if isinstance(condition, Exists | IsNull | IsEmpty | ValuesCount):
        return True
    if isinstance(condition, HasId | HasVector | Nested | GeoRadius | GeoBoundingBox):
        return False
    if isinstance(condition, MatchText | MatchPhrase):
        return kind not in (FieldKind.KEYWORD, FieldKind.DATETIME)
    if isinstance(condition, MatchPrefix):
        return kind not in (FieldKind.TEXT, FieldKind.DATETIME)
    if isinstance(condition, Range):
        return not condition.datetime or kind not in (FieldKind.KEYWORD, FieldKind.TEXT)
    if isinstance(condition, MatchExcept):
        return kind not in (FieldKind.TEXT, FieldKind.DATETIME)
    if isinstance(condition, MatchValue | MatchAny) and kind in (FieldKind.TEXT, FieldKind.DATETIME):
        return not any(isinstance(value, str) for value in listed_values(condition))
    return isinstance(condition, MatchValue | MatchAny)


def answer_presence(flags: Flags, condition: Exists | IsNull | IsEmpty | ValuesCount, every_row: BitMap) -> Answer:
    if isinstance(condition, Exists):
        return Answer(flags.rows(PRESENT), BitMap())
    if isinstance(condition, IsNull):
        return Answer(flags.rows(NULL), BitMap())
    empty, several = every_row - flags.rows(VALUED), flags.rows(MULTI)
    if isinstance(condition, IsEmpty):
        return Answer(empty, BitMap())
    within = bounds_test(condition)
    sure = BitMap()
    if within(0):
        sure |= empty
    if within(1):
        sure |= flags.rows(VALUED) - several
    return Answer(sure, several)


def answer_keyword(flags: Flags, terms: Terms, condition: Condition) -> Answer:
    if isinstance(condition, MatchPrefix):
        return Answer(terms.rows_with_prefix(condition.prefix), BitMap())
    if isinstance(condition, MatchExcept):
        listed = [value for value in condition.values if isinstance(value, str)]
        return answer_of(terms.rows_of_others(listed), flags.rows(FOREIGN))
    if isinstance(condition, MatchValue | MatchAny):
        values = listed_values(condition)
        strings = [value for value in values if isinstance(value, str)]
        maybe = flags.rows(FOREIGN) if len(strings) < len(values) else BitMap()
        return answer_of(terms.rows_of(strings), maybe)
    return Answer(BitMap(), flags.rows(FOREIGN))


def answer_text(flags: Flags, terms: Terms, condition: Condition) -> Answer:
    if not isinstance(condition, MatchText | MatchPhrase):
        return Answer(BitMap(), flags.rows(FOREIGN))
    wanted = tokens(condition.text)
    if not wanted:
        return Answer(BitMap(), BitMap())
    rows = reduce(and_, (terms.rows_of([token]) for token in sorted(set(wanted), key=len, reverse=True)))
    if len(wanted) == 1:
        return Answer(rows, BitMap())
    # The index knows neither order nor which of several values a token came from.
    open_rows = rows if isinstance(condition, MatchPhrase) else rows & flags.rows(MULTI)
    return Answer(rows - open_rows, open_rows)


def answer_integer(flags: Flags, numbers: Numbers, condition: Condition) -> Answer:
    if isinstance(condition, Range) and not condition.datetime:
        return answer_of(numbers.between(*integer_bounds(condition)), flags.rows(LEFTOVER))
    return _answer_number_match(flags, numbers, condition, exact_int64)


def answer_float(flags: Flags, numbers: Numbers, condition: Condition) -> Answer:
    if isinstance(condition, Range) and not condition.datetime:
        return answer_of(numbers.between(*float_bounds(condition)), flags.rows(LEFTOVER))
    return _answer_number_match(flags, numbers, condition, exact_float64)


def _answer_number_match(
    flags: Flags, numbers: Numbers, condition: Condition, exact: Callable[[int | float], int | float | None]
) -> Answer:
    if not isinstance(condition, MatchValue | MatchAny | MatchExcept):
        return Answer(BitMap(), flags.rows(FOREIGN))
    values = listed_values(condition)
    wanted = [value for value in values if is_number(value)]
    held = [number for number in map(exact, wanted) if number is not None]
    if isinstance(condition, MatchExcept):
        return answer_of(numbers.rows_of_others(held), flags.rows(FOREIGN | LEFTOVER))
    bits = (LEFTOVER if wanted else 0) | (FOREIGN if len(wanted) < len(values) else 0)
    return answer_of(numbers.rows_of(held), flags.rows(bits))


def answer_datetime(flags: Flags, numbers: Numbers, condition: Condition) -> Answer:
    if isinstance(condition, Range) and condition.datetime:
        return Answer(numbers.between(*integer_bounds(condition)), BitMap())
    return Answer(BitMap(), flags.rows(FOREIGN))


def answer_bool(flags: Flags, condition: Condition) -> Answer:
    if not isinstance(condition, MatchValue | MatchAny | MatchExcept):
        return Answer(BitMap(), flags.rows(FOREIGN))
    values = listed_values(condition)
    bools = {value for value in values if isinstance(value, bool)}
    if isinstance(condition, MatchExcept):
        bools = {True, False} - bools
    bits = (TRUE if True in bools else 0) | (FALSE if False in bools else 0)
    others = isinstance(condition, MatchExcept) or any(not isinstance(value, bool) for value in values)
    return answer_of(flags.rows(bits), flags.rows(FOREIGN if others else 0))
