"""Lists of stored rows are scanned as they stand only where they need no check and may stay in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from seeds import seeded

from vecstore.engine.guard import CheckedRows, guarded
from vecstore.kernels.base import Kernels
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric
from vecstore.storage.format import CHUNK_BYTES
from vecstore.storage.interfaces import CheckedBlob

N, DIM = 40_000, 16  # 2.5 chunks


class Blob(CheckedBlob):
    def __init__(self, rows: np.ndarray, checked: bool, stays: bool) -> None:
        super().__init__(memoryview(rows).cast("B"))
        self.seen: set[int] = set()
        self.copied = 0
        self._whole, self._stays = checked, stays

    @property
    def checked(self) -> bool:
        return self._whole

    def check(self, chunks: Iterable[int]) -> None:
        self.seen |= set(chunks)

    def stay(self) -> bool:
        return self._stays

    def read_rows(self, numbers: np.ndarray, out: np.ndarray) -> int:
        self.copied += len(numbers)
        return super().read_rows(numbers, out)


def _answer(kernels: Kernels, rows: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of lists of 20 rows each, some in the first chunk and the last."""
    listed, offsets = np.arange(0, N, dtype=np.uint32), np.arange(0, N + 1, 20)
    probes = np.array([[0, 3, -1], [len(offsets) - 2, 1, 2]], np.int32)
    outputs = np.empty((2, 7), np.int64), np.empty((2, 7), np.float32), np.empty(2, np.int64)
    kernels.dense_list_scan(Metric.L2, queries, rows, None, listed, offsets, probes, None, *outputs)
    return outputs


@pytest.mark.parametrize(("checked", "stays"), [(True, True), (True, False), (False, True), (False, False)])
def test_lists_are_checked_or_copied_first(monkeypatch: pytest.MonkeyPatch, checked: bool, stays: bool) -> None:
    rng = seeded()
    rows = rng.standard_normal((N, DIM)).astype(np.float32)
    queries = rng.standard_normal((2, DIM)).astype(np.float32)
    blob = Blob(rows, checked, stays)
    column = CheckedRows(blob, rows, lambda damage: damage)
    column.expect(few=True)
    kernels, at_once = get_kernels(), 0

    class Counting:
        def __getattr__(self, name: str) -> Any:
            nonlocal at_once
            at_once += name == "dense_list_scan"
            return getattr(kernels, name)

    own = guarded(Counting(), column)  # type: ignore[arg-type]
    expected = _answer(NumpyKernels(), rows, queries)
    for mine, law in zip(_answer(own, rows, queries), expected, strict=True):
        np.testing.assert_allclose(mine, law, rtol=1e-5)
    assert at_once == (checked and stays)
    assert blob.seen == (set() if checked else {0, N * DIM * 4 // CHUNK_BYTES})
    assert blob.copied == (0 if stays else 2 * 60)
    _answer(own, rows.copy(), queries)  # not the column
    assert at_once == 1 + (checked and stays)
