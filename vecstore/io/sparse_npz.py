"""The arrays of a sparse matrix in a `.npz` file, read as a stream and not as a whole."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from vecstore.errors import InvalidArgument
from vecstore.io.mapping import need_column

VALUES = ("data", "values")  # scipy's name, and this project's
_UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)


def names_of(path: Path) -> list[str]:
    """The arrays that a file holds. Raises InvalidArgument (BAD_FILE)."""
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")]
    except zipfile.BadZipFile as error:
        raise bad_file(path, f"is not a .npz file: {error}") from None


def parts_of(names: list[str]) -> list[str]:
    """The sets of rows, each with offsets of its own, among a file's arrays."""
    return sorted(name.removesuffix("_indptr") for name in names if name.endswith("_indptr"))


class NpzArrays:
    """Offsets, and what is needed to read indices and values. Raises InvalidArgument (BAD_FILE, BAD_COLUMN)."""

    def __init__(self, path: Path, part: str | None) -> None:
        self.path = path
        names = names_of(path)
        lead, parts = f"{part}_" if part else "", parts_of(names)
        if f"{lead}indptr" not in names and parts:
            raise InvalidArgument(f"{path} has the parts {', '.join(parts)}, not {part!r}", reason="BAD_COLUMN")
        offsets = need_column(f"{lead}indptr", names, "array", path)
        self._indices = need_column(f"{lead}indices", names, "array", path)
        values = [f"{lead}{name}" for name in VALUES if f"{lead}{name}" in names]
        self._values = values[0] if values else need_column(f"{lead}{VALUES[0]}", names, "array", path)
        kind = whole(path, "format", "US", 0).item() if "format" in names else b"csr"
        if kind not in (b"csr", "csr"):
            raise bad_file(path, f"holds a matrix in the format {kind!r}, not csr")
        shape = whole(path, need_column("shape", names, "array", path), "iu").tolist()
        self.offsets = whole(path, offsets, "iu")
        if len(shape) < 2 or len(self.offsets) - 1 not in shape[:-1]:
            raise bad_file(path, f"has the shape {shape} and {len(self.offsets)} offsets")
        self.columns = int(shape[-1])
        with self.entries() as entries:
            self.nnz = entries.count

    def entries(self) -> NpzEntries:
        return NpzEntries(self.path, self._indices, self._values)


class NpzEntries:
    """Indices and the values beside them, from front to back."""

    def __init__(self, path: Path, indices: str, values: str) -> None:
        self._indices = NpzStream(path, indices, "iu")
        try:
            self._values = NpzStream(path, values, "fiu")
        except InvalidArgument:
            self._indices.close()
            raise
        self.count = self._indices.count
        if self._values.count != self.count:
            self.close()
            raise bad_file(path, f"has {self.count} indices and {self._values.count} values")

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        return self._indices.take(count), self._values.take(count)

    def close(self) -> None:
        self._indices.close()
        self._values.close()

    def __enter__(self) -> NpzEntries:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class NpzStream:
    """One array of a `.npz` file from front to back, of a kind of dtype among `kinds`."""

    def __init__(self, path: Path, name: str, kinds: str, dimensions: int = 1) -> None:
        self.path, self.name = path, name
        self._opened = ExitStack()
        try:
            file = self._opened.enter_context(zipfile.ZipFile(path))
            self._stream = self._opened.enter_context(file.open(f"{name}.npy"))
            self.shape, self.dtype, by_columns = header(self._stream)
        except _UNREADABLE as error:
            self.close()
            raise bad_file(path, f"has an array {name!r} that cannot be read: {error}") from None
        if len(self.shape) != dimensions or min(self.shape, default=0) < 0 or self.dtype.kind not in kinds:
            self.close()
            raise bad_file(path, f"has an array {name!r} of shape {self.shape} and dtype {self.dtype}")
        if by_columns and dimensions > 1:
            self.close()
            raise bad_file(path, f"has an array {name!r} in Fortran's order, which cannot be read by rows")
        self.count = int(np.prod(self.shape, dtype=np.int64))

    def take(self, count: int) -> np.ndarray:
        wanted = count * self.dtype.itemsize
        parts = []
        try:
            while wanted and (part := self._stream.read(wanted)):
                parts.append(part)
                wanted -= len(part)
        except _UNREADABLE as error:
            raise bad_file(self.path, f"has an array {self.name!r} that cannot be read: {error}") from None
        if wanted:
            raise bad_file(self.path, f"has an array {self.name!r} that ends {wanted} bytes early")
        return np.frombuffer(b"".join(parts), self.dtype, count)

    def close(self) -> None:
        self._opened.close()


def whole(path: Path, name: str, kinds: str, dimensions: int = 1) -> np.ndarray:
    stream = NpzStream(path, name, kinds, dimensions)
    try:
        return stream.take(stream.count).reshape(stream.shape)
    finally:
        stream.close()


def header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, dtype, and whether columns follow each other, which of one-dimensional arrays does not matter."""
    version = npy_format.read_magic(stream)
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    return shape, dtype, by_columns


def bad_file(path: object, problem: str) -> InvalidArgument:
    return InvalidArgument(f"{path} {problem}", reason="BAD_FILE")
