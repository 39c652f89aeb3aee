"""Multi-vector fields in an HDF5 file: offsets and tokens, in a group or side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.io.hdf5_columns import append, growing
from vecstore.io.layout import exported_dtype, multi_field
from vecstore.io.sparse_files import checked_offsets
from vecstore.io.token_columns import OFFSETS, TOKENS, is_tokens, sendable_tokens
from vecstore.rows import GivenRows, StoredVector
from vecstore.schema import Metric, VectorField
from vecstore.tokens import TokenRows

BESIDE = "_offsets"  # after the name of a data set of tokens: where its rows begin (ann-benchmarks' multi-vectors)
SCALE = "scale"  # of such a file: what its integers are to be divided by


def is_token_group(group: Any) -> bool:
    return all(name in group and hasattr(group[name], "dtype") for name in (OFFSETS, TOKENS))


class TokenColumn:
    """Raises InvalidArgument (BAD_FILE, BAD_COLUMN) when the two are no rows of tokens. Offsets are held."""

    chunk = 1

    def __init__(self, path: object, name: str, offsets: Any, tokens: Any, scale: float = 1.0) -> None:
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or not is_tokens(tokens):
            shapes = f"offsets of shape {offsets.shape} and tokens of shape {tokens.shape}"
            raise InvalidArgument(f"{path}: {name!r} has {shapes}, not rows of token vectors", reason="BAD_COLUMN")
        if not (np.isfinite(scale) and scale > 0):
            raise InvalidArgument(f"{path}: {SCALE!r} is {scale}, not a number above 0", reason="BAD_FILE")
        self._tokens, self._scale = tokens, np.float32(scale)
        self._offsets = checked_offsets(path, offsets[:], len(tokens))
        size = tokens.shape[1] * tokens.dtype.itemsize
        self.row_bytes = int(size * self._offsets[-1]) // max(1, len(self)) + 8  # on average

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def field(self, metric: Metric | None) -> VectorField:
        return multi_field(self._tokens.dtype, self._tokens.shape[1])

    def rows(self, block: slice, field: VectorField | None, name: str) -> GivenRows:
        offsets = self._offsets[block.start : block.stop + 1]
        tokens = self._tokens[int(offsets[0]) : int(offsets[-1])]
        if self._scale != 1:
            tokens = tokens / self._scale
        return sendable_tokens(TokenRows(offsets - offsets[0], tokens), field)


class TokenWriter:
    """Token vectors; none where there is no multi-vector."""

    def __init__(self, file: Any, name: str, field: VectorField) -> None:
        self._dim, self._dtype = field.dim, exported_dtype(field)
        group = file.create_group(name)
        self._offsets = growing(group, OFFSETS, (), np.dtype(np.int64))
        self._tokens = growing(group, TOKENS, (field.dim,), self._dtype)
        append(self._offsets, np.zeros(1, np.int64))
        self._total = 0

    def write(self, vectors: Sequence[StoredVector | None]) -> None:
        found = [one for one in vectors if isinstance(one, np.ndarray)]
        lengths = [len(one) if isinstance(one, np.ndarray) else 0 for one in vectors]
        append(self._tokens, np.concatenate([np.empty((0, self._dim), self._dtype), *found], dtype=self._dtype))
        append(self._offsets, self._total + np.cumsum(lengths, dtype=np.int64))
        self._total += sum(lengths)
