"""HDF5: ann-benchmarks files, and files of one data set for each column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.io.hdf5_columns import (
    Column,
    MatrixColumn,
    MatrixWriter,
    SparseColumn,
    SparseWriter,
    TextColumn,
    append,
    growing,
    plain_values,
    sparse_parts,
)
from vecstore.io.hdf5_tokens import BESIDE, SCALE, TokenColumn, TokenWriter, is_token_group
from vecstore.io.layout import ID, ID_KIND, PAYLOAD, IdKinds, kind_of, number_ids
from vecstore.io.mapping import FORMAT_KEY, FORMAT_VERSION, READ_BYTES, ColumnMapping, need_column, need_module
from vecstore.io.token_columns import OFFSETS, TOKENS
from vecstore.query.filter import PointId
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import Point, PointBatch, VectorBatch

TRAIN = "train"  # the rows of an ann-benchmarks file
PRESENT = ".present"  # beside a vector data set: which points have the vector
_WRITERS: Mapping[VectorKind, Callable[..., MatrixWriter | SparseWriter | TokenWriter]] = {
    VectorKind.SPARSE: SparseWriter, VectorKind.TEXT: SparseWriter, VectorKind.MULTI: TokenWriter,
}  # fmt: skip
_METRICS = {"angular": Metric.COSINE, "euclidean": Metric.L2, "ip": Metric.DOT, "dot": Metric.DOT}


class Hdf5Source:
    """Reads matrices, and groups of sparse rows or of tokens, row block by row block; a matrix `NAME` beside offsets
    `NAME_offsets` holds tokens. Without names, the vectors are the data set `train` (ann-benchmarks) and ids are row
    numbers; files that `Hdf5Sink` wrote bring their ids and payloads. Other one-dimensional data sets can be named as
    id, text and payload columns."""

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        h5py = need_module("h5py")
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InvalidArgument(f"{path} is not an HDF5 file: {error}", reason="BAD_FILE") from None
        names = [name for name, item in self._file.items() if isinstance(item, h5py.Dataset)]
        groups = [name for name, item in self._file.items() if isinstance(item, h5py.Group)]
        self._groups = [name for name in groups if sparse_parts(self._file[name]) or is_token_group(self._file[name])]
        self._own = FORMAT_KEY in self._file.attrs
        self._columns = self._vectors(mapping, names)
        counts = {len(column) for column in self._columns.values()}
        if len(counts) != 1:
            raise InvalidArgument(f"{path}: vector data sets have {sorted(counts)} rows", reason="BAD_FILE")
        self.total: int | None = counts.pop()
        self._id = ID if self._own else None
        if mapping.id_column is not None:
            self._id = need_column(mapping.id_column, names, "data set", path)
        self._payload = [need_column(name, names, "data set", path) for name in mapping.payload or ()]
        for name in [*([self._id] if self._id else []), *self._payload, *([PAYLOAD] if self._own else [])]:
            if self._file[name].shape != (self.total,):
                shape = self._file[name].shape
                raise InvalidArgument(f"{path}: {name!r} has shape {shape} for {self.total} rows", reason="BAD_FILE")

    def _vectors(self, mapping: ColumnMapping, names: list[str]) -> dict[str, Column]:
        known = [*names, *self._groups]
        chosen: Mapping[str, str] = mapping.vectors
        if not chosen and self._own:
            chosen = {name: name for name in known if name in self._groups or self._file[name].ndim == 2}
        elif not chosen and not mapping.texts:
            chosen = {"default": TRAIN}
        self._sources = {**chosen, **mapping.texts}
        columns: dict[str, Column] = {}
        for name, column in self._sources.items():
            data = self._file[need_column(column, known, "data set", self.path)]
            if column in self._groups and is_token_group(data):
                columns[name] = TokenColumn(self.path, column, data[OFFSETS], data[TOKENS])
            elif column in self._groups:
                columns[name] = SparseColumn(self.path, column, data)
            elif name in mapping.texts:
                columns[name] = TextColumn(self.path, column, data)
            elif column + BESIDE in names:
                scale = float(self._file.attrs.get(SCALE, 1.0))
                columns[name] = TokenColumn(self.path, column, self._file[column + BESIDE], data, scale)
            else:
                columns[name] = MatrixColumn(self.path, column, data)
        return columns

    def fields(self) -> dict[str, VectorField]:
        metric = _METRICS.get(str(self._file.attrs.get("distance")))
        return {name: column.field(metric) for name, column in self._columns.items()}

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        renamed = {name: name for name in self._columns}
        if list(renamed) == ["default"] and len(schema.vectors) == 1:
            renamed["default"] = next(iter(schema.vectors))
        step = self._block_rows()
        for start in range(0, self.total or 0, step):
            block = slice(start, min(start + step, self.total or 0))
            batch = PointBatch(ids=self._ids(block), payloads=self._payloads(block))
            for column, name in renamed.items():
                rows = self._columns[column].rows(block, schema.vectors.get(name), name)
                beside = self._sources[column] + PRESENT
                present = self._file[beside][block] if beside in self._file else None
                batch.vectors[name] = VectorBatch(rows, present)
            yield batch

    def _block_rows(self) -> int:
        """Rows of about READ_BYTES, whole chunks of the file, so that no chunk is unpacked twice."""
        columns = self._columns.values()
        rows = max(1, READ_BYTES // max(1, sum(column.row_bytes for column in columns)))
        chunk = max(column.chunk for column in columns)
        return max(chunk, rows // chunk * chunk)

    def _ids(self, block: slice) -> list[PointId]:
        if self._id is None:
            return number_ids(block.start, block.stop - block.start)
        texts = plain_values(self._file[self._id], block)
        if not self._own or ID_KIND not in self._file:
            return texts
        readers = {"num": int, "uuid": UUID, "str": str}
        kinds = plain_values(self._file[ID_KIND], block)
        return [readers[kind](text) for text, kind in zip(texts, kinds, strict=True)]

    def _payloads(self, block: slice) -> list[bytes | None] | None:
        from vecstore.client.payloads import encode_payloads

        if self._own:
            return [text.encode() or None for text in plain_values(self._file[PAYLOAD], block)]
        if not self._payload:
            return None
        columns = [plain_values(self._file[name], block) for name in self._payload]
        return encode_payloads([dict(zip(self._payload, row, strict=True)) for row in zip(*columns, strict=True)])


class Hdf5Sink:
    """Writes data sets `id`, `payload` (JSON text, empty for none) and for each vector field a matrix, for a sparse or
    text field a group of `offsets`, `indices` and `values`, for a multi-vector field one of `offsets` and `tokens`;
    `NAME.present` says which points have the vector."""

    def __init__(self, path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> None:
        h5py = need_module("h5py")
        if taken := {ID, ID_KIND, PAYLOAD} & set(fields):
            message = f"vector field {sorted(taken)[0]!r} has the name of another data set; export it to .jsonl"
            raise InvalidArgument(message, reason="BAD_COLUMN")
        self._file = h5py.File(path, "w")
        self._file.attrs[FORMAT_KEY] = FORMAT_VERSION
        self._numbers = list(kinds) in ([], ["num"])
        text = h5py.string_dtype()
        self._ids = growing(self._file, ID, (), np.dtype(np.uint64) if self._numbers else text)
        self._payloads = growing(self._file, PAYLOAD, (), text)
        if not self._numbers:
            self._kinds = growing(self._file, ID_KIND, (), text)
        self._vectors = {
            name: _WRITERS.get(field.kind, MatrixWriter)(self._file, name, field) for name, field in fields.items()
        }
        self._present = {name: growing(self._file, name + PRESENT, (), np.dtype(np.bool_)) for name in fields}

    def write(self, points: Sequence[Point]) -> None:
        ids = [point.id for point in points]
        append(self._ids, np.array(ids, dtype=np.uint64) if self._numbers else [str(one) for one in ids])
        if not self._numbers:
            append(self._kinds, [kind_of(one) for one in ids])
        append(self._payloads, [(point.payload_json or b"").decode() for point in points])
        for name, writer in self._vectors.items():
            vectors = [(point.vectors or {}).get(name) for point in points]
            writer.write(vectors)
            append(self._present[name], np.array([one is not None for one in vectors]))

    def close(self) -> None:
        self._file.close()
