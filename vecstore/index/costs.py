"""What the ways to answer a filtered query cost, in nanoseconds of one core: only their ratios decide.

Fitted to `python -m bench filter-choice` (native kernels, float32 of 384 dimensions; SPLADE of 120 entries a row).
Stored rows cost by their bytes, and more where they may not stay in memory and come from files.
"""

from __future__ import annotations

from vecstore.kernels.base import Kernels

EXACT_FIXED = 4_000.0
EXACT_BYTE = 0.016  # of a stored row that a mask allows, in order
RESCORED_BYTE = 0.024  # of a candidate, anywhere
FROM_FILE = 20.0  # times as much where rows are read from files
CODES_FIXED = 25_000.0  # of a scan of codes: the query's own part, choosing the best
CODE_ROW = 6.0
HOP = 320.0  # of a walk: a candidate's neighbours fetched, scored, inserted
DETOUR_HOP = 2_500.0  # the same with the lists behind refused neighbours
LISTS_FIXED = 80_000.0  # ranking centroids, putting together what lists gave
LIST_ROW = 80.0  # of a list without codes, allowed rows only
SPARSE_FIXED = 7_500.0  # of scoring sparse rows one by one
SPARSE_ENTRY = 0.85
BLOCKS_FIXED = 12_000.0  # of sparse blocks within a mask, k = 10
BLOCKS_ROW = 1.6  # of all rows, allowed or not: estimates of blocks are read for their bits


def row_factor(kernels: Kernels) -> float:
    """How many times as much stored rows cost by these kernels (`engine.guard`)."""
    return FROM_FILE if getattr(kernels, "frugal", False) else 1.0


def exact(matches: int, row_bytes: int, factor: float = 1.0) -> float:
    """Scoring the allowed rows as they are stored."""
    return EXACT_FIXED + matches * row_bytes * EXACT_BYTE * factor


def rescored(count: int, row_bytes: int, factor: float = 1.0) -> float:
    return count * row_bytes * RESCORED_BYTE * factor


def sparse_exact(matches: int, entries: float) -> float:
    """Scoring the allowed sparse rows, of so many entries each."""
    return SPARSE_FIXED + matches * entries * SPARSE_ENTRY


def sparse_blocks(n: int) -> float:
    return BLOCKS_FIXED + n * BLOCKS_ROW
