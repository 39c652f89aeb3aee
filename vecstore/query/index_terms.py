"""Terms to rows: whole strings for a keyword index, tokens for a text index.

Sealed form: `terms` holds the distinct terms in UTF-8, sorted bytewise and concatenated; term i is
`terms[term_offsets[i]:term_offsets[i + 1]]` and its rows, ascending, are `postings[posting_offsets[i]:...]`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from vecstore.query import bitmaps
from vecstore.query.growable import Growable
from vecstore.query.index_arrays import check_offsets, check_rows, take


class Terms(Protocol):
    def rows_of(self, terms: Iterable[str]) -> BitMap:
        """Rows with at least one of `terms`."""

    def rows_with_prefix(self, prefix: str) -> BitMap:
        """Rows with a term that starts with `prefix`."""

    def rows_of_others(self, terms: Iterable[str]) -> BitMap:
        """Rows with at least one term that is not among `terms`."""

    def entries(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], Callable[[int], str]]:
        """Rows and the numbers of their terms, in any order, and the term of a number."""


class SealedTerms:
    def __init__(
        self,
        terms: NDArray[np.uint8],
        term_offsets: NDArray[np.int64],
        postings: NDArray[np.uint32],
        posting_offsets: NDArray[np.int64],
        n_rows: int,
    ) -> None:
        self._terms = terms
        self._term_offsets = term_offsets
        self._postings = postings
        self._posting_offsets = posting_offsets
        self._n_rows = n_rows

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n_rows: int) -> Self:
        """Raises Corruption when offsets or rows point outside, or the parts disagree. The order of the terms is not
        checked: a wrong one makes look-ups miss, it cannot make them read elsewhere."""
        terms = take(arrays, "terms", np.uint8)
        term_offsets = take(arrays, "term_offsets", np.int64)
        postings = take(arrays, "postings", np.uint32)
        posting_offsets = take(arrays, "posting_offsets", np.int64)
        check_offsets("term_offsets", term_offsets, len(terms))
        check_offsets("posting_offsets", posting_offsets, len(postings), count=len(term_offsets))
        check_rows("postings", postings, n_rows, posting_offsets)
        return cls(terms, term_offsets, postings, posting_offsets, n_rows)

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "terms": self._terms,
            "term_offsets": self._term_offsets,
            "postings": self._postings,
            "posting_offsets": self._posting_offsets,
        }

    def rows_of(self, terms: Iterable[str]) -> BitMap:
        lists = [self._rows(i, i + 1) for i in self._places(terms)]
        if len(lists) == 1:
            return bitmaps.from_sorted_rows(lists[0])
        return bitmaps.from_rows(np.concatenate(lists), self._n_rows) if lists else BitMap()

    def entries(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], Callable[[int], str]]:
        numbers = np.repeat(np.arange(len(self._posting_offsets) - 1, dtype=np.uint32), np.diff(self._posting_offsets))
        return self._postings, numbers, lambda place: self._term(place).decode("utf-8", "surrogatepass")

    def rows_with_prefix(self, prefix: str) -> BitMap:
        start = prefix.encode("utf-8", "surrogatepass")
        every = range(len(self._term_offsets) - 1)
        low = bisect_left(every, start, key=self._term)
        high = bisect_right(every, start, lo=low, key=lambda i: self._term(i)[: len(start)])
        return bitmaps.from_rows(self._rows(low, high), self._n_rows)

    def rows_of_others(self, terms: Iterable[str]) -> BitMap:
        ends = [-1, *sorted(self._places(terms)), len(self._term_offsets) - 1]
        lists = [self._rows(low + 1, high) for low, high in pairwise(ends)]
        return bitmaps.from_rows(np.concatenate(lists), self._n_rows)

    def _places(self, terms: Iterable[str]) -> list[int]:
        count = len(self._term_offsets) - 1
        places = []
        for term in set(terms):
            encoded = term.encode("utf-8", "surrogatepass")
            place = bisect_left(range(count), encoded, key=self._term)
            if place < count and self._term(place) == encoded:
                places.append(place)
        return places

    def _term(self, place: int) -> bytes:
        return self._terms[self._term_offsets[place] : self._term_offsets[place + 1]].tobytes()

    def _rows(self, low: int, high: int) -> NDArray[np.uint32]:
        return self._postings[self._posting_offsets[low] : self._posting_offsets[high]]


class GrowingTerms:
    """(row, term number) pairs in the order they came; a look-up compares all numbers at once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._rows = Growable(np.uint32)
        self._terms = Growable(np.uint32)

    def add(self, row: int, term: str) -> None:
        number = self._numbers.get(term)
        if number is None:
            number = len(self._names)
            self._names.append(term)
            self._numbers[term] = number
        self._rows.append(row)
        self._terms.append(number)

    def rows_of(self, terms: Iterable[str]) -> BitMap:
        return self._with_numbers([self._numbers[term] for term in set(terms) if term in self._numbers])

    def entries(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], Callable[[int], str]]:
        return *self._entries(), self._names.__getitem__

    def rows_with_prefix(self, prefix: str) -> BitMap:
        return self._with_numbers([number for number, name in enumerate(self._names) if name.startswith(prefix)])

    def rows_of_others(self, terms: Iterable[str]) -> BitMap:
        listed = [self._numbers[term] for term in set(terms) if term in self._numbers]
        rows, numbers = self._entries()
        return bitmaps.from_sorted_rows(rows[np.isin(numbers, listed, invert=True)])

    def _with_numbers(self, wanted: list[int]) -> BitMap:
        rows, numbers = self._entries()
        if not wanted:
            return BitMap()
        mask = numbers == wanted[0] if len(wanted) == 1 else np.isin(numbers, wanted)
        return bitmaps.from_sorted_rows(rows[mask])

    def _entries(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        numbers = self._terms.view()  # written after the row
        return self._rows.view()[: len(numbers)], numbers

    def seal(self, n_rows: int) -> SealedTerms:
        names = [name.encode("utf-8", "surrogatepass") for name in self._names]
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), dtype=np.uint64)
        rank[order] = np.arange(len(names), dtype=np.uint64)
        rows, numbers = self._entries()
        numbers, rows = numbers[rows < n_rows], rows[rows < n_rows]
        pairs = np.unique((rank[numbers] << np.uint64(32)) | rows)
        counts = np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=len(names))
        return SealedTerms(
            terms=np.frombuffer(b"".join([names[i] for i in order]), dtype=np.uint8),
            term_offsets=_offsets(np.array([len(names[i]) for i in order], dtype=np.int64)),
            postings=(pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            posting_offsets=_offsets(counts),
            n_rows=n_rows,
        )


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
