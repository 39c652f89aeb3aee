"""How RocksDB is tuned. Figures and reasons: docs/FORMAT.md and the storage notes it cites."""

from __future__ import annotations

from rocksdict import (
    BlockBasedOptions,
    Cache,
    ChecksumType,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    ReadOptions,
    WriteOptions,
)

from vecstore.config import MIB

SEGMENTS = "segments"
_BLOCK_CACHE_BYTES_MAX = 32 * MIB
_WRITE_BUFFER_BYTES_MAX = 32 * MIB


def database_options(wal_bytes_max: int) -> Options:
    """Of the whole database, and of the default family, which stays empty."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    # Refuses bytes damaged in the middle of the log, accepts the torn tail that a crash leaves.
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    options.set_max_total_wal_size(wal_bytes_max)  # bounds what a reopening replays
    options.set_paranoid_checks(True)
    options.set_max_background_jobs(4)
    options.set_bytes_per_sync(MIB)  # spreads the write-back of flushes instead of one burst
    options.set_wal_bytes_per_sync(0)
    options.set_keep_log_file_num(4)
    options.set_max_log_file_size(4 * MIB)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_is_fd_close_on_exec(True)
    options.set_manifest_preallocation_size(64 * 1024)
    return options


def family_options(wal_bytes_max: int) -> dict[str, Options]:
    """Options of each column family by name. Buffers and cache follow the log's bound: the buffers take as much, and
    up to `budget.BUFFERS` times that while flushes are behind."""
    cache = Cache(min(_BLOCK_CACHE_BYTES_MAX, wal_bytes_max // 2))
    small = _family(cache, 16 * 1024)
    small.set_write_buffer_size(min(8 * MIB, max(MIB, wal_bytes_max // 8)))
    small.set_compression_type(DBCompressionType.lz4())
    log = _family(cache, 64 * 1024)
    # Vectors do not compress and the log is trimmed soon. Many buffers and no slow-down, so that a burst is
    # absorbed instead of stalling the writer, which would hold the interpreter lock.
    log.set_write_buffer_size(min(_WRITE_BUFFER_BYTES_MAX, max(MIB, wal_bytes_max // 2)))
    log.set_max_write_buffer_number(8)
    log.set_compression_type(DBCompressionType.none())
    log.set_level_zero_slowdown_writes_trigger(64)
    log.set_level_zero_stop_writes_trigger(128)
    log.set_soft_pending_compaction_bytes_limit(0)
    log.set_hard_pending_compaction_bytes_limit(0)
    return {"meta": small, "log": log, "tombstones": small, SEGMENTS: segment_options(cache)}


def segment_options(cache: Cache | None = None) -> Options:
    """Of the segments family, and of the SST files that other processes write for it. Write-once data: no automatic
    compaction, every record in a block of its own, so that reading a chunk table does not read the chunk beside it."""
    options = _family(cache or Cache(MIB), 1)
    options.set_compression_type(DBCompressionType.none())
    options.set_disable_auto_compactions(True)
    options.set_write_buffer_size(MIB)
    return options


def write_options() -> WriteOptions:
    """Unsynced, and an error instead of a sleep: `write` holds the interpreter lock."""
    options = WriteOptions()
    options.sync = False
    options.no_slowdown = True
    return options


def range_options(high: bytes, *, fill_cache: bool = True) -> ReadOptions:
    options = ReadOptions()
    options.set_iterate_upper_bound(high)
    options.fill_cache(fill_cache)  # type: ignore[call-arg]  # the binding's stub has it wrong
    return options


def _family(cache: Cache, block_bytes: int) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_block_size(block_bytes)
    table.set_checksum_type(ChecksumType.xxh3())
    table.set_format_version(5)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    return options
