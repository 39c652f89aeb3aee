"""Checks of multi-vectors that users give, and their stored form."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.errors import invalid, limit_exceeded
from vecstore.sparse_check import bad_vector
from vecstore.tokens import TokenRows


def check_tokens(
    rows: TokenRows, dim: int, dtype: np.dtype[Any], count: int, path: str, squared_max: float, tokens_max: int
) -> TokenRows:
    """The stored form of `count` multi-vectors: tokens of `dtype`, contiguous.

    Raises InvalidArgument with BAD_VECTOR, DIMENSION_MISMATCH, LIMIT_EXCEEDED or NAN_OR_INF that names the first bad
    row."""
    offsets, tokens = np.asarray(rows.offsets), np.asarray(rows.tokens)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or tokens.ndim != 2 or tokens.dtype.kind not in "fiu":
        problem = f"needs offsets and rows of numbers, got {offsets.dtype} and {tokens.dtype} of shape {tokens.shape}"
        raise bad_vector(path, problem)
    if len(offsets) != count + 1:
        raise bad_vector(path, f"has {len(offsets) - 1} rows for {count} points")
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    lengths = np.diff(offsets)
    if int(offsets[0]) != 0 or int(offsets[-1]) != len(tokens) or (lengths < 0).any():
        raise bad_vector(path, f"has offsets that do not rise from 0 to {len(tokens)}, the number of tokens")
    if len(tokens) and tokens.shape[1] != dim:
        message = f"{path} has dim={tokens.shape[1]}, the field has dim={dim}"
        raise invalid("DIMENSION_MISMATCH", message, path)
    if count and int(lengths.max()) > tokens_max:
        row = int(np.argmax(lengths))
        raise limit_exceeded("tokens_max", int(lengths[row]), tokens_max, path=f"{path}[{row}] tokens")
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(tokens, dtype=dtype).reshape(-1, dim)
    _check_values(stored, offsets, path, squared_max)
    return TokenRows(offsets, stored)


def _check_values(tokens: np.ndarray, offsets: np.ndarray, path: str, squared_max: float) -> None:
    wide = tokens.astype(np.float32, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.vecdot(wide, wide)
    bad = ~(squared <= squared_max)
    if not bad.any():
        return
    token = int(np.argmax(bad))
    row = int(np.searchsorted(offsets, token, side="right")) - 1
    spot = f"{path}[{row}][{token - int(offsets[row])}]"
    if np.isfinite(wide[token]).all():
        problem = f"has a squared length of more than {squared_max:.3g}: scores would overflow"
    else:
        problem = f"is NaN or infinite as {tokens.dtype} at component {int(np.argmax(~np.isfinite(wide[token])))}"
    raise bad_vector(spot, problem, "NAN_OR_INF")
