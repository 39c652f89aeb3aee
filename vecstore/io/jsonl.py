"""JSON lines: one point a line, read and written line by line, so that payloads of any shape pass through unchanged."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from vecstore.client.points import batch_from_points
from vecstore.errors import InvalidArgument
from vecstore.io.layout import multi_field, sparse_field, text_field, vector_field_of
from vecstore.io.mapping import READ_BYTES, ColumnMapping, bad_row, row_in_batch
from vecstore.query.filter import PointId
from vecstore.rows import StoredVector
from vecstore.schema import SPARSE_WIDTH, Schema, VectorField, VectorKind
from vecstore.sparse import SparseVector
from vecstore.types import Point, PointBatch

_INDEX = re.compile(r"-?[0-9]{1,20}", re.ASCII)


class JsonLinesSource:
    """Reads lines {"id", "vector" or "vectors", "payload"}, whose payload may also be the other keys beside those, or
    with columns named, objects that are flat.

    A vector is a list of numbers; a list of such lists of a multi-vector field; {"indices": [..], "values": [..]} or
    {"17": 0.5} of a sparse field; text: the packed bits of a binary vector in hexadecimal, or a text field's text. An
    id is a number, text or {"uuid": text}. Empty lines are skipped; rows are counted as lines from 0.
    """

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        self.path = path
        self.total: int | None = None
        self._mapping = mapping
        self._columns = {**mapping.vectors, **mapping.texts}

    def fields(self) -> dict[str, VectorField]:
        texts = {name: text_field() for name in self._mapping.texts}
        row, first = next(self._points(texts, texts.get("default")), (0, None))
        if first is None:
            raise InvalidArgument(f"{self.path} is empty", reason="BAD_FILE")
        named = dict(first.get("vectors") or {})
        if first.get("vector") is not None:
            named["default"] = first["vector"]
        fields = {str(name): _field_of(vector) for name, vector in named.items() if name not in texts} | texts
        if not fields:
            raise bad_row(self.path, row, "has no vector; name one with NAME=COLUMN", "BAD_COLUMN")
        return fields

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        widths = (SPARSE_WIDTH if field.is_sparse else field.dim for field in schema.vectors.values())
        row_bytes = sum(widths) * 32  # Python floats while they are gathered
        rows = max(1, min(512, READ_BYTES // max(1, row_bytes)))
        only = next(iter(schema.vectors.values())) if len(schema.vectors) == 1 else None
        points = self._points(schema.vectors, only)
        while chunk := list(itertools.islice(points, rows)):
            try:
                yield batch_from_points([point for _, point in chunk], schema)
            except InvalidArgument as error:
                raise self._named(error, chunk, schema) from None

    def _named(
        self, error: InvalidArgument, chunk: list[tuple[int, dict[str, Any]]], schema: Schema
    ) -> InvalidArgument:
        """The error with its row: the first that fails alone, else the one that the error points at."""
        for row, point in chunk:
            try:
                batch_from_points([point], schema)
            except InvalidArgument as own:
                return bad_row(self.path, row, own.message, own.reason)
        place = row_in_batch(error)
        return error if place is None else bad_row(self.path, chunk[place][0], error.message, error.reason)

    def _points(
        self, fields: Mapping[str, VectorField], only: VectorField | None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows and points; `only` is the field of a vector without a name."""
        with self.path.open("rb") as lines:
            for row, line in enumerate(lines):
                if line.strip():
                    try:
                        values = msgspec.json.decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                        raise bad_row(self.path, row, f"is not JSON: {error}") from None
                    if not isinstance(values, dict):
                        raise bad_row(self.path, row, "is not a JSON object")
                    yield row, self._point(values, row, fields, only)

    def _point(
        self, values: dict[str, Any], row: int, fields: Mapping[str, VectorField], only: VectorField | None
    ) -> dict[str, Any]:
        own = "vectors" in values or "vector" in values
        try:
            if not self._mapping.vectors and (own or not self._mapping.texts):
                return self._as_named(values, row, fields, only)
            given = {name: values.get(column) for name, column in self._columns.items()}
            vectors = {name: read_vector(one, fields.get(name)) for name, one in given.items() if one is not None}
            payload = self._payload(values, self._mapping.vectors.values())
            return {"id": self._id(values, row), "vectors": vectors, "payload": payload}
        except (ValueError, TypeError, AttributeError) as error:
            raise bad_row(self.path, row, f"has a bad id or vector: {error}") from None

    def _as_named(
        self, values: dict[str, Any], row: int, fields: Mapping[str, VectorField], only: VectorField | None
    ) -> dict[str, Any]:
        """A line whose keys say what they are. Beside vectors, and without "payload", the other keys are the payload;
        else they are left in, to be refused by name."""
        texts = {name: values[column] for name, column in self._mapping.texts.items() if values.get(column) is not None}
        named = dict(values.get("vectors") or {})
        point: dict[str, Any] = {"id": self._id(values, row)}
        if "vector" in values and not self._mapping.texts:
            point["vector"] = read_vector(values["vector"], only)
        elif "vector" in values:  # texts have names, and so needs it one
            others = [name for name in fields if name not in self._mapping.texts]
            named[others[0] if len(others) == 1 else "default"] = values["vector"]
        if "vectors" in values or self._mapping.texts:
            point["vectors"] = {name: read_vector(one, fields.get(name)) for name, one in named.items()} | texts
        own = {self._mapping.id_column or "id", "vector", "vectors"}
        if "payload" in values or not {"vector", "vectors"} & set(values):
            return point | {key: value for key, value in values.items() if key not in own}
        return point | {"payload": self._payload(values, own)}

    def _id(self, values: dict[str, Any], row: int) -> PointId:
        return read_id(values.get(self._mapping.id_column or "id", row))

    def _payload(self, values: dict[str, Any], vectors: Iterable[str]) -> dict[str, Any] | None:
        """The keys that were asked for, or all but the id and `vectors`."""
        keys = self._mapping.payload
        if keys is None:
            taken = {self._mapping.id_column or "id", *vectors}
            keys = [key for key in values if key not in taken]
        return {key: values[key] for key in keys if key in values} or None


class JsonLinesSink:
    """Writes what `JsonLinesSource` reads."""

    def __init__(self, path: Path, fields: dict[str, VectorField]) -> None:
        self._file = path.open("wb")
        self._fields = fields
        self._encoder = msgspec.json.Encoder()

    def write(self, points: Sequence[Point]) -> None:
        for point in points:
            line: dict[str, Any] = {"id": write_id(point.id), "vectors": self._vectors(point)}
            if point.payload_json is not None:
                line["payload"] = msgspec.Raw(point.payload_json)
            self._file.write(self._encoder.encode(line) + b"\n")

    def _vectors(self, point: Point) -> dict[str, Any]:
        return {
            name: write_vector(row, self._fields[name])
            for name, row in (point.vectors or {}).items()
            if name in self._fields
        }

    def close(self) -> None:
        self._file.close()


def read_id(value: Any) -> PointId:
    if isinstance(value, dict) and set(value) == {"uuid"}:
        return UUID(value["uuid"])
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise ValueError(f"id {value!r:.80} is not a number, text or {{'uuid': text}}")


def write_id(value: PointId) -> object:
    return {"uuid": str(value)} if isinstance(value, UUID) else value


def write_vector(row: StoredVector, field: VectorField) -> Any:
    if isinstance(row, SparseVector):
        return {"indices": row.indices.tolist(), "values": row.values.tolist()}
    return row.tobytes().hex() if field.kind is VectorKind.BINARY else row.tolist()


def read_vector(value: Any, field: VectorField | None = None) -> Any:
    """A vector as the SDK takes it; text is bits in hexadecimal unless the field is one of texts. Raises ValueError."""
    if isinstance(value, str):
        if field is not None and field.kind is VectorKind.TEXT:
            return value
        try:
            return np.frombuffer(bytes.fromhex(value), dtype=np.uint8)
        except ValueError:
            raise ValueError(f"{value!r:.40} is not bits in hexadecimal, and the field is not one of texts") from None
    if isinstance(value, dict):
        if value.keys() == {"indices", "values"}:
            return value["indices"], value["values"]
        if bad := next((key for key in value if not _INDEX.fullmatch(key)), None):
            raise ValueError(f"index {bad!r:.40} of a sparse vector is not a number")
        return {int(key): weight for key, weight in value.items()}
    return value


def _field_of(vector: Any) -> VectorField:
    """The field that holds a vector such as `read_vector` returns."""
    if isinstance(vector, dict | tuple):
        return sparse_field()
    if isinstance(vector, list) and vector and isinstance(vector[0], list):
        return multi_field(np.dtype(np.float32), len(vector[0]))
    return vector_field_of(vector.dtype if isinstance(vector, np.ndarray) else np.dtype("f4"), len(vector))
