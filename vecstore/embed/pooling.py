"""From a model's last layer to one row for each text. `last` is float32 (n, tokens, width) or, of a model that pools by
itself, (n, width); `mask` (n, tokens) is 1 for tokens and 0 for padding; `special` marks tokens that stand for no text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vecstore.offsets import offsets_of
from vecstore.rows import Rows, concat
from vecstore.sparse import SparseRows
from vecstore.tokens import TokenRows

Array = NDArray[np.float32]


def mean(last: Array, mask: NDArray[np.int64], _special: NDArray[np.bool_], normalize: bool) -> Array:
    """Of all tokens, special ones included (Reimers & Gurevych 2019)."""
    if last.ndim == 2:
        return _unit(last) if normalize else last
    weights = mask.astype(np.float32)
    rows = np.einsum("ntw,nt->nw", last, weights) / np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    return _unit(rows) if normalize else rows


def cls(last: Array, _mask: NDArray[np.int64], _special: NDArray[np.bool_], normalize: bool) -> Array:
    """The first token's."""
    rows = last if last.ndim == 2 else np.ascontiguousarray(last[:, 0])
    return _unit(rows) if normalize else rows


def tokens(last: Array, mask: NDArray[np.int64], special: NDArray[np.bool_], normalize: bool) -> TokenRows:
    """Every token's but those of special ones; of a text that has no other, the first token's."""
    kept = (mask == 1) & ~special
    kept[~kept.any(axis=1), 0] = True
    found = last[kept]
    return TokenRows(offsets_of(kept.sum(axis=1)), _unit(found) if normalize else found)


def splade(last: Array, mask: NDArray[np.int64], _special: NDArray[np.bool_], _normalize: bool) -> SparseRows:
    """Weights of words: the maximum over tokens of log(1 + relu(logit)) (Formal et al. 2021, SPLADE v2)."""
    weights = np.log1p(np.maximum(last, 0.0))
    if weights.ndim == 3:
        weights = np.where(mask[:, :, None] == 1, weights, 0.0).max(axis=1)
    rows, words = np.nonzero(weights)
    offsets = offsets_of(np.bincount(rows, minlength=len(weights)))
    return SparseRows(offsets, words.astype(np.uint32), weights[rows, words].astype(np.float32))


POOLINGS: dict[str, Callable[[Array, NDArray[np.int64], NDArray[np.bool_], bool], Rows]] = {
    "mean": mean,
    "cls": cls,
    "tokens": tokens,
    "splade": splade,
}


def joined(parts: Sequence[Rows], order: NDArray[np.int64]) -> Rows:
    """The rows of all parts, row i of the answer at place `order[i]`."""
    return concat(parts)[order]


def _unit(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: Array = rows / np.maximum(lengths, np.float32(1e-12))
    return unit
