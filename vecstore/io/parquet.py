"""Parquet, through Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.io.layout import (
    ID,
    ID_KIND,
    KIND_KEY,
    PAYLOAD,
    IdKinds,
    exported_dtype,
    kind_of,
    multi_field,
    number_ids,
    sparse_field,
    text_field,
    vector_field_of,
)
from vecstore.io.mapping import (
    FORMAT_KEY,
    FORMAT_VERSION,
    READ_BYTES,
    READ_ROWS,
    ColumnMapping,
    bad_row,
    need_column,
    need_module,
)
from vecstore.query.filter import PointId
from vecstore.schema import Schema, VectorField, VectorKind
from vecstore.sparse import SparseVector
from vecstore.types import Point, PointBatch, VectorBatch


class ParquetSource:
    """Reads a parquet file in blocks of rows, of any origin or as `ParquetSink` wrote it."""

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        need_module("pyarrow.parquet")
        import pyarrow as pa
        import pyarrow.parquet as pq

        from vecstore.io.arrow_columns import is_vector_type

        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowException as error:
            raise InvalidArgument(f"{path} is not a parquet file: {error}", reason="BAD_FILE") from None
        self.total: int | None = self._file.metadata.num_rows
        self._schema = self._file.schema_arrow
        names = list(self._schema.names)
        self._own = (self._schema.metadata or {}).get(FORMAT_KEY.encode()) is not None
        if mapping.id_column is not None:
            self._id: str | None = need_column(mapping.id_column, names, "column", path)
        else:
            self._id = ID if ID in names else None
        texts = {name: need_column(column, names, "column", path) for name, column in mapping.texts.items()}
        self._vectors = {
            name: need_column(column, names, "column", path) for name, column in mapping.vectors.items()
        } or {
            name: name for name in names if is_vector_type(self._schema.field(name).type) and name not in texts.values()
        }
        taken = {self._id, *self._vectors.values()}
        self._texts = set(texts)
        self._vectors |= texts
        if not self._vectors:
            raise InvalidArgument(f"{path} has no vector column; name one with NAME=COLUMN", reason="BAD_COLUMN")
        if mapping.payload is not None:
            self._payload = [need_column(name, names, "column", path) for name in mapping.payload]
        else:
            plain = [name for name in names if not pa.types.is_nested(self._schema.field(name).type)]
            self._payload = [name for name in plain if name not in taken]

    def fields(self) -> dict[str, VectorField]:
        from vecstore.io.arrow_columns import is_text_type, vector_type
        from vecstore.io.arrow_sparse import is_sparse_type
        from vecstore.io.arrow_tokens import is_token_type

        fields = {}
        for name, column in self._vectors.items():
            kind = self._schema.field(column)
            was_text = (kind.metadata or {}).get(KIND_KEY.encode()) == VectorKind.TEXT.encode()
            if is_text_type(kind.type) or name in self._texts or was_text:
                fields[name] = text_field()
                continue
            if is_sparse_type(kind.type):
                fields[name] = sparse_field()
                continue
            multi = is_token_type(kind.type)
            dtype, width = vector_type(kind.type.value_type if multi else kind.type, column)
            width = self._width_of_first(column, multi) if width is None else width
            fields[name] = (multi_field if multi else vector_field_of)(dtype, width)
        return fields

    def _width_of_first(self, column: str, multi: bool) -> int:
        first = next((block.column(0)[0] for block in self._file.iter_batches(batch_size=1, columns=[column])), None)
        if multi and first is not None and first.is_valid:
            first = first[0] if len(first) else None
        if first is None or not first.is_valid:
            raise bad_row(self.path, 0, f"{column!r} is missing, so its dimension is unknown")
        return len(first)

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        own = self._own and PAYLOAD in self._schema.names
        kinds = [ID_KIND] if self._own and ID_KIND in self._schema.names else []
        payload = [PAYLOAD] if own else self._payload
        columns = list(dict.fromkeys([*([self._id] if self._id else []), *kinds, *self._vectors.values(), *payload]))
        start = 0
        for block in self._file.iter_batches(batch_size=self._block_rows(schema), columns=columns):
            yield self._batch(block, schema, start, own, bool(kinds))
            start += block.num_rows

    def _block_rows(self, schema: Schema) -> int:
        row_bytes = sum(schema.vectors[name].row_bytes for name in self._vectors if name in schema.vectors)
        return max(1, min(READ_ROWS, READ_BYTES // max(1, row_bytes)))

    def _batch(self, block: Any, schema: Schema, start: int, own: bool, kinds: bool) -> PointBatch:
        from vecstore.io.arrow_columns import carried, ids_of, payloads_of, vectors_of

        batch = PointBatch(ids=number_ids(start, block.num_rows))
        if self._id is not None:
            kind_column = block.column(ID_KIND) if kinds else None
            batch.ids = ids_of(block.column(self._id), kind_column, self.path, start)
        for name, column in self._vectors.items():
            rows, present = vectors_of(block.column(column), column, self.path, start)
            batch.vectors[name] = VectorBatch(carried(rows, schema.vectors.get(name), name), present)
        if own:
            batch.payloads = [None if text is None else text.encode() for text in block.column(PAYLOAD).to_pylist()]
        else:
            batch.payloads = payloads_of(block, self._payload, self.path, start)
        return batch


class ArrowRows:
    """Points as Arrow record batches with the columns `id`, `payload` (JSON text) and one for each vector field:
    fixed-size lists, for a multi-vector field lists of those, for a sparse or text field structs of the lists `indices`
    and `values`. Ids keep their kind: uint64, UUID or string; where kinds are mixed, or not known yet, text with the
    kind in `id_kind`."""

    def __init__(self, fields: dict[str, VectorField], kinds: IdKinds | None) -> None:
        need_module("pyarrow")
        import pyarrow as pa

        from vecstore.io.arrow_sparse import COLUMN_TYPE
        from vecstore.io.arrow_tokens import column_type

        if taken := {ID, ID_KIND, PAYLOAD} & set(fields):
            message = f"vector field {sorted(taken)[0]!r} has the name of another column; export it to .jsonl"
            raise InvalidArgument(message, reason="BAD_COLUMN")
        self._fields = fields
        self._mixed = kinds is None or len(kinds) > 1
        self._id_type = {"num": pa.uint64(), "uuid": pa.uuid(), "str": pa.string()}[next(iter(kinds or ()), "num")]
        if self._mixed:
            self._id_type = pa.string()
        columns = [pa.field(ID, self._id_type), *([pa.field(ID_KIND, pa.string())] if self._mixed else [])]
        for name, field in fields.items():
            if field.is_sparse:
                columns.append(pa.field(name, COLUMN_TYPE, metadata={KIND_KEY: field.kind.value}))
                continue
            if field.kind is VectorKind.MULTI:
                columns.append(pa.field(name, column_type(exported_dtype(field), field.dim)))
                continue
            columns.append(pa.field(name, pa.list_(pa.from_numpy_dtype(exported_dtype(field)), field.storage_width)))
        columns.append(pa.field(PAYLOAD, pa.string()))
        self.schema = pa.schema(columns, metadata={FORMAT_KEY: FORMAT_VERSION})

    def batch(self, points: Sequence[Point]) -> Any:
        import pyarrow as pa

        from vecstore.io.arrow_columns import vector_array
        from vecstore.io.arrow_sparse import sparse_array
        from vecstore.io.arrow_tokens import token_array

        arrays = [self._ids([point.id for point in points])]
        if self._mixed:
            arrays.append(pa.array([kind_of(point.id) for point in points]))
        for name, field in self._fields.items():
            found = [(point.vectors or {}).get(name) for point in points]
            if field.is_sparse:
                arrays.append(sparse_array([row if isinstance(row, SparseVector) else None for row in found]))
                continue
            rows = [row if isinstance(row, np.ndarray) else None for row in found]
            if field.kind is VectorKind.MULTI:
                arrays.append(token_array(rows, exported_dtype(field), field.dim))
                continue
            arrays.append(vector_array(rows, exported_dtype(field), field.storage_width))
        texts = [None if point.payload_json is None else point.payload_json.decode() for point in points]
        arrays.append(pa.array(texts, type=pa.string()))
        return pa.record_batch(arrays, schema=self.schema)

    def _ids(self, ids: list[PointId]) -> Any:
        import pyarrow as pa

        if self._mixed:
            return pa.array([str(one) for one in ids])
        if self._id_type == pa.uuid():
            packed = pa.array([one.bytes for one in ids if isinstance(one, UUID)], type=pa.binary(16))
            return pa.ExtensionArray.from_storage(pa.uuid(), packed)
        return pa.array(ids, type=self._id_type)


class ParquetSink:
    """Writes `ArrowRows`."""

    def __init__(self, path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> None:
        need_module("pyarrow.parquet")
        import pyarrow.parquet as pq

        self._rows = ArrowRows(fields, kinds)
        self._writer = pq.ParquetWriter(path, self._rows.schema, compression="zstd")

    def write(self, points: Sequence[Point]) -> None:
        self._writer.write_batch(self._rows.batch(points))

    def close(self) -> None:
        self._writer.close()
