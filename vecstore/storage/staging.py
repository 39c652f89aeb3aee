"""Blobs written by any process, ready to be taken over: one SST file for RocksDB and the cache files to map.

A staging directory holds

    cache/NAME...   the bytes of each blob, then its chunk table (see `cache_files`)
    blobs.sst       every chunk and chunk table, for the segments family
    staged.json     {"blobs": [...], "sst_bytes": n, "checksum": xxh3_64 of the two before it}, written last

Without staged.json a directory is a leftover.
"""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from rocksdict import SstFileWriter

from vecstore.errors import AlreadyExists, Corruption, InvalidArgument
from vecstore.storage import format
from vecstore.storage.checksum import ChunkTable, rechunk, table_bytes, xxh3_64
from vecstore.storage.files import fsync_directory, fsync_file, replace_file, write_file
from vecstore.storage.format import CHUNK_BYTES, cache_file_name
from vecstore.storage.interfaces import BlobRef, StagedBlobs
from vecstore.storage.rocks_errors import from_os, from_rocks
from vecstore.storage.rocks_options import segment_options
from vecstore.storage.segment_keys import chunk_key, table_key


class _StagedRecord(msgspec.Struct, forbid_unknown_fields=True):
    blobs: list[BlobRef]
    sst_bytes: int
    checksum: int

    def covered(self) -> bytes:
        return msgspec.json.encode([self.blobs, self.sst_bytes])


def stage_blobs(directory: Path, blobs: Iterable[tuple[str, Iterable[bytes | memoryview]]]) -> StagedBlobs:
    """Write `blobs`, pairs of (name, pieces of its bytes), into `directory`, which must not exist; fsynced.

    The names of one call should share a prefix that no other call uses, so that RocksDB can drop them as a whole.
    Leaves nothing behind on failure. Raises InvalidArgument (BAD_NAME, no blobs), AlreadyExists for a name given
    twice, ResourceExhausted (DISK_FULL) and IoFailed."""
    try:
        (directory / format.CACHE_DIRECTORY).mkdir(parents=True)
    except OSError as error:
        raise from_os(error, f"creating staging directory {directory.name}") from None
    try:
        tables: dict[str, ChunkTable] = {}
        for name, pieces in blobs:
            path = staged_file(directory, name)
            if name in tables:
                raise AlreadyExists(f"blob {name} is staged twice", reason="BLOB_EXISTS")
            tables[name] = write_cache_file(path, pieces)
        if not tables:
            raise InvalidArgument("there are no blobs to stage")
        sst_bytes = _write_sst(directory, tables)
        record = _StagedRecord([BlobRef(n, t.length, t.checksum) for n, t in sorted(tables.items())], sst_bytes, 0)
        record.checksum = xxh3_64(record.covered())
        fsync_directory(directory / format.CACHE_DIRECTORY)
        replace_file(directory / format.STAGED_FILE, msgspec.json.encode(record))
    except OSError as error:
        discard_staged(directory)
        raise from_os(error, f"staging into {directory.name}") from None
    except BaseException:
        discard_staged(directory)
        raise
    return StagedBlobs(directory, tuple(record.blobs))


def load_staged(directory: Path) -> StagedBlobs:
    """What another process staged into `directory`. Raises Corruption unless all of it is there."""
    try:
        record = msgspec.json.decode((directory / format.STAGED_FILE).read_bytes(), type=_StagedRecord)
        if xxh3_64(record.covered()) != record.checksum:
            raise Corruption(f"{format.STAGED_FILE} in {directory.name} does not match its checksum")
        lengths = {staged_file(directory, ref.name): ref.length + table_bytes(ref.length) for ref in record.blobs}
        lengths[directory / format.SST_FILE] = record.sst_bytes
        for path, length in lengths.items():
            if path.stat().st_size != length:
                raise Corruption(f"staged file {path.name} has {path.stat().st_size} bytes, not {length}")
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, InvalidArgument) as error:
        raise Corruption(f"staging directory {directory.name} is not whole: {error}") from None
    return StagedBlobs(directory, tuple(record.blobs))


def read_staged(staged: StagedBlobs, ref: BlobRef) -> bytes:
    """The verified bytes of one staged blob. Raises Corruption."""
    try:
        content = staged_file(staged.directory, ref.name).read_bytes()
    except OSError as error:
        raise Corruption(f"staged blob {ref.name} cannot be read: {error.strerror}") from None
    view = memoryview(content)
    ChunkTable.decode(view[ref.length :], ref).check_all(ref.name, view[: ref.length])
    return content[: ref.length]


def discard_staged(directory: Path) -> None:
    """Remove a staging directory; what cannot be removed is left for the sweep at the next open."""
    shutil.rmtree(directory, ignore_errors=True)


def staged_file(directory: Path, name: str) -> Path:
    """The ready-made cache file of one staged blob."""
    return directory / format.CACHE_DIRECTORY / cache_file_name(name)


def write_cache_file(path: Path, pieces: Iterable[bytes | memoryview]) -> ChunkTable:
    """Write the bytes and then their chunk table; fsynced. Raises as `write_file`."""
    checksums: list[int] = []
    tables: list[ChunkTable] = []

    def content() -> Iterator[bytes | memoryview]:
        length = 0
        for chunk in rechunk(pieces):
            checksums.append(xxh3_64(chunk))
            length += len(chunk)
            yield chunk
        tables.append(ChunkTable(length, tuple(checksums)))
        yield tables[0].encode()

    write_file(path, content())
    return tables[0]


def _write_sst(directory: Path, tables: dict[str, ChunkTable]) -> int:
    """Keys must ascend, and each table precedes its chunks, so the bytes are read back from the cache files."""
    path = directory / format.SST_FILE
    try:
        writer = SstFileWriter(segment_options())
        writer.open(str(path))
        for name, table in sorted(tables.items(), key=lambda item: table_key(item[0])):
            writer[table_key(name)] = table.encode()
            if table.length == 0:
                continue
            with (
                open(staged_file(directory, name), "rb") as file,
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content,
            ):
                for index in range(len(table.checksums)):
                    at = index * CHUNK_BYTES
                    writer[chunk_key(name, index)] = content[at : at + table.chunk_length(index)]
        writer.finish()
    except OSError:
        raise
    except Exception as error:
        raise from_rocks(error, f"writing {path.name}") from None
    fsync_file(path)
    return os.stat(path).st_size
