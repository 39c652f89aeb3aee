"""Payloads to JSON: numpy and time go in, what JSON would change in silence does not."""

from __future__ import annotations

import datetime
import math
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecstore import InvalidArgument
from vecstore.client.payloads import encode_payload, encode_payloads

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    return all(map(finite, value)) if isinstance(value, list) else True


@given(st.dictionaries(st.text(), plain, max_size=5))
def test_comes_back_as_it_went_in_or_is_refused(payload: dict[str, Any]) -> None:
    if finite(payload):
        encoded = encode_payload(payload)
        assert encoded is not None
        assert msgspec.json.decode(encoded) == payload
    else:
        with pytest.raises(InvalidArgument) as refused:
            encode_payload(payload)
        assert refused.value.reason == "BAD_PAYLOAD"


def test_numpy_dates_and_uuids() -> None:
    when = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
    payload = {"a": np.int64(3), "b": np.float32(0.5), "c": np.arange(3), "d": when, "e": UUID(int=1), "f": np.bool_(1)}
    encoded = encode_payload(payload)
    assert encoded is not None
    assert msgspec.json.decode(encoded) == {
        "a": 3, "b": 0.5, "c": [0, 1, 2], "d": "2026-11-21T00:00:00Z", "e": str(UUID(int=1)), "f": True,
    }  # fmt: skip


@pytest.mark.parametrize("value", [np.float32("nan"), np.array([1.0, np.inf]), (1, [float("nan")]), {"x": -math.inf}])
def test_no_number_that_is_not_one(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^BAD_PAYLOAD: points\[1\]\.payload\.a.* must be finite"):
        encode_payloads([None, {"ok": None, "a": value}])


def test_bytes_are_json_already_and_none_is_nothing() -> None:
    assert encode_payload(b'{"a":1}') == b'{"a":1}'
    assert encode_payload(None) is None


def test_a_payload_that_holds_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    with pytest.raises(InvalidArgument) as refused:
        encode_payload(loop)
    assert refused.value.reason == "BAD_PAYLOAD"
