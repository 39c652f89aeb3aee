"""Magic numbers, versions and names of everything that storage writes. docs/FORMAT.md describes the same bytes.

A database directory holds

    FORMAT.json     {"format": STORE_FORMAT}, read before anything is opened
    LOCK            locked (flock) while a process has the database open
    feed.sock       where the process that has the database open tells its followers of each batch
    rocksdb/        the durable home: column families meta, log, tombstones, segments
    cache/          one mapped file for each blob, rebuilt from rocksdb/ when missing or damaged
    staging/        blobs on their way in; emptied at open
    checkpoints/    half-built indexes; removed when nothing is left to build
    RESTORED        empty: it was made of a snapshot, and has not been opened since

A snapshot has FORMAT.json, rocksdb/ and

    SNAPSHOT.json   the hash of every file; where it is, nothing is opened
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from vecstore.errors import InvalidArgument

# Of the directory, keys and values of the meta family; 2: vector indexes; 3: auto, graph; 4: packed sparse rows.
STORE_FORMAT: Final = 4
CHUNK_TABLE_VERSION: Final = 1
ARRAYS_VERSION: Final = 1

CHUNK_TABLE_MAGIC: Final = b"VSCHUNKS"
ARRAYS_MAGIC: Final = b"VSARRAYS"

CHUNK_BYTES: Final = 1 << 20  # a blob is stored and checksummed in pieces of this size
ARRAY_ALIGNMENT: Final = 64

FORMAT_FILE: Final = "FORMAT.json"
SNAPSHOT_FILE: Final = "SNAPSHOT.json"
RESTORED_FILE: Final = "RESTORED"
LOCK_FILE: Final = "LOCK"
FEED_SOCKET: Final = "feed.sock"
ROCKSDB_DIRECTORY: Final = "rocksdb"
CACHE_DIRECTORY: Final = "cache"
STAGING_DIRECTORY: Final = "staging"
CHECKPOINTS_DIRECTORY: Final = "checkpoints"
STAGED_FILE: Final = "staged.json"
SST_FILE: Final = "blobs.sst"

# Keys of the meta family that storage keeps for itself start with a zero byte; the engine's never do.
RESERVED_PREFIX: Final = b"\x00"
STORE_FORMAT_KEY: Final = b"\x00format"
EPOCH_KEY: Final = b"\x00epoch"
POSITION_KEY: Final = b"\x00position"
SYNCED_KEY: Final = b"\x00synced"
RECLAIM_PREFIX: Final = b"\x00reclaim\x00"
RECLAIM_END: Final = b"\x00reclaim\x01"

NAME_BYTES_MAX: Final = 200
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*(?:/[a-z0-9_][a-z0-9_.-]*)*", re.ASCII)


class FileKind(StrEnum):
    """Every kind of file that holds data; the bit-flip tests enumerate this."""

    FORMAT = "format"  # FORMAT.json
    WAL = "wal"  # rocksdb/*.log
    SST = "sst"  # rocksdb/*.sst
    MANIFEST = "manifest"  # rocksdb/MANIFEST-*
    CURRENT = "current"  # rocksdb/CURRENT
    CACHE = "cache"  # cache/*
    STAGED = "staged"  # staging/*/staged.json


FILE_KINDS: Final = tuple(FileKind)


def check_blob_name(name: str) -> str:
    """Return `name` if it is parts of [a-z0-9_.-] joined by "/" in at most NAME_BYTES_MAX bytes, no part starting with
    a dot or a dash. Raises InvalidArgument (BAD_NAME) otherwise."""
    if len(name) > NAME_BYTES_MAX or _NAME.fullmatch(name) is None:
        raise InvalidArgument(
            f"blob name {name[:64]!r} must match {_NAME.pattern} in at most {NAME_BYTES_MAX} bytes", reason="BAD_NAME"
        )
    return name


def cache_file_name(name: str) -> str:
    """The flat file name of a blob: "/" becomes "+", which no blob name contains, so two blobs never share a file."""
    return check_blob_name(name).replace("/", "+")
