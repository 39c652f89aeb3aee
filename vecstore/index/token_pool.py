"""Fewer tokens for a row: near ones pooled by Ward's clustering at ingest (Clavié et al. 2024), means renormalised."""

from __future__ import annotations

import numpy as np

from vecstore.index.base import Progress
from vecstore.kernels import token_encode
from vecstore.kernels.base import Int64Array
from vecstore.offsets import offsets_of
from vecstore.tokens import TokenRows

_BATCH = 1 << 10  # rows


def pooled(rows: TokenRows, factor: int, protected: int, progress: Progress) -> TokenRows:
    """About a `factor`-th of the tokens of each row, the first `protected` as they are; a factor of 1 changes none."""
    if factor == 1:
        return rows
    offsets = offsets_of(held_after(np.diff(rows.offsets), factor, protected))
    tokens = np.empty((int(offsets[-1]), rows.dim), rows.tokens.dtype)
    for low in range(0, len(rows), _BATCH):
        progress("pool", low, len(rows))
        part = rows[low : low + _BATCH]
        cut = offsets[low : low + len(part) + 1]
        wide = part.tokens.astype(np.float32)
        tokens[cut[0] : cut[-1]] = token_encode.pool_tokens(wide, part.offsets, protected, cut - cut[0])
    return TokenRows(offsets, tokens)


def held_after(counts: Int64Array, factor: int, protected: int) -> Int64Array:
    """Tokens that rows of `counts` tokens are pooled to: of those not protected a `factor`-th, at least one."""
    whole = np.minimum(counts, protected)
    rest = counts - whole
    held: Int64Array = whole + np.where(rest > 0, np.maximum(rest // factor, 1), 0)
    return held
