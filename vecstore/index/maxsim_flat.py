"""Exact late interaction: every allowed row's tokens against all tokens of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import DEFAULT_PARAMS, EXACT_SCAN, Candidates, SearchParams, allowed_count
from vecstore.index.scanned import ScannedIndex
from vecstore.kernels.base import Bitmap, Kernels
from vecstore.kernels.token_row_bytes import TokenRowBytes
from vecstore.schema import VectorField
from vecstore.tokens import TokenRows


def check_token_rows(field: VectorField, rows: TokenRows) -> None:
    """Raises Corruption when stored tokens are not of the field's dtype and width, or their offsets do not cut them."""
    tokens, offsets = rows.tokens, rows.offsets
    if tokens.ndim != 2 or (tokens.dtype, tokens.shape[1]) != (field.storage_dtype, field.dim):
        wanted = f"{field.storage_dtype} x {field.dim}"
        raise Corruption(f"stored tokens are {tokens.dtype} of shape {tokens.shape}, the field needs {wanted}")
    if offsets.ndim != 1 or offsets.dtype != np.int64 or not len(offsets) or offsets[0] != 0:
        raise Corruption(f"offsets of tokens are {offsets.dtype} of shape {offsets.shape}, not int64 that begin at 0")
    if offsets[-1] != len(tokens) or (np.diff(offsets) < 0).any():
        raise Corruption(f"offsets of {len(rows)} rows do not ascend to the {len(tokens)} tokens that are stored")


TOKENS_MIN = 2_048  # fewer are soon scanned
ALLOWED_SHARE = 8  # of the rows; where fewer are allowed, bytes would be made of too many
K_SHARE = 8  # of the rows; where more are asked for, most are compared in full


class MaxSimFlatIndex(ScannedIndex):
    """Rows of tokens."""

    name: ClassVar[str] = "flat_maxsim"

    def __init__(self, field: VectorField, rows: TokenRows) -> None:
        self.ntotal = len(rows)
        self._rows = rows

    @property
    def rounded_bytes(self) -> int:
        return len(self._rows.tokens) * (self._rows.dim + 8)

    def bytes_pay(self, k: int, n_allowed: int) -> bool:
        enough = len(self._rows.tokens) >= TOKENS_MIN
        return enough and k * K_SHARE <= self.ntotal and n_allowed * ALLOWED_SHARE >= self.ntotal

    def rounded(self, kernels: Kernels, first: int) -> TokenRowBytes | None:
        return kernels.round_tokens(self._rows[first:] if first else self._rows)

    def search(
        self,
        kernels: Kernels,
        queries: TokenRows,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        """The k allowed rows of the largest MaxSim for each query of float32 tokens; distances are its negative."""
        if params.truncate_dim:
            raise InvalidArgument(f"truncate_dim={params.truncate_dim} suits dense vectors, these are rows of tokens")
        places = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        found = Candidates(*places, recall=1.0, strategy=EXACT_SCAN)
        kernels.maxsim_scan(queries, self._rows, allowed, found.rows, found.distances, self._row_bytes)
        found.counters["rows_scanned"] = len(queries) * allowed_count(self.ntotal, allowed)
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_arrays(cls, field: VectorField, rows: TokenRows, arrays: Mapping[str, np.ndarray]) -> Self:
        check_token_rows(field, rows)
        return cls(field, rows)
