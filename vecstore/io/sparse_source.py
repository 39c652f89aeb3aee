"""A file of sparse rows as points: one vector field, ids beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vecstore.errors import InvalidArgument, NotFound
from vecstore.io.layout import number_ids, sparse_field
from vecstore.io.mapping import ColumnMapping
from vecstore.io.npy import DEFAULT_FIELD, ids_of_rows
from vecstore.io.sparse_files import SparseFile
from vecstore.io.sparse_npz import names_of, parts_of
from vecstore.schema import Schema, VectorField
from vecstore.sparse import SparseRows
from vecstore.types import PointBatch, VectorBatch

TRAIN = "train"  # the rows of a benchmark file


def read_sparse(path: Path, wanted: str) -> SparseRows:
    """All rows of a `.npz` or `.csr` file, of the part `wanted` if there is one. Raises NotFound and
    InvalidArgument."""
    if not path.is_file():
        raise NotFound(f"{path} does not exist", reason="FILE_NOT_FOUND")
    parts = parts_of(names_of(path)) if path.suffix.lower() == ".npz" else []
    return SparseFile(path, wanted if wanted in parts else None).read()


class SparseSource:
    """Reads a `.npz` or `.csr` file; ids from `name.ids.npy` when there is one, else row numbers. Of a `.npz` file with
    parts the rows are the part named by `NAME=PART`, else `train`."""

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        if len(mapping.vectors) + len(mapping.texts) > 1 or mapping.payload or mapping.id_column:
            raise InvalidArgument(f"{path} holds one vector field and no other column", reason="BAD_COLUMN")
        self.path = path
        self._name = next(iter(mapping.vectors), None)
        column = None if self._name is None else mapping.vectors[self._name]
        parts = parts_of(names_of(path)) if path.suffix.lower() == ".npz" else []
        part = column if column in parts or column != self._name else TRAIN if TRAIN in parts else None
        self._file = SparseFile(path, part)
        self.total: int | None = len(self._file)
        self._ids = ids_of_rows(path, len(self._file))

    def fields(self) -> dict[str, VectorField]:
        return {self._name or DEFAULT_FIELD: sparse_field()}

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        name = self._name or (next(iter(schema.vectors)) if len(schema.vectors) == 1 else DEFAULT_FIELD)
        start = 0
        for rows in self._file.batches():
            count = len(rows)
            ids = number_ids(start, count) if self._ids is None else self._ids[start : start + count].tolist()
            yield PointBatch(ids=ids, vectors={name: VectorBatch(rows)})
            start += count
