"""Opening a file for export by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from vecstore.io.layout import IdKinds, suffix_of
from vecstore.schema import VectorField
from vecstore.types import Point


class Sink(Protocol):
    """A file that takes points in order."""

    def write(self, points: Sequence[Point]) -> None: ...
    def close(self) -> None: ...


def open_sink(path: str | Path, fields: dict[str, VectorField], kinds: IdKinds) -> Sink:
    """A writer for a .parquet, .jsonl, .npy or .hdf5 file. Raises InvalidArgument (BAD_FILE, BAD_COLUMN)."""
    path = Path(path)
    suffix = suffix_of(path, _SINKS)
    return _SINKS[suffix](path, fields, kinds)


def _parquet(path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> Sink:
    from vecstore.io.parquet import ParquetSink

    return ParquetSink(path, fields, kinds)


def _jsonl(path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> Sink:
    from vecstore.io.jsonl import JsonLinesSink

    return JsonLinesSink(path, fields)


def _npy(path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> Sink:
    from vecstore.io.npy import NpySink

    return NpySink(path, fields, kinds)


def _hdf5(path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> Sink:
    from vecstore.io.hdf5 import Hdf5Sink

    return Hdf5Sink(path, fields, kinds)


_SINKS: Mapping[str, Callable[[Path, dict[str, VectorField], IdKinds], Sink]] = {
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".npy": _npy,
    ".hdf5": _hdf5,
    ".h5": _hdf5,
}
