"""The hits of a query behave as a list of `Hit`, whatever they are cut from."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from vecstore.hits import Answers, Hits, PointColumns
from vecstore.types import Hit

PAYLOADS: list[bytes | None] = [b'{"n": %d}' % row for row in range(6)]
COLUMNS = PointColumns(np.arange(10, 16, dtype=np.uint64), np.arange(6, dtype=np.uint64) + 1, PAYLOADS)
ANSWERS = Answers(COLUMNS, np.linspace(1, 0, 6, dtype=np.float32), seq=9, explain={"why": 1})
HITS = Hits(ANSWERS, 2, 5)
EXPECTED = [Hit(10 + row, row + 1, PAYLOADS[row], None, float(np.float32(1 - row / 5))) for row in (2, 3, 4)]


def test_one_querys_part_of_shared_columns_reads_as_a_list() -> None:
    assert list(HITS) == EXPECTED
    assert [HITS[place] for place in (0, 1, 2, -1, -3)] == [EXPECTED[place] for place in (0, 1, 2, -1, -3)]
    assert HITS[1:] == EXPECTED[1:]
    assert HITS[::-1] == EXPECTED[::-1]
    assert len(HITS) == 3
    assert HITS == EXPECTED
    assert Hits(ANSWERS, 0, 3) != EXPECTED
    assert repr(HITS) == repr(EXPECTED)
    for place in (3, -4):
        with pytest.raises(IndexError):
            HITS[place]
    assert (HITS.seq, HITS.explain) == (9, {"why": 1})


def test_columns() -> None:
    assert HITS.ids.tolist() == [12, 13, 14]
    assert HITS.ids.dtype == np.uint64
    np.testing.assert_array_equal(HITS.scores, [hit.score for hit in EXPECTED])
    assert HITS[0].payload == {"n": 2}


def test_an_empty_answer() -> None:
    empty = Hits(ANSWERS, 3, 3)
    assert not empty
    assert empty == []
    assert empty.ids.tolist() == []


def test_hits_made_one_by_one_keep_ids_of_any_kind() -> None:
    listed = [Hit("a", 1), Hit(UUID(int=5), 2, b"{}"), Hit(7, 3, None, {"v": np.zeros(2)})]
    hits = Hits.of(listed, seq=4)
    assert hits.ids.dtype == object
    assert [hit.id for hit in hits] == ["a", UUID(int=5), 7]
    assert hits[2].vectors is listed[2].vectors
    assert [hit.payload_json for hit in hits] == [None, b"{}", None]
    assert Hits.of([Hit(2**64 - 1, 1)])[0].id == 2**64 - 1
