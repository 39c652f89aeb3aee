"""Snapshots: a database as of one moment, as files with a list of their hashes; and back.

A snapshot is a checkpoint (docs/FORMAT.md, Directory) and `SNAPSHOT.json`, written last. A folder that is being written
has a name that starts with a dot and ends with `.partial`, and gets its own by one rename, so that a snapshot or a
restored database is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from vecstore.errors import Corruption, FailedPrecondition, NotFound
from vecstore.storage import format
from vecstore.storage.files import fsync_directory, fsync_file, make_directory, replace_file
from vecstore.storage.rocks_errors import from_os

Progress = Callable[[str, int, int], None]  # phase, done, total; may raise to stop
PIECE_BYTES = 1 << 20
PARTIAL = ".partial"
_FILE = re.compile(rf"{format.FORMAT_FILE}|{format.ROCKSDB_DIRECTORY}/[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)


class SnapshotCollection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    seq: int  # of the last write that is in it
    points: int


class SnapshotFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    bytes: int
    sha256: str


class SnapshotRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SNAPSHOT.json. `checksum` is the SHA-256 of the JSON of the rest, with this field empty."""

    format: int
    version: str  # of vecstore
    created_at: float  # seconds since 1970
    collections: tuple[SnapshotCollection, ...]
    files: tuple[SnapshotFile, ...]
    checksum: str = ""

    def sealed(self) -> SnapshotRecord:
        bare = msgspec.structs.replace(self, checksum="")
        return msgspec.structs.replace(self, checksum=hashlib.sha256(msgspec.json.encode(bare)).hexdigest())

    @property
    def total_bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def write_snapshot(
    destination: Path,
    checkpoint: Callable[[Path], tuple[SnapshotCollection, ...]],
    version: str,
    created_at: float,
    progress: Progress,
) -> SnapshotRecord:
    """Make `destination`, which must not exist, of what `checkpoint` puts in the path that it is given.

    Raises FailedPrecondition (PATH_EXISTS, IN_MEMORY), ResourceExhausted (DISK_FULL), IoFailed and what `progress`
    raises; then nothing is left."""
    with _appearing(destination) as partial:
        progress("checkpoint", 0, 1)
        collections = checkpoint(partial)
        paths = sorted(path for path in partial.rglob("*") if path.is_file())
        total, done = sum(path.stat().st_size for path in paths), 0
        files = []
        for path in paths:
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while piece := file.read(PIECE_BYTES):
                    digest.update(piece)
                    done += len(piece)
                    progress("bytes hashed", done, total)
            fsync_file(path)
            name = path.relative_to(partial).as_posix()
            files.append(SnapshotFile(name, path.stat().st_size, digest.hexdigest()))
        record = SnapshotRecord(format.STORE_FORMAT, version, created_at, collections, tuple(files)).sealed()
        fsync_directory(partial / format.ROCKSDB_DIRECTORY)
        replace_file(partial / format.SNAPSHOT_FILE, msgspec.json.encode(record))
    return record


def read_snapshot(source: Path) -> SnapshotRecord:
    """What a snapshot says it holds. Raises NotFound (SNAPSHOT_NOT_FOUND), FailedPrecondition (FORMAT_TOO_NEW) and
    Corruption."""
    try:
        content = (source / format.SNAPSHOT_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{source.name!r:.80} is no snapshot", reason="SNAPSHOT_NOT_FOUND") from None
    except OSError as error:
        raise from_os(error, f"reading {format.SNAPSHOT_FILE}") from None
    try:
        record = msgspec.json.decode(content, type=SnapshotRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corruption(f"{format.SNAPSHOT_FILE} of {source.name} is damaged: {error}") from None
    if record.sealed().checksum != record.checksum:
        raise Corruption(f"{format.SNAPSHOT_FILE} of {source.name} does not match its checksum")
    if record.format > format.STORE_FORMAT:
        message = f"the snapshot has format {record.format}, this version reads up to {format.STORE_FORMAT}"
        raise FailedPrecondition(message, reason="FORMAT_TOO_NEW")
    names = [file.path for file in record.files]
    bad = next((name for name in names if _FILE.fullmatch(name) is None), None)
    if bad is not None or len(set(names)) != len(names) or any(file.bytes < 0 for file in record.files):
        raise Corruption(f"{format.SNAPSHOT_FILE} of {source.name} names a file that no snapshot has: {bad!r:.80}")
    return record


def restore_snapshot(source: Path, destination: Path, progress: Progress) -> SnapshotRecord:
    """Copy a snapshot to `destination`, which must not exist, and check every byte on the way.

    Raises as `read_snapshot` and `write_snapshot`; Corruption names the file. Then nothing is left."""
    record = read_snapshot(source)
    with _appearing(destination) as partial:
        _make(partial / format.ROCKSDB_DIRECTORY)
        done = 0
        for file in record.files:
            for size in _copy(source / file.path, partial / file.path, file):
                done += size
                progress("bytes copied", done, record.total_bytes)
        fsync_directory(partial / format.ROCKSDB_DIRECTORY)
        replace_file(partial / format.RESTORED_FILE, b"")
    return record


def _copy(source: Path, destination: Path, expected: SnapshotFile) -> Iterator[int]:
    """The sizes of the pieces, as they are written. Links are not followed."""
    digest, size = hashlib.sha256(), 0
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Corruption(f"file {expected.path} of the snapshot cannot be read: {error.strerror}") from None
    with open(descriptor, "rb", buffering=0) as reading:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Corruption(f"{expected.path} of the snapshot is no file")
        with open(destination, "xb", buffering=0) as writing:
            while size <= expected.bytes and (piece := reading.read(PIECE_BYTES)):
                view = memoryview(piece)
                while len(view):
                    view = view[writing.write(view) :]
                digest.update(piece)
                size += len(piece)
                yield len(piece)
            os.fsync(writing.fileno())
    if size != expected.bytes or digest.hexdigest() != expected.sha256:
        raise Corruption(f"file {expected.path} of the snapshot is not what was written: {size} bytes, hash differs")


def remove_snapshot(path: Path) -> None:
    """Gone at once for whoever looks; what cannot be removed is left for `sweep_partial`."""
    hidden = _partial(path)
    try:
        os.rename(path, hidden)
        fsync_directory(path.parent)
    except OSError as error:
        raise from_os(error, f"removing snapshot {path.name}") from None
    shutil.rmtree(hidden, ignore_errors=True)


def sweep_partial(directory: Path) -> None:
    """Remove what a crash left half written or half removed. For a time when nobody writes there."""
    for path in directory.glob(f".*{PARTIAL}"):
        shutil.rmtree(path, ignore_errors=True)


def _partial(destination: Path) -> Path:
    return destination.with_name(f".{destination.name}.{uuid.uuid4().hex}{PARTIAL}")


@contextmanager
def _appearing(destination: Path) -> Iterator[Path]:
    """A path to make a folder at, which becomes `destination` at the end, or goes."""
    if os.path.lexists(destination):
        raise FailedPrecondition(f"{destination} exists", reason="PATH_EXISTS")
    partial = _partial(destination)
    try:
        make_directory(destination.parent)
        yield partial
        fsync_directory(partial)
        if os.path.lexists(destination):  # somebody else was faster
            raise FailedPrecondition(f"{destination} exists", reason="PATH_EXISTS")
        os.rename(partial, destination)
        fsync_directory(destination.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise from_os(error, f"writing {destination.name}") from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
