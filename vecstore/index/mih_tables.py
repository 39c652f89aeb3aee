"""The hash tables of multi-index hashing: one for each chunk of the bits, as flat arrays (CSR)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.base import Progress
from vecstore.index_check import MIH_CHUNK_BITS_MAX
from vecstore.kernels.base import MihTables, UInt8Array
from vecstore.kernels.hamming_numpy import chunk_values


def chunk_starts(bits: int, chunks: int) -> NDArray[np.int32]:
    """First bits of `chunks` chunks as equal as can be, then `bits`."""
    return (np.arange(chunks + 1) * bits // chunks).astype(np.int32)


def auto_chunks(bits: int, n: int) -> int:
    """Chunks of about log2(n) bits, so that a bucket holds about one row (Norouzi et al., section 4)."""
    width = min(math.log2(max(n, 2)), MIH_CHUNK_BITS_MAX)
    return max(round(bits / width), -(-bits // MIH_CHUNK_BITS_MAX), 1)


def build_tables(rows: UInt8Array, chunks: int, progress: Progress) -> MihTables:
    """Tables over packed rows (n, nbytes); rows ascend within a bucket."""
    starts = chunk_starts(rows.shape[1] * 8, chunks)
    listed = np.empty((chunks, len(rows)), np.uint32)
    buckets = []
    for chunk in range(chunks):
        progress("hash", chunk, chunks)
        values = chunk_values(rows, int(starts[chunk]), int(starts[chunk + 1]))
        listed[chunk] = np.argsort(values, kind="stable")
        counts = np.bincount(values, minlength=1 << int(starts[chunk + 1] - starts[chunk]))
        buckets.append(np.concatenate(([0], np.cumsum(counts))).astype(np.uint32))
    progress("hash", chunks, chunks)
    return MihTables(starts, np.concatenate(buckets), listed)


def table_arrays(tables: MihTables) -> dict[str, np.ndarray]:
    return {"mih_starts": tables.starts, "mih_buckets": tables.buckets, "mih_rows": tables.rows}


def open_tables(arrays: Mapping[str, np.ndarray], n: int, bits: int) -> MihTables:
    """The tables of `table_arrays` for n rows. Raises Corruption when a look-up could leave an array."""
    for name in ("mih_starts", "mih_buckets", "mih_rows"):
        if name not in arrays:
            raise Corruption(f"a multi-index hash lacks its array {name}")
    starts, buckets, rows = (arrays[name] for name in ("mih_starts", "mih_buckets", "mih_rows"))
    widths = np.diff(starts.astype(np.int64)) if starts.dtype == np.int32 and starts.ndim == 1 else np.empty(0)
    fits = len(widths) and widths.min() >= 1 and widths.max() <= MIH_CHUNK_BITS_MAX
    if not fits or starts[0] != 0 or starts[-1] != bits:
        raise Corruption(f"mih_starts does not cut {bits} bits into chunks of 1 to {MIH_CHUNK_BITS_MAX}")
    sizes = (1 << widths.astype(np.int64)) + 1
    if buckets.dtype != np.uint32 or buckets.shape != (int(sizes.sum()),):
        raise Corruption(f"mih_buckets is {buckets.dtype} of shape {buckets.shape}, not uint32 ({sizes.sum()},)")
    if rows.dtype != np.uint32 or rows.shape != (len(sizes), n):
        raise Corruption(f"mih_rows is {rows.dtype} of shape {rows.shape}, not uint32 ({len(sizes)}, {n})")
    first = 0
    for chunk, size in enumerate(sizes.tolist()):
        table = buckets[first : first + size]
        if table[0] != 0 or table[-1] != n or (table[1:] < table[:-1]).any():
            raise Corruption(f"the buckets of chunk {chunk} do not ascend from 0 to {n}")
        first += size
    if rows.max(initial=0) >= max(n, 1):
        raise Corruption(f"mih_rows holds row {rows.max()}, there are {n}")
    return MihTables(starts, buckets, rows)
