"""Offsets that cut a ragged column into rows lead inside it, whatever a checksum says."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.engine.header import Column, SegmentHeader
from vecstore.engine.structure import check_column
from vecstore.errors import Corruption
from vecstore.storage.interfaces import BlobRef

REF = BlobRef("x", 1, 0)


def header(indices: int, values: int) -> SegmentHeader:
    columns = (
        Column("vector.t.offsets", "<i8", (4,), REF),
        Column("vector.t.indices", "<u4", (indices,), REF),
        Column("vector.t.values", "<f4", (values,), REF),
        Column("vector.t2.offsets", "<i8", (4,), REF),
        Column("vector.t2.tokens", "<f4", (9, 2), REF),
    )
    return SegmentHeader(1, 3, 1, columns)


def test_offsets_that_rise_to_the_end_are_taken() -> None:
    check_column("vector.t.offsets", np.array([0, 2, 2, 5]), header(5, 5))
    check_column("vector.t2.offsets", np.array([0, 2, 2, 9]), header(5, 5))


@pytest.mark.parametrize("offsets", [[0, 2, 2, 6], [0, 3, 2, 5], [1, 2, 2, 5], [0, -1, 2, 5], [0, 2, 2, 4]])
def test_others_are_damage(offsets: list[int]) -> None:
    with pytest.raises(Corruption, match="rise from 0 to 5"):
        check_column("vector.t.offsets", np.array(offsets), header(5, 5))


def test_parts_of_two_lengths_are_damage() -> None:
    with pytest.raises(Corruption, match="parts have"):
        check_column("vector.t.offsets", np.array([0, 2, 2, 5]), header(5, 6))
