"""Points are cut into requests by bytes and by count, in order, none lost, and no request passes the message limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecstore
from vecstore import Dense, Settings
from vecstore.client.batches import cut, point_bytes, request_bytes_max, skip_points, split
from vecstore.config import Limits
from vecstore.types import PointBatch, UpsertRequest, VectorBatch

sizes = st.lists(st.integers(0, 2_000), min_size=1, max_size=40)


def batch_of(payload_sizes: list[int], dim: int = 8) -> PointBatch:
    count = len(payload_sizes)
    rows = np.arange(count * dim, dtype=np.float32).reshape(count, dim)
    payloads = [b'"' + b"x" * size + b'"' if size else None for size in payload_sizes]
    present = np.arange(count) % 2 == 0
    return PointBatch(list(range(count)), {"v": VectorBatch(rows), "w": VectorBatch(rows, present)}, payloads)


@given(sizes, st.integers(1, 5_000), st.integers(1, 10))
def test_pieces_are_whole_and_bounded(payload_sizes: list[int], bytes_max: int, points_max: int) -> None:
    batch = batch_of(payload_sizes)
    pieces = list(split(batch, bytes_max, points_max))
    assert [one for piece in pieces for one in piece.ids] == batch.ids
    assert batch.payloads == [payload for piece in pieces for payload in piece.payloads or []]
    np.testing.assert_array_equal(np.vstack([piece.vectors["v"].rows for piece in pieces]), batch.vectors["v"].rows)
    for piece in pieces:
        assert len(piece.ids) <= points_max
        assert len(piece.ids) == 1 or point_bytes(piece).sum() <= bytes_max
        assert piece.vectors["w"].present is not None
        assert len(piece.vectors["w"].present) == len(piece.ids)


@given(sizes, st.integers(0, 50))
def test_skipping_goes_on_where_it_stopped(payload_sizes: list[int], count: int) -> None:
    batch = batch_of(payload_sizes)
    rest = [one for piece in skip_points(split(batch, 1_000, 7), count) for one in piece.ids]
    assert rest == batch.ids[count:]


def test_an_empty_batch_is_one_piece_for_the_engine_to_refuse() -> None:
    assert [piece.ids for piece in split(PointBatch([]), 100, 10)] == [[]]


def test_a_cut_does_not_copy() -> None:
    batch = batch_of([0, 1, 2])
    assert cut(batch, 1, 3).vectors["v"].rows.base is not None
    assert cut(batch, 0, 3) is batch


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=30), st.integers(1, 64))
def test_sizes_are_bounds_of_the_messages(ids: list[str], dim: int) -> None:
    wire = pytest.importorskip("vecstore.wire.writes")
    batch = PointBatch(
        list(ids), {"vector-name": VectorBatch(np.ones((len(ids), dim), np.float32))}, [b"{}"] * len(ids)
    )
    assert wire.upsert_to_pb(UpsertRequest("c", batch)).ByteSize() <= point_bytes(batch).sum() + 200


class Recording:
    """A transport that keeps the sizes of what is written."""

    def __init__(self, inner: Any, settings: Settings) -> None:
        self.inner, self.settings = inner, settings
        self.counts: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, request: Any) -> Any:
        self.counts.append(len(request.batch.ids))
        return self.inner.write(request)


def test_upserts_pass_neither_the_message_nor_the_batch_limit() -> None:
    limits = Limits(message_bytes_max=64 * 1024, batch_points_max=50)
    settings = Settings(limits=limits)
    client = vecstore.connect(":memory:", settings=settings)
    recording = Recording(client._transport, settings)
    client._transport = recording
    with client:
        docs = client.create_collection("docs", vectors=Dense(512))
        result = docs.upsert(range(120), np.ones((120, 512)))
        assert result.changed == 120
        assert docs.count() == 120
        assert sum(recording.counts) == 120
        assert max(recording.counts) <= request_bytes_max(limits) // (512 * 4)
        recording.counts.clear()
        thin = client.create_collection("thin", vectors=Dense(2))
        thin.upsert(range(120), np.ones((120, 2)))
        assert recording.counts == [50, 50, 20]


def test_bad_input_far_back_in_a_large_upsert_writes_nothing() -> None:
    settings = Settings(limits=Limits(batch_points_max=50))
    good = np.ones((120, 4), dtype=np.float32)
    nan = good.copy()
    nan[110, 1] = np.nan
    payloads: list[Any] = [None] * 110 + [b"[1]"] + [None] * 9
    with vecstore.connect(":memory:", settings=settings) as client:
        docs = client.create_collection("docs", vectors={"v": Dense(4)})
        for reason, path, call in (
            ("NAN_OR_INF", "vectors.v[110]", lambda: docs.upsert(range(120), nan)),
            ("DIMENSION_MISMATCH", "vectors.v", lambda: docs.upsert(range(120), np.ones((120, 5)))),
            ("BAD_ID", "ids[110]", lambda: docs.upsert([*range(110), *[-1] * 10], good)),
            ("BAD_PAYLOAD", "points[110].payload", lambda: docs.upsert(range(120), good, payloads)),
        ):
            with pytest.raises(vecstore.InvalidArgument) as refused:
                call()
            assert refused.value.reason == reason
            assert refused.value.field_violations[0][0] == path
        assert docs.count() == 0
        docs.upsert(range(120), good)
        assert docs.count() == 120
