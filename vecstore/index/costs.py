"""What the ways to answer a filtered query cost, in nanoseconds of one core: only their ratios decide.

Fitted to `python -m bench filter-choice` (native kernels, float32 of 384 dimensions; SPLADE of 120 entries a row).
Stored rows cost by their bytes, and more where they may not stay in memory and come from files. Queries of a batch read
them together, so that a scan is the cheapest way for a batch where it is the dearest for one query.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from vecstore.kernels.base import Kernels
from vecstore.kernels.row_bytes import bytes_pay

EXACT_FIXED = 2_000.0
EXACT_BYTE = 0.016  # of a stored row that a mask allows, in order
REACHED = 50.0  # of a row that is among the k nearest so far, which k log(n / k) are
RANKED_BYTE, RANKED_TOGETHER = 0.0045, 0.0025  # of a centroid, of which a byte of four is read
COMPARED_BYTE = 0.06  # of each of the lists asked for, and of some more that are compared in full
TOGETHER = 4  # queries from which on they read rows together: these are scored for each query, and read for all
SCORED_BYTE = 0.0058
READ_BYTE = 0.035
BYTES_FROM, BYTES_ROWS, BYTES_LEAST = 24, 2048, 256  # queries, rows, and of each, from which on most are only bytes
BYTES_SCORED, BYTES_READ = 0.0021, 0.11
RESCORED_BYTE = 0.024  # of a candidate, anywhere
FOUND = 60.0  # of a code that reaches the best so far, of m among n about m log(n / m): refined, kept, sorted
FOUND_BYTE = 1.05  # of its code
FROM_FILE = 20.0  # times as much where rows are read from files
CODES_FIXED = 25_000.0  # of a scan of codes: the query's own part, choosing the best
CODE_ROW = 6.0  # of a graph's code
CODE_BYTE = 0.025  # of a code in a list
HOP = 320.0  # of a walk: a candidate's neighbours fetched, scored, inserted
WALK_FIXED = 4_000.0
DETOUR_HOP = 2_500.0  # the same with the lists behind refused neighbours
LISTS_SHARED = 66_000.0  # of lists of codes, by the queries of a batch
LISTS_EACH = 7_500.0  # putting together what lists gave, of each query
ROW_LISTS_SHARED = 26_000.0  # the same of lists without codes
ROW_LISTS_EACH = 2_500.0
FURTHER = 90_000.0  # of going on from lists that were visited, by the queries that do
LIST_BYTE = 0.042  # of a row in a list without codes, allowed rows only
LIST_SCORED_BYTE = 0.013  # the same by queries that read together what lists they share
LIST_READ_BYTE = 0.078
CACHED_BYTES = 8 << 20  # of all rows, which stay near then
LIST_CACHED_BYTE = 0.0175
LIST_CACHED_TOGETHER = 0.011
FUNNEL_SHARED = 70_000.0  # of a funnel, by the queries of a batch
FUNNEL_EACH = 4_000.0
MAXSIM_BYTE = 0.0115  # of a row of tokens, for each token of a query, of which a few are made up
MAXSIM_TOGETHER = 0.0072  # the same by queries that read rows together
MAXSIM_CANDIDATE = 0.015  # the same of a candidate, anywhere
MAXSIM_PADDING = 4  # tokens
SPARSE_FIXED = 7_500.0  # of scoring sparse rows one by one
SPARSE_ENTRY = 0.85
BLOCKS_FIXED = 12_000.0  # of sparse blocks within a mask, k = 10
BLOCKS_ROW = 1.6  # of all rows, allowed or not: estimates of blocks are read for their bits


def row_factor(kernels: Kernels) -> float:
    """How many times as much stored rows cost by these kernels (`engine.guard`)."""
    return FROM_FILE if getattr(kernels, "frugal", False) else 1.0


def exact(matches: int, row_bytes: int, factor: float = 1.0, queries: int = 1, k: int = 10) -> float:
    """Scoring the allowed rows as they are stored, for each of so many queries."""
    return EXACT_FIXED + in_order(matches, row_bytes, queries) * factor + reaching(matches, k) * REACHED


def in_order(rows: int, row_bytes: int, queries: int) -> float:
    """Scoring so many rows, one after another, for each of so many queries."""
    if queries < TOGETHER:
        return rows * row_bytes * EXACT_BYTE
    byte = SCORED_BYTE + READ_BYTE / queries
    if queries >= BYTES_FROM and rows >= BYTES_ROWS and row_bytes >= BYTES_LEAST:
        byte = min(byte, BYTES_SCORED + BYTES_READ / queries)
    return rows * row_bytes * byte


def reaching(n: float, m: int) -> float:
    """How many of n are among the best m of those before them."""
    return m * max(1.0, math.log(max(1.0, n) / max(1, m)))


def by_codes(n: float, m: int, code_bytes: float) -> float:
    """Reading n codes in order for the best m."""
    return n * code_bytes * CODE_BYTE + reaching(n, m) * (FOUND + code_bytes * FOUND_BYTE)


def ranking(nlist: int, lists: int, row_bytes: int, queries: int) -> float:
    """Finding the nearest `lists` of the centroids, for each of so many queries."""
    if not bytes_pay(nlist, lists):
        return in_order(nlist, row_bytes, queries)
    byte = RANKED_BYTE if queries < TOGETHER else RANKED_TOGETHER
    return row_bytes * (nlist * byte + lists * COMPARED_BYTE)


def code_lists(queries: int) -> float:
    """What lists of codes cost besides these and ranking centroids: putting together what is found."""
    return LISTS_EACH + LISTS_SHARED / max(1, queries)


def row_lists(share: float, matches: int, row_bytes: int, n: int, k: int, factor: float, queries: int) -> float:
    """Scoring a share of the `matches` allowed of n rows, which is in as large a share of the lists."""
    fixed = ROW_LISTS_EACH + ROW_LISTS_SHARED / max(1, queries)
    if n * row_bytes <= CACHED_BYTES:
        byte = LIST_CACHED_BYTE if queries < TOGETHER else LIST_CACHED_TOGETHER
    elif queries < TOGETHER:
        byte = LIST_BYTE
    else:  # the lists that any of them visits are read once
        byte = LIST_SCORED_BYTE + LIST_READ_BYTE * (1 - (1 - share) ** queries) / (queries * share)
    return fixed + share * matches * row_bytes * byte * factor + reaching(share * matches, k) * REACHED


def funnel(matches: int, stages: Sequence[tuple[int, int]], last: tuple[int, int], queries: int) -> float:
    """Scanning the first of the stages (rows, bytes of each), adding to the sums of what is left in all of them, and
    scoring the last rows as they are stored."""
    (first, row_bytes), fixed = stages[0], FUNNEL_EACH + FUNNEL_SHARED / max(1, queries)
    summed = sum(rows * (FOUND + row_bytes * RESCORED_BYTE) for rows, row_bytes in (*stages, last))
    return fixed + in_order(matches, row_bytes, queries) + reaching(matches, first) * REACHED + summed


def scan_pays(cost: Callable[[int], float], n: int, row_bytes: int, k: int) -> tuple[bool, ...]:
    """Whether a scan of all n rows costs less than the `cost` of a query among so many, by the bits of that number
    (`is_scanned`)."""
    sizes = (1, 1, 2, 4, 8, 16, 32, 64, 128)
    return tuple(exact(n, row_bytes, queries=size, k=k) <= cost(size) for size in sizes)


def is_scanned(pays: tuple[bool, ...], queries: int) -> bool:
    return bool(pays) and pays[min(queries.bit_length(), len(pays) - 1)]


def rescored(count: int, row_bytes: int, factor: float = 1.0) -> float:
    return count * row_bytes * RESCORED_BYTE * factor


def maxsim_exact(rows: int, row_bytes: float, tokens: float, queries: int = 1) -> float:
    """Scoring rows by all of their tokens, for each of so many queries of so many tokens."""
    byte = MAXSIM_BYTE if queries < TOGETHER else MAXSIM_TOGETHER
    return rows * row_bytes * byte * (tokens + MAXSIM_PADDING)


def maxsim_rescored(count: float, row_bytes: float, tokens: float) -> float:
    return count * row_bytes * MAXSIM_CANDIDATE * (tokens + MAXSIM_PADDING)


def sparse_exact(matches: int, entries: float) -> float:
    """Scoring the allowed sparse rows, of so many entries each."""
    return SPARSE_FIXED + matches * entries * SPARSE_ENTRY


def sparse_blocks(n: int) -> float:
    return BLOCKS_FIXED + n * BLOCKS_ROW
