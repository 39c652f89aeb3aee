"""Half-built indexes on disk, so that a build that was interrupted goes on where it was.

A file's name is a hash of all that the index follows from: only a build of the same thing finds it, whatever that is
called by then. So a file needs no owner, and no fsync: what a power cut tears does not match its checksum.

    "VSHALF01"  u32 length of the head  head, JSON  bytes of the arrays, in order  xxh3_128 of all before it
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import shutil
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xxhash

EVERY_S = 10.0  # between two checkpoints: what takes less is not worth one
COST_MAX = 0.05  # of the time, at most, that writing them takes
KEPT = 2  # files: what is built, and what was interrupted before it
FREE_MIN = 4  # times a file's bytes must be free, or there is none
_MAGIC = b"VSHALF01"
_PREFIX = struct.Struct("<8sI")
_DIGEST = 16
_READ = 1 << 22
log = logging.getLogger("vecstore.index")


class _Part(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class _Head(msgspec.Struct, frozen=True):
    phase: str
    done: int
    parts: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """An array to save, made a part at a time."""

    dtype: type[np.generic]
    shape: tuple[int, ...]
    parts: Iterable[np.ndarray]


@dataclass(frozen=True, slots=True)
class Saved:
    """How far a build had come; its arrays are mapped, read-only."""

    phase: str
    done: int
    arrays: Mapping[str, np.ndarray]


class Checkpoints:
    """Those of one build. Nothing that goes wrong with them fails it."""

    def __init__(self, folder: Path | None = None) -> None:
        """Without a folder none is ever due."""
        self.folder = folder
        self._next = time.monotonic() + EVERY_S

    @property
    def due(self) -> bool:
        return self.folder is not None and time.monotonic() >= self._next

    def save(self, key: str, phase: str, done: int, columns: Mapping[str, Column]) -> None:
        """In the place of what was saved by this key before."""
        assert self.folder is not None
        began = time.monotonic()
        parts = tuple(_Part(name, np.dtype(one.dtype).str, one.shape) for name, one in columns.items())
        path = self.folder / key
        try:
            self.folder.mkdir(exist_ok=True)
            self._make_room(path, sum(part.nbytes for part in parts))
            _write(path, _Head(phase, done, parts), itertools.chain.from_iterable(c.parts for c in columns.values()))
        except OSError as error:
            with contextlib.suppress(OSError):
                path.with_suffix(".part").unlink()
            log.warning("a checkpoint at %s %d could not be written: %s", phase, done, error)
        took = time.monotonic() - began
        self._next = began + took + max(EVERY_S, took / COST_MAX)

    def load(self, key: str) -> Saved | None:
        if self.folder is None:
            return None
        try:
            return _read(self.folder / key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
            log.warning("a checkpoint is not read: %s", error)
            return None

    def _make_room(self, path: Path, nbytes: int) -> None:
        assert self.folder is not None
        others = [one for one in self.folder.iterdir() if one.stem != path.stem]
        for old in sorted(others, key=lambda one: one.stat().st_mtime)[: max(0, len(others) - KEPT + 1)]:
            old.unlink(missing_ok=True)
        if shutil.disk_usage(self.folder).free < FREE_MIN * nbytes:
            raise OSError(f"less than {FREE_MIN} times its {nbytes} bytes are free")


def sweep(folder: Path) -> None:
    """Remove all checkpoints, of which none is wanted any more."""
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)


_current: ContextVar[Checkpoints | None] = ContextVar("checkpoints", default=None)


@contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """For the build that is made meanwhile."""
    before = _current.set(Checkpoints(folder))
    try:
        yield
    finally:
        _current.reset(before)


def current() -> Checkpoints:
    return _current.get() or Checkpoints()


def _write(path: Path, head: _Head, parts: Iterable[np.ndarray]) -> None:
    encoded = msgspec.json.encode(head)
    summed = xxhash.xxh3_128()
    made = path.with_suffix(".part")
    with made.open("wb") as file:
        for piece in itertools.chain([_PREFIX.pack(_MAGIC, len(encoded)), encoded], (_bytes(part) for part in parts)):
            summed.update(piece)
            file.write(piece)
        file.write(summed.digest())
    made.replace(path)


def _bytes(array: np.ndarray) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _read(path: Path) -> Saved:
    """Raises ValueError for what `_write` did not write."""
    size, summed = path.stat().st_size, xxhash.xxh3_128()
    with path.open("rb") as file:
        prefix = file.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size or size < _PREFIX.size + _DIGEST:
            raise ValueError("it is too short")
        magic, length = _PREFIX.unpack(prefix)
        file.seek(0)
        left = size - _DIGEST
        while left and (piece := file.read(min(left, _READ))):
            summed.update(piece)
            left -= len(piece)
        if magic != _MAGIC or file.read(_DIGEST) != summed.digest():
            raise ValueError("it does not match its checksum")
        file.seek(_PREFIX.size)
        head = msgspec.json.decode(file.read(length), type=_Head)
    at, arrays = _PREFIX.size + length, {}
    for part in head.parts:
        empty = part.nbytes == 0
        array = np.empty(part.shape, part.dtype) if empty else np.memmap(path, part.dtype, "r", at, part.shape)
        arrays[part.name] = np.asarray(array)
        at += part.nbytes
    with contextlib.suppress(OSError):
        path.touch()  # the newest
    return Saved(head.phase, head.done, arrays)
