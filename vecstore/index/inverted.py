"""Exact search of a sealed segment's sparse rows or texts through inverted lists, in windows of 65,536 rows.

The windowed scan is that of SINDI (Zhao et al., ICDE 2026) without its pruning: sums are taken of values rounded up to
bytes, and the few rows that may be among the nearest are scored by their stored values (kernels/sparse.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.base import DEFAULT_PARAMS, BuiltIndex, Candidates, Progress, SearchParams, Warm
from vecstore.index.sparse_flat import SparseQueries, check_sparse_rows
from vecstore.index.stored_arrays import take
from vecstore.index.terms import row_lengths, saturation_of
from vecstore.index.windows import document_frequency, search_windows
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.select import get_kernels
from vecstore.kernels.sparse import WINDOW_ROWS, OpenWindow, Saturation, Window
from vecstore.packed_sparse import StoredRows
from vecstore.schema import Analysis, VectorField, VectorKind

_NAME = "an inverted index"
_SIZES = ("n_rows", "nlists", "postings", "ndense")  # of a window, in the array `windows`
_DTYPES: dict[str, type[np.generic]] = {
    "terms": np.uint32,
    "starts": np.uint32,
    "steps": np.float32,
    "ids": np.uint16,
    "codes": np.uint8,
    "dense_lists": np.uint32,
    "dense": np.uint8,
}


class InvertedIndex(BuiltIndex):
    """Finds what a scan finds, bit for bit. Few allowed rows are read as they stand, so it does well by any filter.

    The arrays of all windows stand one behind another; `windows` int64 (nwindows, 4) says how much is each one's,
    `slopes` float32 (nwindows,) by which mean length texts were weighed, `lengths` float32 (n,), for text, how many
    terms each has."""

    name: ClassVar[str] = "inverted"
    complete: ClassVar[bool] = True
    plans_filters: ClassVar[bool] = True
    is_exact: ClassVar[bool] = True

    def __init__(
        self, field: VectorField, rows: StoredRows, windows: Sequence[Window], lengths: Float32Array | None
    ) -> None:
        """`lengths` is what `row_lengths(rows)` gives, for text."""
        self.ntotal = len(rows)
        self.code_bytes = sum(window.nbytes for window in windows) / max(len(rows), 1)
        self._field, self._rows, self._windows = field, rows, tuple(windows)
        self._lengths = lengths
        self._open: dict[str, tuple[OpenWindow, ...]] = {}

    @property
    def lengths(self) -> Float32Array:
        """(n,) terms of each text, repeats counted."""
        assert self._lengths is not None
        return self._lengths

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: Any,
        rows: StoredRows,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        """Nothing is learned, so `warm` has nothing to give."""
        del spec, inverse_norms, warm
        lengths, saturation = None, None
        if field.kind is VectorKind.TEXT:
            lengths = row_lengths(rows)
            mean = float(lengths.mean(dtype=np.float64)) if len(rows) else 0.0
            saturation = saturation_of(field.analysis or Analysis(), lengths, mean)
        windows = []
        for window in _windows(rows, saturation, kernels):
            windows.append(window)
            progress("postings", window.first_row + window.n_rows, len(rows))
        return cls(field, rows, windows, lengths)

    def search(
        self,
        kernels: Kernels,
        queries: SparseQueries,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        """Raises InvalidArgument for `truncate_dim`."""
        windows, lengths = self._opened(kernels), self._lengths
        return search_windows(kernels, windows, self._field, self._rows, lengths, queries, k, allowed, params)

    def document_frequency(self, kernels: Kernels, terms: NDArray[np.uint32], alive: Bitmap | None) -> Int64Array:
        """(nterms,) how many rows, or rows alive, hold each of the terms, which must ascend strictly."""
        return document_frequency(kernels, self._opened(kernels), self._rows, terms, alive)

    def _opened(self, kernels: Kernels) -> tuple[OpenWindow, ...]:
        opened = self._open.get(kernels.name)
        if opened is None:
            opened = self._open[kernels.name] = tuple(kernels.open_window(window) for window in self._windows)
        return opened

    def arrays(self) -> dict[str, np.ndarray]:
        sizes = [(w.n_rows, len(w.terms), len(w.ids), len(w.dense_lists)) for w in self._windows]
        arrays: dict[str, np.ndarray] = {
            "windows": np.array(sizes, np.int64).reshape(-1, len(_SIZES)),
            "slopes": np.array([window.slope for window in self._windows], np.float32),
        }
        for name, dtype in _DTYPES.items():
            parts = [getattr(window, name).ravel() for window in self._windows]
            arrays[name] = np.concatenate([np.empty(0, dtype), *parts])
        return arrays if self._lengths is None else {**arrays, "lengths": self._lengths}

    @classmethod
    def from_arrays(cls, field: VectorField, rows: StoredRows, arrays: Mapping[str, np.ndarray]) -> Self:
        check_sparse_rows(field, rows)
        lengths = None
        if field.kind is VectorKind.TEXT:
            lengths = take(arrays, "lengths", np.float32, (len(rows),), _NAME)
        index = cls(field, rows, list(_cut(arrays)), lengths)
        if sum(window.n_rows for window in index._windows) != len(rows):
            raise Corruption(f"windows of postings are not those of {len(rows)} rows")
        try:
            index._opened(get_kernels())
        except ValueError as error:
            raise Corruption(f"postings do not fit together: {error}") from None
        return index


def _windows(rows: StoredRows, saturation: Saturation | None, kernels: Kernels) -> Iterator[Window]:
    """Windows in the order of their rows; some are made at once, which takes about 12 bytes an entry more."""

    def make(first: int) -> Window:
        part = slice(first, first + WINDOW_ROWS)
        return kernels.build_window(first, rows[part], None if saturation is None else saturation.take(part))

    firsts = range(0, len(rows), WINDOW_ROWS)
    with ThreadPoolExecutor(max(1, min(kernels.threads, len(firsts)))) as pool:
        yield from pool.map(make, firsts)


def _cut(arrays: Mapping[str, np.ndarray]) -> Iterator[Window]:
    """The windows, whose arrays are views. Raises Corruption."""
    count = len(arrays["windows"]) if "windows" in arrays else 0
    sizes = take(arrays, "windows", np.int64, (count, len(_SIZES)), _NAME)
    if sizes.size and (sizes.min() < 0 or sizes.max() > 1 << 40):
        raise Corruption("windows of an inverted index have impossible sizes")
    slopes = take(arrays, "slopes", np.float32, (count,), _NAME)
    n_rows, nlists, postings, ndense = sizes.T
    first_rows = (np.cumsum(n_rows) - n_rows).tolist()
    padded = (n_rows + 63) // 64 * 64
    lengths = {
        "terms": nlists,
        "starts": nlists + 1,
        "steps": nlists,
        "ids": postings,
        "codes": postings,
        "dense_lists": ndense,
        "dense": ndense * padded,
    }
    ends = {name: np.cumsum(length).tolist() for name, length in lengths.items()}
    whole = {
        name: take(arrays, name, dtype, (ends[name][-1] if count else 0,), _NAME) for name, dtype in _DTYPES.items()
    }
    for place in range(count):
        parts: dict[str, Any] = {
            name: whole[name][end[place] - lengths[name][place] : end[place]] for name, end in ends.items()
        }
        parts["dense"] = parts["dense"].reshape(ndense[place], padded[place])
        yield Window(first_rows[place], int(n_rows[place]), **parts, slope=float(slopes[place]))
