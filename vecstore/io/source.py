"""Opening a file for import by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from vecstore.errors import NotFound
from vecstore.io.layout import suffix_of
from vecstore.io.mapping import ColumnMapping
from vecstore.schema import Schema, VectorField
from vecstore.types import PointBatch


class Source(Protocol):
    """A file of points, read in order and in bounded memory."""

    total: int | None  # rows, when the file says

    def fields(self) -> dict[str, VectorField]:
        """Vector fields as the file holds them, for creating a collection."""
        ...

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        """Batches in the file's order. Raises InvalidArgument naming the row."""
        ...


def open_source(path: str | Path, mapping: ColumnMapping | None = None) -> Source:
    """A reader for a .parquet, .jsonl, .npy, .hdf5, .npz or .csr file. Raises NotFound and InvalidArgument
    (BAD_FILE)."""
    path = Path(path)
    if not path.is_file():
        raise NotFound(f"{path} does not exist", reason="FILE_NOT_FOUND")
    return _SOURCES[suffix_of(path, _SOURCES)](path, mapping or ColumnMapping())


def _parquet(path: Path, mapping: ColumnMapping) -> Source:
    from vecstore.io.parquet import ParquetSource

    return ParquetSource(path, mapping)


def _jsonl(path: Path, mapping: ColumnMapping) -> Source:
    from vecstore.io.jsonl import JsonLinesSource

    return JsonLinesSource(path, mapping)


def _npy(path: Path, mapping: ColumnMapping) -> Source:
    from vecstore.io.npy import NpySource

    return NpySource(path, mapping)


def _npz(path: Path, mapping: ColumnMapping) -> Source:
    from vecstore.io.sparse_npz import names_of
    from vecstore.io.token_columns import TOKENS

    if TOKENS in names_of(path):
        from vecstore.io.token_npz import TokenNpzSource

        return TokenNpzSource(path, mapping)
    return _sparse(path, mapping)


def _sparse(path: Path, mapping: ColumnMapping) -> Source:
    from vecstore.io.sparse_source import SparseSource

    return SparseSource(path, mapping)


def _hdf5(path: Path, mapping: ColumnMapping) -> Source:
    from vecstore.io.hdf5 import Hdf5Source

    return Hdf5Source(path, mapping)


_SOURCES: Mapping[str, Callable[[Path, ColumnMapping], Source]] = {
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".npy": _npy,
    ".npz": _npz,
    ".csr": _sparse,
    ".hdf5": _hdf5,
    ".h5": _hdf5,
}
