"""Builds a sealed segment from rows of growing or sealed ones: sort by id, gather columns, index payload fields.

Runs in the worker process for large segments and in place for small ones; memory stays bounded by one column chunk,
the ids and one payload index. Sources and the result use one naming of columns (docs/FORMAT.md):
`ids.*`, `seqs`, `payload.bytes`, `payload.offsets`, and for each vector field `vector.NAME` (or its parts, see
`row_columns.py`), `present.NAME` (uint8, only when some rows lack it) and `norms.NAME` (inverse norms, cosine only).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.ids import encoded_keys, sealed_ids
from vecstore.engine.placement import building
from vecstore.engine.row_columns import OFFSET_DTYPE, held_rows, parts
from vecstore.engine.segment import decode_payload
from vecstore.engine.sparse_columns import Gathered, sparse_columns
from vecstore.errors import Corruption
from vecstore.index.base import BuiltIndex, Warm
from vecstore.index.registry import built_index
from vecstore.index_spec import Index
from vecstore.kernels.base import Bitmap
from vecstore.kernels.select import get_kernels
from vecstore.packed_sparse import StoredRows
from vecstore.query.payload_index import build_field_index
from vecstore.schema import FieldKind, Metric, Schema, VectorField

CHUNK_BYTES = 4 << 20
Progress = Callable[[str, int, int], None]  # phase, done, total; may raise Cancelled


@dataclass(slots=True)
class Source:
    """Rows to take: `arrays` by column name, and which of them (`alive`)."""

    arrays: Mapping[str, np.ndarray]
    alive: Bitmap


@dataclass(slots=True)
class BuiltColumn:
    """A column of the result; `chunks` yields its bytes in order, once."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    chunks: Iterator[Any]


class SegmentBuilder:
    def __init__(self, sources: Sequence[Source], schema: Schema, progress: Progress) -> None:
        self._sources = sources
        self._schema = schema
        self._progress = progress
        self._rows = [bitmaps.set_bits(source.alive) for source in sources]
        self._progress("sort ids", 0, sum(map(len, self._rows)))
        self._origin, self._row, self._id_arrays = self._sorted_rows()
        self.n_rows = len(self._row)

    def columns(self) -> Iterator[BuiltColumn]:
        """All columns of the segment except payload indexes."""
        for name, array in self._id_arrays.items():
            yield whole(name, array)
        yield self._gathered("seqs", np.dtype(np.uint64), ())
        yield from self._payload_columns()
        for name, spec in self._schema.vectors.items():
            if spec.is_sparse:
                yield from self._sparse_rows(name, spec)
            elif spec.is_ragged:
                yield from self._ragged_rows(name, spec)
            else:
                yield self._gathered(f"vector.{name}", spec.storage_dtype, (spec.storage_width,))
            if any(f"present.{name}" in source.arrays for source in self._sources):
                yield self._gathered(f"present.{name}", np.dtype(np.uint8), (), missing=1)
            if spec.metric is Metric.COSINE:
                yield self._gathered(f"norms.{name}", np.dtype(np.float32), ())

    def payloads(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        for row, encoded in enumerate(self._encoded_payloads()):
            yield row, (decode_payload(encoded) if len(encoded) else None)

    def _sorted_rows(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        origin = np.repeat(np.arange(len(self._sources), dtype=np.int32), [len(rows) for rows in self._rows])
        row = np.concatenate([*self._rows, np.empty(0, dtype=np.int64)])
        if all("ids.num" in source.arrays for source in self._sources):
            parts = [s.arrays["ids.num"][rows] for s, rows in zip(self._sources, self._rows, strict=True)]
            numbers = np.concatenate([*parts, np.empty(0, dtype=np.uint64)])
            order = np.argsort(numbers, kind="stable")
            numbers = numbers[order]
            repeated = bool((numbers[1:] == numbers[:-1]).any())
            arrays = {"ids.num": numbers}
        else:
            keys: list[bytes] = []
            for source, rows in zip(self._sources, self._rows, strict=True):
                every = encoded_keys(source.arrays)
                keys.extend(every[place] for place in rows.tolist())
            order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
            keys = [keys[place] for place in order.tolist()]
            repeated = any(a == b for a, b in itertools.pairwise(keys))
            arrays = sealed_ids(keys)
        if repeated:
            raise Corruption("two live rows share an id")
        return origin[order], row[order], arrays

    def _gathered(self, name: str, dtype: np.dtype[Any], tail: tuple[int, ...], missing: int = 0) -> BuiltColumn:
        def chunks() -> Iterator[np.ndarray]:
            row_bytes = dtype.itemsize * int(np.prod(tail, dtype=np.int64))
            step = max(1, CHUNK_BYTES // row_bytes)
            for start in range(0, self.n_rows, step):
                self._progress(name, start, self.n_rows)
                yield self._gather(name, dtype, tail, start, min(start + step, self.n_rows), missing)

        return BuiltColumn(name, dtype, (self.n_rows, *tail), chunks())

    def _gather(
        self, name: str, dtype: np.dtype[Any], tail: tuple[int, ...], start: int, end: int, missing: int
    ) -> np.ndarray:
        out = np.full((end - start, *tail), missing, dtype=dtype)
        origin, rows = self._origin[start:end], self._row[start:end]
        for number, source in enumerate(self._sources):
            array = source.arrays.get(name)
            if array is None:
                continue  # a source without `present` has the vector everywhere: `missing` is 1
            if len(self._sources) == 1:
                np.take(array, rows, axis=0, out=out)
            else:
                here = origin == number
                out[here] = array[rows[here]]
        return out

    def _payload_columns(self) -> Iterator[BuiltColumn]:
        offsets = self._offsets("payload.offsets", np.dtype(np.uint64))
        yield whole("payload.offsets", offsets)
        yield self._ragged("payload.bytes", "payload.offsets", offsets, np.dtype(np.uint8))

    def _sparse_rows(self, name: str, spec: VectorField) -> Iterator[BuiltColumn]:
        sources = [cast(StoredRows, held_rows(name, spec, source.arrays)) for source in self._sources]
        column = f"vector.{name}"
        rows = Gathered(sources, self._origin, self._row, lambda done: self._progress(column, done, self.n_rows))
        for part, dtype, shape, chunks in sparse_columns(rows, spec):
            yield BuiltColumn(f"{column}.{part}", dtype, shape, chunks)

    def _ragged_rows(self, name: str, spec: VectorField) -> Iterator[BuiltColumn]:
        cut = f"vector.{name}.offsets"
        offsets = self._offsets(cut, OFFSET_DTYPE)
        yield whole(cut, offsets)
        for part, (dtype, tail) in parts(spec).items():
            yield self._ragged(f"vector.{name}.{part}", cut, offsets, dtype, tail)

    def _offsets(self, name: str, dtype: np.dtype[Any]) -> np.ndarray:
        """Where each row begins in a column that the offsets `name` cut into rows, and where the last ends."""
        lengths = np.zeros(self.n_rows, dtype=dtype)
        for number, source in enumerate(self._sources):
            here = self._origin == number
            lengths[here] = np.diff(source.arrays[name])[self._row[here]]
        offsets = np.zeros(self.n_rows + 1, dtype=dtype)
        np.cumsum(lengths, out=offsets[1:])
        return offsets

    def _ragged(
        self, name: str, cut: str, offsets: np.ndarray, dtype: np.dtype[Any], tail: tuple[int, ...] = ()
    ) -> BuiltColumn:
        """A column of rows of any length, which the sources' offsets `cut` and `offsets` cut into rows."""

        def chunks() -> Iterator[np.ndarray]:
            entry_bytes = dtype.itemsize * int(np.prod(tail, dtype=np.int64))
            start, step = 0, max(1, CHUNK_BYTES // entry_bytes)
            while start < self.n_rows:
                self._progress(name, start, self.n_rows)
                full = int(np.searchsorted(offsets, offsets[start] + offsets.dtype.type(step), side="right")) - 1
                end = min(max(full, start + 1), self.n_rows)
                yield self._gather_ragged(name, cut, offsets[start : end + 1], dtype, tail, start, end)
                start = end

        return BuiltColumn(name, dtype, (int(offsets[-1]), *tail), chunks())

    def _gather_ragged(
        self,
        name: str,
        cut: str,
        offsets: np.ndarray,
        dtype: np.dtype[Any],
        tail: tuple[int, ...],
        start: int,
        end: int,
    ) -> np.ndarray:
        starts = offsets.astype(np.int64) - int(offsets[0])
        out = np.empty((starts[-1], *tail), dtype=dtype)
        origin, rows = self._origin[start:end], self._row[start:end]
        for number, source in enumerate(self._sources):
            here = np.flatnonzero(origin == number)
            lengths = starts[here + 1] - starts[here]
            within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            theirs = source.arrays[cut][rows[here]].astype(np.int64)
            out[within + np.repeat(starts[here], lengths)] = source.arrays[name][within + np.repeat(theirs, lengths)]
        return out

    def _encoded_payloads(self) -> Iterator[memoryview]:
        data = [np.ascontiguousarray(source.arrays["payload.bytes"]).data for source in self._sources]
        offsets = [source.arrays["payload.offsets"] for source in self._sources]
        for start in range(0, self.n_rows, 65_536):  # bounded lists, yet no numpy scalar for each row
            origin, rows = self._origin[start : start + 65_536], self._row[start : start + 65_536]
            low, high = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
            for number, bounds in enumerate(offsets):
                here = origin == number
                low[here], high[here] = bounds[rows[here]], bounds[rows[here] + 1]
            for number, begin, end in zip(origin.tolist(), low.tolist(), high.tolist(), strict=True):
                yield data[number][begin:end]


def field_columns(
    key: str, kind: FieldKind, payloads: Iterator[tuple[int, dict[str, Any] | None]], n_rows: int
) -> dict[str, np.ndarray]:
    """A payload index's arrays over all rows of a segment, by array name."""
    return build_field_index(key, kind, payloads, n_rows).arrays()


def index_arrays(
    field: VectorField,
    name: str,
    spec: Index,
    columns: Mapping[str, np.ndarray],
    warm: Warm[BuiltIndex] | None,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Build a vector index over all rows of a segment; its arrays, less the inverse norms that the segment has."""

    def step(phase: str, done: int, total: int) -> None:
        progress(f"index {name}: {phase}", done, total)

    rows = held_rows(name, field, columns)
    step("start", 0, len(rows))
    norms, own = columns.get(f"norms.{name}"), msgspec.structs.replace(field, index=spec)
    with building(field.device, get_kernels(), step) as kernels:
        built = built_index(spec).build(own, spec, rows, norms, kernels, step, warm)
    return {array: values for array, values in built.arrays().items() if array != "inverse_norms"}


def whole(name: str, array: np.ndarray) -> BuiltColumn:
    """A column that is at hand already."""
    contiguous = np.ascontiguousarray(array)
    return BuiltColumn(name, contiguous.dtype, contiguous.shape, iter([contiguous]))
