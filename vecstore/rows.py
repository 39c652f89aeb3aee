"""The rows of a vector field by its kind: arrays of one width or rows of any length; and texts before analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.packed_sparse import PackedRows
from vecstore.sparse import SparseRows, SparseVector
from vecstore.tokens import TokenRows


@dataclass(frozen=True, slots=True)
class TextRows:
    """Texts that a text field's analysis is about to turn into sparse rows."""

    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)


RaggedRows: TypeAlias = SparseRows | TokenRows  # of a sparse or text field, of a multi-vector field
Rows: TypeAlias = np.ndarray | RaggedRows  # arrays are of a dense or binary field
StoredRagged: TypeAlias = RaggedRows | PackedRows
HeldRows: TypeAlias = Rows | PackedRows  # of a segment
GivenRows: TypeAlias = Rows | TextRows
StoredVector: TypeAlias = np.ndarray | SparseVector  # (dim,), packed bits, or (tokens, dim) of a multi-vector


def taken(rows: GivenRows, places: NDArray[np.int64]) -> GivenRows:
    """The rows at `places`."""
    if isinstance(rows, TextRows):
        return TextRows([rows.texts[place] for place in places.tolist()])
    return rows[places]


def concat(parts: Sequence[Rows]) -> Rows:
    """All rows of parts of one field."""
    sparse = [part for part in parts if isinstance(part, SparseRows)]
    if sparse:
        return SparseRows.concat(sparse)
    multi = [part for part in parts if isinstance(part, TokenRows)]
    if multi:
        return TokenRows.concat(multi)
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
