"""The arrays format: what goes in comes out, and nothing else is accepted."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from vecstore.errors import Corruption, FailedPrecondition, InvalidArgument
from vecstore.storage.arrays import DTYPES, array_blob, array_from_blob, pack, unpack

JSON = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=5), st.booleans()))
ARRAYS = st.dictionaries(
    st.text(max_size=5),
    st_numpy.arrays(st.sampled_from(list(DTYPES.values())), st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0)),
    max_size=4,
)
SAMPLE = b"".join(pack({"kind": "upsert"}, {"ids": np.arange(3, dtype=np.uint64), "v": np.ones((3, 5), np.float32)}))


def with_head(json: bytes, body: bytes = b"", version: int = 1, total: int | None = None) -> bytes:
    """A record whose checksums all match, whatever it says."""
    start = -(-(40 + len(json)) // 64) * 64
    size = start + len(body) if total is None else total
    prefix = struct.pack("<8sIIQQ", b"VSARRAYS", version, len(json), size, xxhash.xxh3_64_intdigest(body))
    head = prefix + struct.pack("<Q", xxhash.xxh3_64_intdigest(prefix + json)) + json
    return head + bytes(start - len(head)) + body


@hypothesis_settings(max_examples=100, deadline=None)
@given(header=JSON, arrays=ARRAYS, copy=st.booleans())
def test_what_is_packed_unpacks(header: dict, arrays: dict[str, np.ndarray], copy: bool) -> None:
    data = b"".join(pack(header, arrays))
    found_header, found = unpack(data, copy=copy)
    assert found_header == header
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable == copy


def test_arrays_of_any_layout_are_stored_as_little_endian_c_order() -> None:
    array = np.arange(24, dtype=">i4").reshape(4, 6)[::2, ::3]
    _, found = unpack(b"".join(pack({}, {"a": array})))
    np.testing.assert_array_equal(found["a"], array)
    assert found["a"].dtype == np.dtype("<i4")


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([object()]), np.zeros((1,) * 5), np.array([True])])
def test_what_cannot_be_stored_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InvalidArgument):
        pack({}, {"a": array})


def test_every_flipped_bit_is_detected() -> None:
    for position in range(len(SAMPLE) * 8):
        damaged = bytearray(SAMPLE)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises((Corruption, FailedPrecondition)) as caught:
            unpack(bytes(damaged))
        if isinstance(caught.value, FailedPrecondition):  # only the version field may be believed before its checksum
            assert 8 <= position // 8 < 12


@pytest.mark.parametrize("length", range(0, len(SAMPLE), 7))
def test_every_truncation_and_extension_is_detected(length: int) -> None:
    with pytest.raises(Corruption):
        unpack(SAMPLE[:length])
    with pytest.raises(Corruption):
        unpack(SAMPLE + bytes(length + 1))


def test_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(FailedPrecondition) as caught:
        unpack(with_head(b'{"header":{},"arrays":[]}', version=2))
    assert caught.value.reason == "FORMAT_TOO_NEW"


@pytest.mark.parametrize(
    "json",
    [
        b"", b"[]", b"{}", b"\xff", b'{"header":[],"arrays":[]}', b'{"header":{},"arrays":[],"more":1}',
        b'{"header":{},"arrays":[["a","|O",[1]]]}', b'{"header":{},"arrays":[["a",">f4",[1]]]}',
        b'{"header":{},"arrays":[["a","<f4",[-1]]]}', b'{"header":{},"arrays":[["a","<f4",[1.5]]]}',
        b'{"header":{},"arrays":[["a","<f4",[17]]]}', b'{"header":{},"arrays":[["a","<f4",[4611686018427387905]]]}',
        b'{"header":{},"arrays":[["a","<f4",[4294967296,4294967296]]]}',
        b'{"header":{},"arrays":[["a","<f4",[0,9223372036854775807]]]}',
        b'{"header":{},"arrays":[["a","<f4",[0,2305843009213693952]]]}',
        b'{"header":{},"arrays":[["a","<f4",[1,1,1,1,1]]]}', b'{"header":{},"arrays":[["a","<f4"]]}',
        b'{"header":{},"arrays":[["a","|u1",[1]]]}'.replace(b"[1]", b"[" * 5000),
        b'{"header":{},"arrays":[["a","|u1",[64]],["a","|u1",[0]]]}', b'{"header":{},"arrays":[]}',
        b'{"header":{},"arrays":[["a","|u1",[64]],["b","|u1",[1]]]}',
    ],
)  # fmt: skip
def test_hostile_heads_with_matching_checksums_are_refused(json: bytes) -> None:
    with pytest.raises(Corruption):
        unpack(with_head(json, body=bytes(64)))


def test_the_hostile_builder_builds_records_that_are_accepted() -> None:
    header, arrays = unpack(with_head(b'{"header":{"a":1},"arrays":[["a","<f4",[16]]]}', body=bytes(64)))
    assert header == {"a": 1}
    np.testing.assert_array_equal(arrays["a"], np.zeros(16, np.float32))


@pytest.mark.parametrize("total", [0, 1, 2**63, 2**64 - 1])
def test_a_wrong_total_is_refused(total: int) -> None:
    with pytest.raises(Corruption):
        unpack(with_head(b'{"header":{},"arrays":[]}', total=total))


def test_columns_round_trip_and_are_checked_against_their_shape() -> None:
    array = np.random.default_rng(3).standard_normal((70_000, 9)).astype(np.float32)
    blob = memoryview(b"".join(array_blob(array)))
    found = array_from_blob(blob, "<f4", array.shape)
    np.testing.assert_array_equal(found, array)
    assert not found.flags.writeable
    for dtype, shape in [("<f4", (70_000, 8)), ("<f8", array.shape), ("|O", (1,)), ("<f4", (-70_000, -9)), ("<f4", ())]:
        with pytest.raises(Corruption):
            array_from_blob(blob, dtype, shape)
