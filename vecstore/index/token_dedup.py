"""Near copies left out: a token that an earlier one of its row stands for, with a bound on what scores change.

Of a query of m tokens of unit length no score changes by more than m sqrt(2 eps), since a token that is left out is at
most sqrt(2 eps) away from one that stays: a cosine of at least 1 - eps, where both are of unit length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import Progress
from vecstore.kernels.base import Int64Array
from vecstore.offsets import offsets_of
from vecstore.tokens import TokenRows

_FLOATS = 1 << 22  # products held at once
_ROUNDING = 1e-6  # of float32 products: what is left out is near for sure
_BLOCK = 64  # tokens of each row that are compared at once with those before them


def without_copies(rows: TokenRows, eps: float, protected: int, progress: Progress) -> TokenRows:
    """The rows without tokens that are within sqrt(2 eps) of an earlier one that stays; the first `protected` stay.
    An eps of 0 changes none."""
    if eps == 0 or not len(rows.tokens):
        return rows
    counts = np.diff(rows.offsets)
    kept = np.ones(len(rows.tokens), np.bool_)
    done, order = 0, np.argsort(counts, kind="stable")  # rows of about the same length side by side
    while done < len(order):
        progress("leave out near copies", done, len(order))
        widest = int(counts[order[min(len(order) - 1, done + 255)]])
        some = order[done : done + max(1, min(256, _FLOATS // max(1, min(widest, _BLOCK) * widest)))]
        _mark(rows, some, eps, protected, kept)
        done += len(some)
    held = np.add.reduceat(np.append(kept, False), rows.offsets[:-1], dtype=np.int64) * (counts > 0)
    return TokenRows(offsets_of(held), rows.tokens[kept])


def _mark(rows: TokenRows, some: Int64Array, eps: float, protected: int, kept: NDArray[np.bool_]) -> None:
    """For a few rows, at once: token after token, against those before it."""
    starts, counts = rows.offsets[some], rows.offsets[some + 1] - rows.offsets[some]
    longest = int(counts.max())
    places = np.minimum(starts[:, None] + np.arange(longest), len(rows.tokens) - 1)
    own = np.arange(longest) < counts[:, None]
    tokens = rows.tokens[places].astype(np.float32)
    squares = np.vecdot(tokens, tokens)
    stays = own.copy()
    for low in range(0, longest, _BLOCK):
        high = min(longest, low + _BLOCK)
        products = np.matmul(tokens[:, low:high], tokens[:, :high].transpose(0, 2, 1))
        lengths = squares[:, low:high, None] + squares[:, None, :high]
        near = lengths * np.float32(1 + _ROUNDING) - 2 * products <= 2 * eps
        for place in range(max(low, protected), high):
            stays[:, place] &= ~(near[:, place - low, :place] & stays[:, :place]).any(axis=1)
    kept[places[own]] = stays[own]
