"""Sparse rows in less room, from which kernels read single rows as they stand.

Rows hold places in the list of all terms instead of indices, which ascend alike. A place is stored as its gap from the
one before it, less 1 (from -1 for a row's first): a low byte, a bit that says whether a high part follows, and the high
parts of a row one behind another. After DotVByte (Bruch et al., ECIR 2026), whose bytes are cut alike; low bytes and
bits stand by entry here, so that only high parts need to say where a row's begin. A form with whole places has neither.
Values are as narrow as gives all of them back bit for bit: bytes times a step, float16 or float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from vecstore.offsets import offsets_of, run_of, taken_of
from vecstore.sparse import SparseRows

SPARE = 16  # entries that kernels may read past the last low byte and high part
FLAGS_SPARE = 4  # bytes
TERMS_MAX = 1 << 24  # more would need gaps of more than three bytes
ARRAYS = ("offsets", "terms", "flags", "lows", "starts", "highs", "values")
_BYTE, _WIDE = 256, 1 << 16
_CHECKED_ROWS = 1 << 16

Components = Literal["plain", "delta8"]
UInt32Array = NDArray[np.uint32]
Int64Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """n sparse vectors. What `take` and slices give are `SparseRows` of `dtype`. Raises ValueError for arrays that do
    not fit together."""

    offsets: Int64Array  # (n + 1,) of entries
    terms: UInt32Array  # (t,) ascending
    flags: NDArray[np.uint8]  # (nnz // 8 + FLAGS_SPARE,) bit e, lowest first: entry e has a high part
    lows: NDArray[Any]  # uint8 (nnz + SPARE,); or whole places, uint16 or uint32 (nnz,), and no flags, starts and highs
    starts: UInt32Array  # (n + 1,) where each row's high parts begin
    highs: NDArray[Any]  # uint8 or uint16 (h + SPARE,)
    values: NDArray[Any]  # (nnz,) uint8, float16 or float32
    dtype: np.dtype[Any]  # of the values that rows have
    step: float = 1.0  # what values are multiplied by that are bytes
    handles: dict[str, Any] = field(default_factory=dict, repr=False)  # what backends made of this

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nnz(self) -> int:
        """Entries of all rows."""
        return len(self.values)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays().values())

    @property
    def delta(self) -> bool:
        """Whether places are stored as gaps."""
        return self.lows.dtype == np.uint8

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], dtype: np.dtype[Any], step: float = 1.0) -> PackedRows:
        parts: dict[str, Any] = {name: arrays[name] for name in ARRAYS}
        return cls(**parts, dtype=dtype, step=step)

    def __iter__(self) -> Iterator[SparseRows]:
        return map(self.row, range(len(self)))

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> SparseRows:
        """Copies of a run of rows, or of the rows listed."""
        if not isinstance(rows, slice):
            return self.take(np.asarray(rows, dtype=np.int64))
        offsets, entries = run_of(self.offsets, rows)
        if not self.delta:
            return self.rows_of(offsets, self.lows[entries], entries)
        start = rows.indices(len(self))[0]
        bits = np.unpackbits(self.flags[entries.start // 8 : entries.stop // 8 + 1], bitorder="little")
        flagged = bits[entries.start % 8 :][: len(self.lows[entries])].view(bool)
        highs = self.highs[self.starts[start] : self.starts[start + len(offsets) - 1]]
        return self.rows_of(offsets, _places(offsets, self.lows[entries], flagged, highs), entries)

    def row(self, place: int) -> SparseRows:
        return self[place : place + 1]

    def take(self, rows: Int64Array) -> SparseRows:
        """Copies of the rows listed."""
        offsets, entries = taken_of(self.offsets, rows)
        return self.rows_of(offsets, self.places(rows, offsets, entries), entries)

    def places(self, rows: Int64Array, offsets: Int64Array, entries: Int64Array) -> UInt32Array:
        """(nnz of these,) places among `terms` of the rows listed; offsets and entries are what `taken_of` gives."""
        if not self.delta:
            return self.lows[entries].astype(np.uint32)
        flagged = (self.flags[entries >> 3] >> (entries & 7).astype(np.uint8) & 1).astype(bool)
        highs = self.highs[taken_of(cast(Int64Array, self.starts), rows)[1]]  # none is so large that 32 bits matter
        return _places(offsets, self.lows[entries], flagged, highs)

    def rows_of(self, offsets: Int64Array, places: NDArray[Any], entries: slice | Int64Array) -> SparseRows:
        return SparseRows(offsets, self.terms[places], self.values_of(entries))

    def values_of(self, entries: slice | Int64Array) -> NDArray[Any]:
        values = self.values[entries]
        if values.dtype != np.uint8:
            return values.astype(self.dtype)
        return (values.astype(np.float32) * np.float32(self.step)).astype(self.dtype)


StoredRows: TypeAlias = SparseRows | PackedRows


def _places(
    offsets: Int64Array, lows: NDArray[np.uint8], flagged: NDArray[np.bool_], highs: NDArray[Any]
) -> UInt32Array:
    """From the parts of gaps, of rows that offsets cut."""
    steps = lows.astype(np.int64) + 1
    steps[flagged] += highs.astype(np.int64) << 8
    reached = np.cumsum(steps)
    before = np.concatenate((np.zeros(1, np.int64), reached))[offsets[:-1]]
    return (reached - 1 - np.repeat(before, np.diff(offsets))).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Gaps:
    """The parts of some rows' gaps."""

    lows: NDArray[np.uint8]  # (nnz,)
    flagged: NDArray[np.bool_]  # (nnz,)
    highs: NDArray[np.uint16]
    counts: UInt32Array  # (n,) high parts of each row


def gaps_of(offsets: Int64Array, places: NDArray[np.integer]) -> Gaps:
    gaps = places.astype(np.int64)
    gaps[1:] -= places[:-1].astype(np.int64) + 1
    firsts = offsets[:-1][np.diff(offsets) > 0]
    gaps[firsts] = places[firsts]
    flagged = gaps >= _BYTE
    reached = np.concatenate((np.zeros(1, np.int64), np.cumsum(flagged)))
    highs = (gaps[flagged] >> 8).astype(np.uint16)
    return Gaps((gaps & 255).astype(np.uint8), flagged, highs, np.diff(reached[offsets]).astype(np.uint32))


def coded(parts: Iterable[SparseRows], terms: UInt32Array, components: Components) -> dict[str, np.ndarray]:
    """`flags`, `lows`, `starts` and `highs` of all rows of the parts, one behind another; whole places where there are
    too many terms for gaps."""
    if components == "delta8" and len(terms) <= TERMS_MAX:
        return _joined([gaps_of(part.offsets, places_of(terms, part.indices)) for part in parts], len(terms))
    dtype = np.uint16 if len(terms) <= _WIDE else np.uint32
    places = [places_of(terms, part.indices).astype(dtype) for part in parts]
    none = np.empty(0, np.uint8)
    lows = np.concatenate([np.empty(0, dtype), *places])
    return {"flags": none, "lows": lows, "starts": np.empty(0, np.uint32), "highs": none}


def _joined(parts: list[Gaps], terms: int) -> dict[str, np.ndarray]:
    lows = np.concatenate([*(part.lows for part in parts), np.zeros(SPARE, np.uint8)])
    flagged = np.concatenate([part.flagged for part in parts] or [np.empty(0, bool)])
    flags = np.zeros(len(flagged) // 8 + FLAGS_SPARE, np.uint8)
    packed = np.packbits(flagged, bitorder="little")
    flags[: len(packed)] = packed
    starts = offsets_of(np.concatenate([part.counts for part in parts] or [np.empty(0, np.uint32)]))
    highs = np.concatenate([*(part.highs for part in parts), np.zeros(SPARE, np.uint16)])
    narrow = highs.astype(np.uint8 if terms <= _WIDE else np.uint16)
    return {"flags": flags, "lows": lows, "starts": starts.astype(np.uint32), "highs": narrow}


def places_of(terms: UInt32Array, indices: UInt32Array) -> Int64Array:
    """Where each index stands among `terms`, which hold them all."""
    if len(terms) and int(terms[-1]) < max(1 << 16, 16 * len(terms)):
        table = np.empty(int(terms[-1]) + 1, np.int64)
        table[terms] = np.arange(len(terms))
        return table[indices]
    return np.searchsorted(terms, indices)


def narrowest(values: NDArray[Any], so_far: type[np.generic] = np.uint8) -> type[np.generic]:
    """The narrowest type, no narrower than `so_far`, that holds all of the values, none of them 0, exactly."""
    if so_far is np.uint8:
        if bool(((values >= 1) & (values <= 255) & (values == np.floor(values))).all()):
            return np.uint8
        so_far = np.float16
    if so_far is np.float16 and values.dtype != np.float16:
        with np.errstate(over="ignore"):
            if bool((values.astype(np.float16).astype(values.dtype) == values).all()):
                return np.float16
        return np.float32
    return so_far


def packed(rows: SparseRows, components: Components = "delta8") -> PackedRows:
    """The rows in this form, values as narrow as is exact."""
    terms = np.unique(rows.indices)
    values = rows.values.astype(narrowest(rows.values))
    arrays: dict[str, np.ndarray] = {
        "offsets": rows.offsets,
        "terms": terms,
        **coded([rows], terms, components),
        "values": values,
    }
    return PackedRows.from_arrays(arrays, rows.values.dtype)


def _check(rows: PackedRows) -> None:
    dtypes = {
        "offsets": (np.int64,), "terms": (np.uint32,), "flags": (np.uint8,), "lows": (np.uint8, np.uint16, np.uint32),
        "starts": (np.uint32,), "highs": (np.uint8, np.uint16), "values": (np.uint8, np.float16, np.float32),
    }  # fmt: skip
    for name, array in rows.arrays().items():
        if array.ndim != 1 or array.dtype not in dtypes[name]:
            raise ValueError(f"{name} of packed rows are {array.dtype} of shape {array.shape}")
    offsets, terms, nnz, delta = rows.offsets, rows.terms, len(rows.values), rows.delta
    _require(len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == nnz, f"offsets do not rise from 0 to {nnz}")
    _require(bool((offsets[1:] >= offsets[:-1]).all()), f"offsets do not rise from 0 to {nnz}")
    _require(bool((terms[1:] > terms[:-1]).all()), "terms do not ascend")
    _require(len(rows.lows) == nnz + (SPARE if delta else 0), f"there are {len(rows.lows)} lows for {nnz} entries")
    _require(bool(np.isfinite(rows.step)) and rows.step > 0, "the step must be positive")
    if not delta:
        _check_places(rows)
        return
    high = len(rows.highs) - SPARE
    starts = rows.starts
    _require(len(rows.flags) == nnz // 8 + FLAGS_SPARE, f"there are {len(rows.flags)} flags for {nnz} entries")
    _require(len(starts) == len(offsets) and starts[0] == 0 and starts[-1] == high, "starts do not reach all highs")
    _require(bool((starts[1:] >= starts[:-1]).all()), "starts do not ascend")
    set_before = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.bitwise_count(rows.flags), dtype=np.int64)))
    last_bits = rows.flags[offsets >> 3] & ((1 << (offsets & 7)) - 1).astype(np.uint8)
    reached = set_before[offsets >> 3] + np.bitwise_count(last_bits)
    _require(bool((reached == starts).all()), "a row's highs are not as many as its flags")
    _check_last(rows)


def _check_last(rows: PackedRows) -> None:
    """Places of gaps ascend by what they are; a row's last is the sum of its gaps, and one less than entries more."""
    for low in range(0, len(rows), _CHECKED_ROWS):
        part = slice(low, low + _CHECKED_ROWS + 1)
        last = np.diff(rows.offsets[part]) - 1
        for ends, parts, shift in ((rows.offsets[part], rows.lows, 0), (rows.starts[part], rows.highs, 8)):
            filled = np.flatnonzero(ends[1:] > ends[:-1])
            if len(filled):
                begin, end = int(ends[0]), int(ends[-1])
                starts = ends[:-1][filled].astype(np.int64) - begin
                last[filled] += np.add.reduceat(parts[begin:end], starts, dtype=np.int64) << shift
        _require(bool((last < len(rows.terms)).all()), "a place is past the terms")


def _check_places(rows: PackedRows) -> None:
    if not rows.nnz:
        return
    _require(int(rows.lows.max()) < len(rows.terms), "a place is past the terms")
    rises = rows.lows[1:] > rows.lows[:-1]
    starts = rows.offsets[1:-1]
    rises[starts[(starts > 0) & (starts < rows.nnz)] - 1] = True
    _require(bool(rises.all()), "the places of a row do not ascend")


def _require(fits: bool, problem: str) -> None:
    if not fits:
        raise ValueError(f"packed rows: {problem}")
