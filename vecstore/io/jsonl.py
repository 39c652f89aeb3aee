"""JSON lines: one point a line, read and written line by line, so that payloads of any shape pass through unchanged."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from vecstore.client.points import batch_from_points
from vecstore.errors import InvalidArgument
from vecstore.io.layout import vector_field_of
from vecstore.io.mapping import READ_BYTES, ColumnMapping, bad_row, row_in_batch
from vecstore.query.filter import PointId
from vecstore.rows import StoredVector
from vecstore.schema import Schema, VectorField, VectorKind
from vecstore.sparse import SparseVector
from vecstore.types import Point, PointBatch


class JsonLinesSource:
    """Reads lines {"id", "vector" or "vectors", "payload"}, or with columns named, flat objects.

    A vector is a list of numbers, or text: the packed bits of a binary vector in hexadecimal. An id is a number, text
    or {"uuid": text}. Empty lines are skipped; rows are counted as lines from 0.
    """

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        self.path = path
        self.total: int | None = None
        self._mapping = mapping
        self._flat = bool(mapping.vectors)

    def fields(self) -> dict[str, VectorField]:
        row, first = next(self._points(), (0, None))
        if first is None:
            raise InvalidArgument(f"{self.path} is empty", reason="BAD_FILE")
        named = dict(first.get("vectors") or {})
        if first.get("vector") is not None:
            named["default"] = first["vector"]
        if not named:
            raise bad_row(self.path, row, "has no vector; name one with NAME=COLUMN", "BAD_COLUMN")
        return {
            str(name): vector_field_of(vector.dtype if isinstance(vector, np.ndarray) else np.dtype("f4"), len(vector))
            for name, vector in named.items()
        }

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        row_bytes = sum(field.dim * 32 for field in schema.vectors.values())  # Python floats while they are gathered
        rows = max(1, min(512, READ_BYTES // max(1, row_bytes)))
        points = self._points()
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

    def _points(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.path.open("rb") as lines:
            for row, line in enumerate(lines):
                if line.strip():
                    try:
                        values = msgspec.json.decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                        raise bad_row(self.path, row, f"is not JSON: {error}") from None
                    if not isinstance(values, dict):
                        raise bad_row(self.path, row, "is not a JSON object")
                    yield row, self._point(values, row)

    def _point(self, values: dict[str, Any], row: int) -> dict[str, Any]:
        try:
            if not self._flat:
                point = dict(values)
                point["id"] = read_id(values.get(self._mapping.id_column or "id", row))
                if "vectors" in point:
                    point["vectors"] = {name: read_vector(one) for name, one in (point["vectors"] or {}).items()}
                if "vector" in point:
                    point["vector"] = read_vector(point["vector"])
                return point
            id_column = self._mapping.id_column or "id"
            taken = {id_column, *self._mapping.vectors.values()}
            keys = self._mapping.payload if self._mapping.payload is not None else [k for k in values if k not in taken]
            return {
                "id": read_id(values.get(id_column, row)),
                "vectors": {
                    name: read_vector(values[column])
                    for name, column in self._mapping.vectors.items()
                    if values.get(column) is not None
                },
                "payload": {key: values[key] for key in keys if key in values} or None,
            }
        except (ValueError, TypeError, AttributeError) as error:
            raise bad_row(self.path, row, f"has a bad id or vector: {error}") from None


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


def read_vector(value: Any) -> Any:
    return np.frombuffer(bytes.fromhex(value), dtype=np.uint8) if isinstance(value, str) else value
