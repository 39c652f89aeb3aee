"""Blobs in RocksDB's segments family, mapped from cache files.

Values never pass through RocksDB's log: blobs come in as one ingested SST file, so publishing takes milliseconds
whatever their size.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rocksdict import IngestExternalFileOptions

from vecstore.errors import Corruption, IoFailed
from vecstore.storage import format
from vecstore.storage.cache_files import CacheFiles
from vecstore.storage.checksum import ChunkTable, table_length, xxh3_64
from vecstore.storage.format import CHUNK_BYTES, check_blob_name
from vecstore.storage.interfaces import BlobRef, CheckedBlob, StagedBlobs
from vecstore.storage.memory import check_range, missing_blob, name_taken
from vecstore.storage.rocks_database import RocksDatabase
from vecstore.storage.rocks_errors import from_rocks
from vecstore.storage.rocks_kv import RocksKV
from vecstore.storage.rocks_options import SEGMENTS, range_options
from vecstore.storage.segment_keys import blob_range, chunk_key, name_of, prefix_range, table_key
from vecstore.storage.staging import discard_staged, load_staged, stage_blobs, staged_file


class RocksBlobs:
    """See `interfaces.Blobs`. Threads may share one object. Closed with its KV; mappings outlive it."""

    def __init__(self, database: RocksDatabase, kv: RocksKV, *, verify_on_open: bool, resident_bytes: int) -> None:
        self._database = database
        self._kv = kv
        self._verify_on_open = verify_on_open
        self._staging = database.directory / format.STAGING_DIRECTORY
        cache = database.directory / format.CACHE_DIRECTORY
        for directory in (self._staging, cache):
            directory.mkdir(exist_ok=True)
        self._cache = CacheFiles(cache, resident_bytes)
        self._publish_lock = threading.Lock()
        self._map_lock = threading.Lock()
        self._mapped: dict[str, tuple[BlobRef, memoryview]] = {}
        self.before_delete: Callable[[], object] = lambda: None  # returns once no other process looks for a blob

    def put_new(self, name: str, chunks: Iterable[bytes | memoryview]) -> BlobRef:
        check_blob_name(name)
        if self._table(name) is not None:
            raise name_taken(name)
        staged = stage_blobs(self._staging / f"put-{uuid.uuid4().hex}", [(name, chunks)])
        try:
            self.publish(staged)
        except BaseException:
            discard_staged(staged.directory)
            raise
        return staged.refs[0]

    def publish(self, staged: StagedBlobs) -> None:
        """Ingest the SST file, then move the cache files; the staging directory is gone afterwards. On failure it
        stays and nothing of it is visible.

        Raises AlreadyExists, Corruption, ResourceExhausted (DISK_FULL) and IoFailed."""
        if self._database.failed:
            raise self._database.failure()
        load_staged(staged.directory)
        options = IngestExternalFileOptions()
        options.set_move_files(True)
        with self._publish_lock:
            for ref in staged.refs:
                if self._table(ref.name) is not None:
                    raise name_taken(ref.name)
            try:
                with self._database.using():
                    self._database.family(SEGMENTS).ingest_external_file(
                        [str(staged.directory / format.SST_FILE)], options
                    )
            except Exception as error:
                typed = from_rocks(error, f"ingesting {len(staged.refs)} blobs")
                raise self._database.fail(typed.message) if isinstance(typed, IoFailed) else typed from None
            for ref in staged.refs:
                self._cache.adopt(staged_file(staged.directory, ref.name), ref.name)
        discard_staged(staged.directory)

    def map(self, ref: BlobRef) -> memoryview:
        found = self._mapped.get(ref.name)
        if found is not None and found[0] == ref:
            return found[1]
        with self._map_lock:
            found = self._mapped.get(ref.name)
            if found is None or found[0] != ref:
                found = ref, self._map(ref)
                self._mapped[ref.name] = found
        return found[1]

    def map_checked(self, ref: BlobRef) -> CheckedBlob:
        def good_chunk(index: int) -> bytes:
            return self._chunk(ref, self._verified_table(ref), index)

        try:
            return self._cache.map_checked(ref, good_chunk, verify=self._verify_on_open)
        except Corruption:
            self._rebuild(ref)
            return self._cache.map_checked(ref, good_chunk, verify=self._verify_on_open)

    def local_path(self, ref: BlobRef) -> Path | None:
        return self._cache.path(ref.name)

    def read_ranges(self, ref: BlobRef, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read from RocksDB, not from the cache file: right for a few rows of a blob that is not mapped."""
        for offset, length in ranges:
            check_range(ref, offset, length)
        table = self._verified_table(ref)
        chunks: dict[int, bytes] = {}
        result = []
        for offset, length in ranges:
            first, last = offset // CHUNK_BYTES, -(-(offset + length) // CHUNK_BYTES)
            for index in range(first, last):
                if index not in chunks:
                    chunks[index] = self._chunk(ref, table, index)
            joined = b"".join(chunks[index] for index in range(first, last))
            at = offset - first * CHUNK_BYTES
            result.append(joined[at : at + length])
        return result

    def list(self, prefix: str) -> Iterator[BlobRef]:
        """In the order of names. Raises Corruption when a stored chunk table cannot be read."""
        at, high = prefix_range(prefix)
        while True:
            with self._database.using():
                iterator = self._database.family(SEGMENTS).iter(range_options(high, fill_cache=False))
                try:
                    iterator.seek(at)
                    iterator.status()
                    pair = (iterator.key(), iterator.value()) if iterator.valid() else None
                except Exception as error:
                    raise from_rocks(error, "listing blobs") from None
                finally:
                    del iterator  # or an error that somebody keeps would keep the database's lock
            if pair is None:
                return
            key, value = pair
            name = name_of(key)
            if key != table_key(name):
                raise Corruption(f"blob {name} has chunks but no chunk table")
            yield BlobRef(name, table_length(value, name), xxh3_64(value))
            at = blob_range(name)[1]

    def delete(self, name: str) -> None:
        """Mappings stay valid while something refers to them. On ResourceExhausted (DISK_FULL) the cache file is gone
        and the blob is not; deleting again, or the next sweep, finishes."""
        check_blob_name(name)
        self.before_delete()
        with self._map_lock:
            self._mapped.pop(name, None)
        self._cache.remove(name)
        with self._publish_lock:
            if self._table(name) is not None:
                self._kv.delete_blob(*blob_range(name))

    def repair(self, ref: BlobRef) -> None:
        """Make the cache file whole, for another process that found it missing or damaged. Raises Corruption."""
        try:
            self._cache.map(ref, verify=True)
        except Corruption:
            self._rebuild(ref)

    def verify(self, ref: BlobRef) -> None:
        table = self._verified_table(ref)
        for index in range(len(table.checksums)):
            self._chunk(ref, table, index)

    def resident_bytes(self) -> int:
        return self._cache.resident_bytes

    def sweep(self, keep: set[str]) -> None:
        """Remove every blob, cache file and staging directory that is not of a name in `keep`. For the start: staging
        directories of workers that still run would go too. Stops at a damaged chunk table, which `verify` reports."""
        for path in self._staging.iterdir():
            discard_staged(path)
        self._cache.sweep(keep)
        try:
            orphans = [ref.name for ref in self.list("") if ref.name not in keep]
        except Corruption:
            return
        for name in orphans:
            self.delete(name)

    @property
    def staging_directory(self) -> Path:
        return self._staging

    def _map(self, ref: BlobRef) -> memoryview:
        try:
            return self._cache.map(ref, verify=self._verify_on_open)
        except Corruption:
            self._rebuild(ref)
            return self._cache.map(ref, verify=True)

    def _rebuild(self, ref: BlobRef) -> None:
        table = self._verified_table(ref)
        self._cache.rebuild(ref.name, (self._chunk(ref, table, i) for i in range(len(table.checksums))))

    def _table(self, name: str) -> bytes | None:
        return self._record(table_key(name), f"the chunk table of blob {name}")

    def _verified_table(self, ref: BlobRef) -> ChunkTable:
        stored = self._table(check_blob_name(ref.name))
        if stored is None:
            raise missing_blob(ref)
        return ChunkTable.decode(stored, ref)

    def _chunk(self, ref: BlobRef, table: ChunkTable, index: int) -> bytes:
        chunk = self._record(chunk_key(ref.name, index), f"blob {ref.name} chunk {index}")
        if chunk is None:
            raise Corruption(f"blob {ref.name} chunk {index} is missing")
        table.check_chunk(ref.name, index, chunk)
        return chunk

    def _record(self, key: bytes, what: str) -> bytes | None:
        with self._database.using():
            try:
                options = range_options(b"\xff", fill_cache=False)
                value: bytes | None = self._database.family(SEGMENTS).get(key, read_opt=options)
            except Exception as error:
                raise from_rocks(error, f"reading {what}") from None
        return value
