"""A `.npz` file of multi-vectors as points: `offsets` (n + 1,) that cut `tokens` (T, dim) into rows, ids beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.io.layout import multi_field, number_ids
from vecstore.io.mapping import READ_BYTES, ColumnMapping, need_column
from vecstore.io.npy import DEFAULT_FIELD, ids_of_rows
from vecstore.io.sparse_files import checked_offsets
from vecstore.io.sparse_npz import NpzStream, names_of, whole
from vecstore.io.token_columns import OFFSETS, TOKENS, sendable_tokens
from vecstore.schema import Schema, VectorField
from vecstore.tokens import TokenRows
from vecstore.types import PointBatch, VectorBatch


class TokenNpzSource:
    """Reads a file that `numpy.savez(path, offsets=..., tokens=...)` wrote, in bounded memory: only the offsets are
    held. Ids from `name.ids.npy` when there is one, else row numbers. Raises InvalidArgument (BAD_FILE, BAD_COLUMN)."""

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        if len(mapping.vectors) > 1 or mapping.texts or mapping.payload or mapping.id_column:
            raise InvalidArgument(f"{path} holds one vector field and no other column", reason="BAD_COLUMN")
        self.path = path
        self._name = next(iter(mapping.vectors), None)
        offsets = need_column(OFFSETS, names_of(path), "array", path)
        with closing(self._tokens()) as tokens:
            (total, self._dim), self._dtype = tokens.shape, tokens.dtype
        self._offsets = checked_offsets(path, whole(path, offsets, "iu"), total)
        self.total: int | None = len(self._offsets) - 1
        self._ids = ids_of_rows(path, self.total)

    def _tokens(self) -> NpzStream:
        return NpzStream(self.path, TOKENS, "fiu", dimensions=2)

    def fields(self) -> dict[str, VectorField]:
        return {self._name or DEFAULT_FIELD: multi_field(self._dtype, self._dim)}

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        name = self._name or (next(iter(schema.vectors)) if len(schema.vectors) == 1 else DEFAULT_FIELD)
        most = max(1, READ_BYTES // max(1, self._dim * self._dtype.itemsize))  # tokens
        start, n = 0, len(self._offsets) - 1
        with closing(self._tokens()) as tokens:
            while start < n:
                full = int(np.searchsorted(self._offsets, self._offsets[start] + most, side="right")) - 1
                stop = min(max(full, start + 1), start + most, n)
                offsets = self._offsets[start : stop + 1] - self._offsets[start]
                rows = TokenRows(offsets, tokens.take(int(offsets[-1]) * self._dim).reshape(-1, self._dim))
                ids = number_ids(start, stop - start) if self._ids is None else self._ids[start:stop].tolist()
                column = VectorBatch(sendable_tokens(rows, schema.vectors.get(name)))
                yield PointBatch(ids=ids, vectors={name: column})
                start = stop
