"""Payload field indexes: which rows may match a condition on one key.

`build_field_index` and `open_field_index` give the immutable form that sealed segments keep; `GrowingFieldIndex` takes
rows one at a time from a single writer while other threads ask. Both answer alike. Rows are uint32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
from pyroaring import BitMap

from vecstore.errors import Corruption
from vecstore.query import index_answers as answers
from vecstore.query.datetimes import parse_datetime
from vecstore.query.filter import Condition, Exists, IsEmpty, IsNull, Scalar, ValuesCount
from vecstore.query.index_answers import Answer, can_answer
from vecstore.query.index_arrays import take
from vecstore.query.index_flags import (
    FALSE,
    FOREIGN,
    LEFTOVER,
    MULTI,
    NULL,
    PRESENT,
    TRUE,
    VALUED,
    Flags,
    GrowingFlags,
    SealedFlags,
)
from vecstore.query.index_numbers import GrowingNumbers, Numbers, SealedNumbers, exact_float64, exact_int64
from vecstore.query.index_terms import GrowingTerms, SealedTerms, Terms
from vecstore.query.match import is_number
from vecstore.query.path import found_at, parse_path, values_of
from vecstore.schema import FieldKind
from vecstore.text.tokenize import tokens

NUMBER_TYPES = {FieldKind.INTEGER: np.int64, FieldKind.DATETIME: np.int64, FieldKind.FLOAT: np.float64}


class FieldIndex:
    """Answers conditions on one key. `store` is None for a bool index, whose flags say everything."""

    def __init__(self, kind: FieldKind, flags: Flags, store: Terms | Numbers | None) -> None:
        self.kind = kind
        self._flags = flags
        self._store = store

    def answer(self, condition: Condition, every_row: BitMap) -> Answer | None:
        """Rows that match and rows to look at (both may hold rows past those of `every_row` while rows are being
        added), or None when this kind of index does not know; the bitmaps must not be changed."""
        if not can_answer(self.kind, condition):
            return None
        if isinstance(condition, Exists | IsNull | IsEmpty | ValuesCount):
            return answers.answer_presence(self._flags, condition, every_row)
        match self.kind:
            case FieldKind.KEYWORD:
                return answers.answer_keyword(self._flags, cast(Terms, self._store), condition)
            case FieldKind.TEXT:
                return answers.answer_text(self._flags, cast(Terms, self._store), condition)
            case FieldKind.INTEGER:
                return answers.answer_integer(self._flags, cast(Numbers, self._store), condition)
            case FieldKind.FLOAT:
                return answers.answer_float(self._flags, cast(Numbers, self._store), condition)
            case FieldKind.DATETIME:
                return answers.answer_datetime(self._flags, cast(Numbers, self._store), condition)
            case FieldKind.BOOL:
                return answers.answer_bool(self._flags, condition)

    def number_entries(self) -> tuple[np.ndarray, np.ndarray, BitMap] | None:
        """(rows, numbers, rows with numbers that the index does not hold); None for an index of other values. May hold
        rows added since."""
        if self.kind not in NUMBER_TYPES:
            return None
        rows, numbers = cast(Numbers, self._store).entries()
        return rows, numbers, self._flags.rows(LEFTOVER)

    def value_entries(self) -> tuple[np.ndarray, np.ndarray, Callable[[int], Scalar]] | None:
        """(rows, numbers, what a number stands for), rows and values in pairs that may repeat; None for an index that
        does not hold whole strings or integers. May hold rows added since."""
        if self.kind is FieldKind.KEYWORD:
            rows, numbers, term = cast(Terms, self._store).entries()
            return rows, numbers, term
        if self.kind is FieldKind.INTEGER:
            rows, numbers = cast(Numbers, self._store).entries()
            return rows, numbers, int
        return None

    def foreign_rows(self) -> BitMap:
        """Rows with a value of another type; must not be changed."""
        return self._flags.rows(FOREIGN)

    def rows_with_values(self) -> BitMap:
        """Rows with at least one value other than null; must not be changed."""
        return self._flags.rows(VALUED)


class SealedFieldIndex(FieldIndex):
    """The immutable form: `arrays()` are what is stored, and `open_field_index` reads them without copying."""

    def __init__(self, kind: FieldKind, flags: SealedFlags, store: SealedTerms | SealedNumbers | None) -> None:
        super().__init__(kind, flags, store)
        self._arrays = {"flags": flags.flags, **(store.arrays() if store else {})}

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self._arrays)


class GrowingFieldIndex(FieldIndex):
    """The mutable form. One thread adds rows, in ascending order, each once; other threads may ask meanwhile."""

    def __init__(self, key: str, kind: FieldKind) -> None:
        self._path = parse_path(key)
        self._growing_flags = GrowingFlags()
        self._terms = GrowingTerms()
        self._numbers = GrowingNumbers(NUMBER_TYPES.get(kind, np.int64))
        store = None if kind is FieldKind.BOOL else self._numbers if kind in NUMBER_TYPES else self._terms
        super().__init__(kind, self._growing_flags, store)
        self._add_value = {
            FieldKind.KEYWORD: self._add_keyword,
            FieldKind.TEXT: self._add_text,
            FieldKind.INTEGER: self._add_integer,
            FieldKind.FLOAT: self._add_float,
            FieldKind.DATETIME: self._add_datetime,
            FieldKind.BOOL: self._add_bool,
        }[kind]

    def add(self, row: int, payload: Mapping[str, Any] | None) -> None:
        """Take in a row's payload (None: it has none)."""
        found = found_at(payload, self._path) if payload else ()
        if not found:
            self._growing_flags.flags.set(row, 0)
            return
        bits, count = PRESENT, 0
        for value in values_of(found):
            if value is None:
                bits |= NULL
            else:
                count += 1
                bits |= self._add_value(row, value)
        if count:
            bits |= VALUED | MULTI if count > 1 else VALUED
        self._growing_flags.flags.set(row, bits)

    def seal(self, n_rows: int) -> SealedFieldIndex:
        """The immutable form of rows 0..n_rows-1."""
        flags = np.zeros(n_rows, dtype=np.uint8)
        known = self._growing_flags.flags.view()[:n_rows]
        flags[: len(known)] = known
        store: SealedTerms | SealedNumbers | None = None
        if self.kind in NUMBER_TYPES:
            store = self._numbers.seal(n_rows)
        elif self.kind is not FieldKind.BOOL:
            store = self._terms.seal(n_rows)
        return SealedFieldIndex(self.kind, SealedFlags(flags), store)

    def _add_keyword(self, row: int, value: object) -> int:
        if not isinstance(value, str):
            return FOREIGN
        self._terms.add(row, value)
        return 0

    def _add_text(self, row: int, value: object) -> int:
        if not isinstance(value, str):
            return FOREIGN
        for token in set(tokens(value)):
            self._terms.add(row, token)
        return 0

    def _add_integer(self, row: int, value: object) -> int:
        if not is_number(value):
            return FOREIGN
        number = exact_int64(value)
        if number is None:
            return LEFTOVER
        self._numbers.add(row, number)
        return 0

    def _add_float(self, row: int, value: object) -> int:
        if not is_number(value):
            return FOREIGN
        number = exact_float64(value)
        if number is None:
            return LEFTOVER
        self._numbers.add(row, number)
        return 0

    def _add_datetime(self, row: int, value: object) -> int:
        moment = parse_datetime(value) if isinstance(value, str) else None
        if moment is None:
            return FOREIGN
        self._numbers.add(row, moment)
        return 0

    def _add_bool(self, row: int, value: object) -> int:
        if not isinstance(value, bool):
            return FOREIGN
        return TRUE if value else FALSE


def build_field_index(
    key: str, kind: FieldKind, payloads: Iterable[tuple[int, Mapping[str, Any] | None]], n_rows: int
) -> SealedFieldIndex:
    """Index (row, payload) pairs in ascending order of rows; rows that do not come have no payload."""
    index = GrowingFieldIndex(key, kind)
    for row, payload in payloads:
        index.add(row, payload)
    return index.seal(n_rows)


def open_field_index(key: str, kind: FieldKind, arrays: Mapping[str, np.ndarray], n_rows: int) -> SealedFieldIndex:
    """The index that `arrays()` came from, over the same memory. Raises Corruption when they do not fit together."""
    try:
        flags = take(arrays, "flags", np.uint8)
        if len(flags) != n_rows:
            raise Corruption(f"payload index array flags has {len(flags)} rows, the segment {n_rows}")
        store: SealedTerms | SealedNumbers | None = None
        if kind in NUMBER_TYPES:
            store = SealedNumbers.from_arrays(arrays, NUMBER_TYPES[kind], n_rows)
        elif kind is not FieldKind.BOOL:
            store = SealedTerms.from_arrays(arrays, n_rows)
    except Corruption as error:
        raise Corruption(f"{kind} index on {key}: {error.message}") from None
    return SealedFieldIndex(kind, SealedFlags(flags), store)
