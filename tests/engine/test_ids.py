"""Ids keep their order and are found again, in every form."""

from __future__ import annotations

from uuid import UUID, uuid4

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from vecstore.engine.ids import IdColumn, decode_id, encode_id, encoded_keys, pack_ids, sealed_ids, unpack_ids
from vecstore.errors import Corruption

numbers = st.integers(0, 2**64 - 1)
strings = st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable())
any_ids = st.lists(numbers | st.uuids() | strings, max_size=40, unique=True)


def rank(point_id: object) -> tuple[int, object]:
    if isinstance(point_id, int):
        return 0, point_id
    return (1, point_id.bytes) if isinstance(point_id, UUID) else (2, str(point_id).encode())


@given(any_ids)
def test_keys_sort_as_ids_do(ids: list) -> None:
    assert sorted(ids, key=encode_id) == sorted(ids, key=rank)
    assert [decode_id(encode_id(i)) for i in ids] == ids


@given(st.lists(numbers, max_size=40, unique=True) | any_ids, any_ids)
def test_packed_and_sealed_ids_are_found(ids: list, others: list) -> None:
    assert unpack_ids(pack_ids(ids)) == ids
    assert encoded_keys(pack_ids(ids)) == [encode_id(i) for i in ids]
    ordered = sorted(ids, key=encode_id)
    column = IdColumn(sealed_ids([encode_id(i) for i in ordered]), len(ids))
    assert column.take(np.arange(len(ids))).tolist() == ordered
    asked = [*ids, *others]
    places = {point_id: row for row, point_id in enumerate(ordered)}
    assert column.find(asked).tolist() == [places.get(i, -1) for i in asked]
    for after in others:
        assert column.first_after(after) == sum(encode_id(i) <= encode_id(after) for i in ids)


def test_keys_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xxhash, "xxh3_64_intdigest", lambda key: 7)
    ids = ["a", "b", uuid4(), "c"]
    ordered = sorted(ids, key=encode_id)
    column = IdColumn(sealed_ids([encode_id(i) for i in ordered]), 4)
    assert column.find(["c", "x", "a"]).tolist() == [3, -1, 1]


@pytest.mark.parametrize("key", [b"", b"\x00123", b"\x01" + b"1" * 15, b"\x02", b"\x02\xff\xfe", b"\x03abc"])
def test_malformed_keys_are_corruption(key: bytes) -> None:
    with pytest.raises(Corruption):
        decode_id(key)


def test_columns_that_disagree_are_corruption() -> None:
    arrays = sealed_ids([encode_id(i) for i in ("a", "b")])
    with pytest.raises(Corruption):
        IdColumn(arrays, 3)
    with pytest.raises(Corruption):
        IdColumn({**arrays, "ids.hash_row": np.array([0, 9], dtype=np.uint32)}, 2)
    with pytest.raises(Corruption):
        IdColumn({**arrays, "ids.offsets": np.array([0, 5, 4], dtype=np.uint64)}, 2)
