"""HDF5: ann-benchmarks files, and files of one data set for each column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from vecstore.client.vectors import as_rows
from vecstore.errors import InvalidArgument
from vecstore.io.layout import ID, ID_KIND, PAYLOAD, IdKinds, exported_dtype, kind_of, number_ids, vector_field_of
from vecstore.io.mapping import FORMAT_KEY, FORMAT_VERSION, READ_BYTES, ColumnMapping, need_column, need_module
from vecstore.query.filter import PointId
from vecstore.schema import Metric, Schema, VectorField
from vecstore.types import Point, PointBatch, VectorBatch

TRAIN = "train"  # the rows of an ann-benchmarks file
PRESENT = ".present"  # beside a vector data set: which points have the vector
_METRICS = {"angular": Metric.COSINE, "euclidean": Metric.L2, "ip": Metric.DOT, "dot": Metric.DOT}


class Hdf5Source:
    """Reads matrices row block by row block. Without names, the vectors are the data set `train` (ann-benchmarks) and
    ids are row numbers; files that `Hdf5Sink` wrote bring their ids and payloads. Other one-dimensional data sets can
    be named as id and payload columns."""

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        h5py = need_module("h5py")
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InvalidArgument(f"{path} is not an HDF5 file: {error}", reason="BAD_FILE") from None
        names = [name for name, item in self._file.items() if isinstance(item, h5py.Dataset)]
        self._own = FORMAT_KEY in self._file.attrs
        if mapping.vectors:
            self._vectors = {
                name: need_column(column, names, "data set", path) for name, column in mapping.vectors.items()
            }
        elif self._own:
            self._vectors = {name: name for name in names if self._file[name].ndim == 2}
        else:
            self._vectors = {"default": need_column(TRAIN, names, "data set", path)}
        for column in self._vectors.values():
            if self._file[column].ndim != 2 or self._file[column].dtype.kind not in "fiub":
                raise InvalidArgument(f"{path}: data set {column!r} is not a matrix of numbers", reason="BAD_COLUMN")
        counts = {len(self._file[column]) for column in self._vectors.values()}
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

    def fields(self) -> dict[str, VectorField]:
        metric = _METRICS.get(str(self._file.attrs.get("distance")))
        fields = {}
        for name, column in self._vectors.items():
            field = vector_field_of(self._file[column].dtype, self._file[column].shape[1])
            if metric is not None and field.metric is not Metric.HAMMING:
                field = VectorField(field.kind, field.dim, metric)
            fields[name] = field
        return fields

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        vectors = self._vectors
        if len(vectors) == 1 and "default" in vectors and len(schema.vectors) == 1:
            vectors = {next(iter(schema.vectors)): vectors["default"]}
        step = self._block_rows()
        for start in range(0, self.total or 0, step):
            block = slice(start, min(start + step, self.total or 0))
            batch = PointBatch(ids=self._ids(block), payloads=self._payloads(block))
            for name, column in vectors.items():
                rows = self._file[column][block]
                field = schema.vectors.get(name)
                present = self._file[column + PRESENT][block] if column + PRESENT in self._file else None
                batch.vectors[name] = VectorBatch(rows if field is None else as_rows(rows, field, name), present)
            yield batch

    def _block_rows(self) -> int:
        """Rows of about READ_BYTES, whole chunks of the file, so that no chunk is unpacked twice."""
        sets = [self._file[column] for column in self._vectors.values()]
        rows: int = max(1, READ_BYTES // max(1, sum(one.shape[1] * one.dtype.itemsize for one in sets)))
        chunk: int = max((one.chunks[0] for one in sets if one.chunks), default=1)
        return max(chunk, rows // chunk * chunk)

    def _ids(self, block: slice) -> list[PointId]:
        if self._id is None:
            return number_ids(block.start, block.stop - block.start)
        texts = _values(self._file[self._id], block)
        if not self._own or ID_KIND not in self._file:
            return texts
        readers = {"num": int, "uuid": UUID, "str": str}
        kinds = _values(self._file[ID_KIND], block)
        return [readers[kind](text) for text, kind in zip(texts, kinds, strict=True)]

    def _payloads(self, block: slice) -> list[bytes | None] | None:
        from vecstore.client.payloads import encode_payloads

        if self._own:
            return [text.encode() or None for text in _values(self._file[PAYLOAD], block)]
        if not self._payload:
            return None
        columns = [_values(self._file[name], block) for name in self._payload]
        return encode_payloads([dict(zip(self._payload, row, strict=True)) for row in zip(*columns, strict=True)])


class Hdf5Sink:
    """Writes data sets `id`, `payload` (JSON text, empty for none) and a matrix for each vector field."""

    def __init__(self, path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> None:
        h5py = need_module("h5py")
        if taken := {ID, ID_KIND, PAYLOAD} & set(fields):
            message = f"vector field {sorted(taken)[0]!r} has the name of another data set; export it to .jsonl"
            raise InvalidArgument(message, reason="BAD_COLUMN")
        self._file = h5py.File(path, "w")
        self._file.attrs[FORMAT_KEY] = FORMAT_VERSION
        self._fields = fields
        self._numbers = list(kinds) in ([], ["num"])
        text = h5py.string_dtype()
        self._sets: dict[str, Any] = {
            ID: self._growing(ID, (), np.dtype(np.uint64) if self._numbers else text),
            PAYLOAD: self._growing(PAYLOAD, (), text),
        }
        if not self._numbers:
            self._sets[ID_KIND] = self._growing(ID_KIND, (), text)
        for name, field in fields.items():
            self._sets[name] = self._growing(name, (field.storage_width,), exported_dtype(field))
            self._sets[name + PRESENT] = self._growing(name + PRESENT, (), np.dtype(np.bool_))

    def _growing(self, name: str, row: tuple[int, ...], dtype: Any) -> Any:
        return self._file.create_dataset(name, (0, *row), maxshape=(None, *row), dtype=dtype, chunks=(1024, *row))

    def write(self, points: Sequence[Point]) -> None:
        ids = [point.id for point in points]
        self._append(ID, np.array(ids, dtype=np.uint64) if self._numbers else [str(one) for one in ids])
        if not self._numbers:
            self._append(ID_KIND, [kind_of(one) for one in ids])
        self._append(PAYLOAD, [(point.payload_json or b"").decode() for point in points])
        for name, field in self._fields.items():
            rows = np.zeros((len(points), field.storage_width), dtype=exported_dtype(field))
            present = np.zeros(len(points), dtype=np.bool_)
            for place, point in enumerate(points):
                row = (point.vectors or {}).get(name)
                if row is not None:
                    rows[place], present[place] = row, True
            self._append(name, rows)
            self._append(name + PRESENT, present)

    def _append(self, name: str, values: Any) -> None:
        data = self._sets[name]
        start = len(data)
        data.resize(start + len(values), axis=0)
        data[start:] = values

    def close(self) -> None:
        self._file.close()


def _values(data: Any, block: slice) -> list[Any]:
    """Numbers and text of a one-dimensional data set as Python values."""
    values = data.asstr()[block] if data.dtype.kind == "O" else data[block]
    listed: list[Any] = values.tolist()
    return [one.decode() if isinstance(one, bytes) else one for one in listed]
