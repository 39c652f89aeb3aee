"""Scans of codes: one bit a dimension by tables, two ways; four bits; bytes; late interaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.device.roofline import Roofline, seconds
from bench.device.scans import Found, check, kept
from vecstore.kernels.base import RowCodes, TableCodes
from vecstore.kernels.device.resident import Resident
from vecstore.tokens import TokenRows

LANES = 32


def _lists(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One list of n rows: offsets, counts, rows."""
    blocks = -(-n // LANES)
    return np.array([0, blocks]), np.array([n]), np.arange(blocks * LANES, dtype=np.uint32)


def one_bit(rng: np.random.Generator, n: int, dim: int) -> TableCodes:
    """As RaBitQ's: a nibble is four signs."""
    blocks = -(-n // LANES)
    nibble = np.arange(16)
    signs = np.stack([2.0 * (nibble >> bit & 1) - 1 for bit in range(4)]).astype(np.float32)
    m = dim // 4
    return TableCodes(
        *_lists(n),
        kept(rng.integers(0, 256, (blocks, -(-m // 8), LANES, 4), np.uint8)),
        rng.uniform(0.5, 1.5, (blocks, 2, LANES)).astype(np.float32),
        np.arange(dim, dtype=np.int32).reshape(m, 4),
        np.ascontiguousarray(np.broadcast_to(signs, (m, 4, 16))),
    )


def rows_of(rng: np.random.Generator, kind: str, n: int, dim: int) -> RowCodes:
    blocks, fields = -(-n // LANES), 4 if kind == "int8" else 8
    words = 2 * -(-dim // 8) if kind == "int8" else -(-dim // fields)
    return RowCodes(
        kind,  # type: ignore[arg-type]
        *_lists(n),
        kept(rng.integers(0, 256, (blocks, words, LANES, 4), np.uint8)),
        rng.uniform(0.5, 1.5, (blocks, 2, LANES)).astype(np.float32),
        None if kind == "int8" else np.arange(-8, 8, dtype=np.int8),
    )


def table_scan(kernels: Any, codes: TableCodes, queries: np.ndarray, k: int) -> Found:
    nq = len(queries)
    found = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
    zeros = np.zeros((nq, 1), np.float32)
    counters = np.empty((nq, 3), np.int64)
    kernels.table_scan(codes, queries, np.zeros((nq, 1), np.int32), zeros, zeros, k, 0.0, None, *found, counters)
    return found


def row_scan(kernels: Any, codes: RowCodes, queries: np.ndarray, k: int) -> Found:
    nq = len(queries)
    found = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
    zeros, counters = np.zeros((nq, 1), np.float32), np.empty((nq, 3), np.int64)
    kernels.row_scan(codes, queries, np.zeros((nq, 1), np.int32), zeros, None, *found, counters)
    return found


def tables(
    device: Any,
    resident: Resident,
    kernels: Any,
    host: Any,
    limits: Roofline,
    n: int,
    queries: np.ndarray,
    k: int,
    batches: list[int],
) -> Iterator[dict[str, Any]]:
    """Looked up and as products, for the batches where the choice between them is made."""
    rng, dim = np.random.default_rng(1), queries.shape[1]
    codes, few = one_bit(rng, n, dim), one_bit(rng, 20_000, dim)
    nbytes = codes.blocks.nbytes + codes.factors.nbytes
    standard = device.few_tables
    for name, most in (("tables", 1 << 20), ("products", 0)):
        device.few_tables = most
        resident.drop_all()  # and what was recorded of the other way
        check(f"one bit by {name}", table_scan(kernels, few, queries[:8], k), table_scan(host, few, queries[:8], k))
        for nq in [nq for nq in batches if name == "products" or nq <= 64]:
            taken = seconds(lambda nq=nq: table_scan(kernels, codes, queries[:nq], k))  # type: ignore[misc]
            yield limits.line(f"1 bit by {name}", nq, nbytes, 2.0 * nq * n * dim, taken, "float16")
    device.few_tables = standard


def rows(
    kernels: Any, host: Any, limits: Roofline, n: int, queries: np.ndarray, k: int, batches: list[int]
) -> Iterator[dict[str, Any]]:
    rng, dim = np.random.default_rng(2), queries.shape[1]
    for kind in ("nibble", "int8"):
        codes, few = rows_of(rng, kind, n, dim), rows_of(rng, kind, 20_000, dim)
        check(kind, row_scan(kernels, few, queries[:8], k), row_scan(host, few, queries[:8], k))
        for nq in batches:
            taken = seconds(lambda nq=nq, codes=codes: row_scan(kernels, codes, queries[:nq], k))  # type: ignore[misc]
            yield limits.line(f"scan {kind}", nq, codes.blocks.nbytes, 2.0 * nq * n * dim, taken, "int8")


def documents(rng: np.random.Generator, n: int, low: int, high: int, dtype: type = np.float16) -> TokenRows:
    """n times `low` to `high - 1` tokens of 128 dimensions and unit length."""
    offsets = np.concatenate([[0], np.cumsum(rng.integers(low, high, n))]).astype(np.int64)
    tokens = rng.standard_normal((int(offsets[-1]), 128), dtype=np.float32)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    return TokenRows(offsets, kept(tokens.astype(dtype)))


def maxsim_scan(kernels: Any, rows: TokenRows, queries: TokenRows, k: int) -> Found:
    found = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    kernels.maxsim_scan(queries, rows, None, *found)
    return found


def late_interaction(
    kernels: Any, host: Any, limits: Roofline, n: int, k: int, batches: list[int]
) -> Iterator[dict[str, Any]]:
    """Documents of 16 to 48 tokens, queries of 32, 128 dimensions."""
    rng = np.random.default_rng(3)
    docs, few = documents(rng, n, 16, 49), documents(rng, 3000, 16, 49)
    queries = documents(rng, max(batches), 32, 33, np.float32)
    asked = queries[0:4]
    check("maxsim", maxsim_scan(kernels, few, asked, k), maxsim_scan(host, few, asked, k))
    for nq in batches:
        asked = queries[0:nq]
        taken = seconds(lambda asked=asked: maxsim_scan(kernels, docs, asked, k))  # type: ignore[misc]
        flops = 2.0 * len(asked.tokens) * docs.tokens.size
        yield limits.line("maxsim float16", nq, docs.tokens.nbytes, flops, taken, "float16")
