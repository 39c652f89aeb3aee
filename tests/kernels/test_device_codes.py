"""What a device does with bits and codes, against numpy's device; numpy's against the plain way."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import LANES, Device
from vecstore.kernels.device.blocks import Blocks
from vecstore.kernels.device.hamming import groups_of, upload
from vecstore.kernels.device.parts import in_parts

LAW = ArrayDevice()
N = 6  # blocks


def blocks(device: Device, listed: bool) -> Blocks:
    return Blocks(0, 3, device.put(np.array([4, 0, 5]))) if listed else Blocks(2, 3)


def same(device: Device, work: Any, *arrays: np.ndarray, listed: bool) -> None:
    """`work(device, blocks, *arrays)` gives the same on both."""
    with device.working():
        found = device.get(work(device, blocks(device, listed), *map(device.put, arrays)))
    np.testing.assert_array_equal(found, work(LAW, blocks(LAW, listed), *arrays))


@pytest.mark.parametrize("nbytes", [1, 16, 37])
@pytest.mark.parametrize("nq", [1, 9])
def test_bits(device: Device, nq: int, nbytes: int) -> None:
    rng = np.random.default_rng(nbytes)
    rows, queries = (rng.integers(0, 256, (n, nbytes), np.uint8) for n in (700, nq))
    numbers = rng.permutation(700)[:90].astype(np.int32)
    law = np.bitwise_count(queries[:, None] ^ rows).sum(axis=2)
    bits = np.unpackbits(rows, axis=1, bitorder="little").astype(np.float16) * 2 - 1
    for one in (LAW, device):
        with one.working():
            tiles, asked = upload(one, rows)["tiles"], one.put(groups_of(queries, nq))
            for some, wanted in (((64, 300), np.arange(64, 364)), (one.put(numbers), numbers)):
                np.testing.assert_array_equal(one.get(one.differing(tiles, asked, some)), law[:, wanted])
                signs = one.get(one.signs(tiles, some))
                np.testing.assert_array_equal(signs[:, : bits.shape[1]], bits[wanted])
                assert (signs[:, bits.shape[1] :] == -1).all()


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("m", [8, 21])
def test_tables(device: Device, m: int, width: int, listed: bool) -> None:
    rng = np.random.default_rng(m * width)
    words = rng.integers(0, 256, (N, -(-m // 8), LANES, 4), np.uint8)
    values = rng.standard_normal((m, 16, width)).astype(np.float16)
    stride = -(-m * width // 16) * 16 + 16

    def unpack(one: Any, some: Blocks, words: Any, values: Any) -> Any:
        out = one.xp.zeros((some.count * LANES, stride), np.float16)
        one.unpack_tables(words, some, values, out, 16)
        return out

    same(device, unpack, words, values, listed=listed)
    nibbles = np.stack((words & 15, words >> 4), axis=4).transpose(0, 2, 1, 3, 4).reshape(N, LANES, -1)
    own = nibbles[[4, 0, 5] if listed else [2, 3, 4]].reshape(3 * LANES, -1)
    found = unpack(LAW, blocks(LAW, listed), words, values)
    for j in range(m):
        np.testing.assert_array_equal(found[:, 16 + j * width : 16 + (j + 1) * width], values[j, own[:, j]])
    tables = rng.integers(-9, 9, (3, m, 16)).astype(np.float32)  # sums are exact

    def sums(one: Any, some: Blocks, words: Any, tables: Any) -> Any:
        return one.table_sums(words, some, tables)

    same(device, sums, words, tables, listed=listed)


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_runs(device: Device, bits: int, listed: bool) -> None:
    rng, count, begin = np.random.default_rng(bits), 24, 2
    extra = rng.integers(0, 256, (N * LANES, begin + count * bits // 8 + 1), np.uint8)
    queries = rng.integers(-9, 9, (2, count)).astype(np.float32)

    def unpack(one: Any, some: Blocks, extra: Any) -> Any:
        out = one.xp.zeros((some.count * LANES, 32), np.float16)
        one.unpack_run(extra, some, begin, bits, count, out, 5)
        return out

    def sums(one: Any, some: Blocks, extra: Any, queries: Any) -> Any:
        out = one.xp.ones((2, some.count * LANES), np.float32)
        one.add_run_sums(extra, some, begin, bits, queries, out)
        return out

    same(device, unpack, extra, listed=listed)
    same(device, sums, extra, queries, listed=listed)
    found = unpack(LAW, Blocks(0, 1), extra)[7, 5 : 5 + count]
    own_bytes = count * bits // 8
    for field in range(count):
        byte = int(extra[7, begin + field % own_bytes])
        assert found[field] == (byte >> field // own_bytes * bits & (1 << bits) - 1) - ((1 << bits) - 1) / 2


@pytest.mark.parametrize("listed", [False, True])
def test_bytes_and_words(device: Device, listed: bool) -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (N * LANES, 5), np.uint8)
    values = rng.standard_normal((5, 256, 3)).astype(np.float16)

    def unpack(one: Any, some: Blocks, codes: Any, values: Any) -> Any:
        out = one.xp.zeros((some.count * LANES, 32), np.float16)
        one.unpack_bytes(codes, some, values, out, 3)
        return out

    same(device, unpack, codes, values, listed=listed)
    words = rng.integers(0, 256, (N, 4, LANES, 4), np.uint8)
    levels = rng.integers(-128, 128, 16).astype(np.int8)
    for dim in (13, 16):
        same(
            device, lambda one, some, words, dim=dim: one.unpack_words(words, some, None, dim, 16), words, listed=listed
        )

        def by_levels(one: Any, some: Blocks, words: Any, levels: Any, dim: int = dim) -> Any:
            return one.unpack_words(words, some, levels, dim, 32)

        same(device, by_levels, words, levels, listed=listed)


def test_largest_sums(device: Device) -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(-50, 50, (6, 500)).astype(np.float32)
    starts, lines = np.array([3, 4, 5, 63, 502, 503]), np.array([0, 2, 2, 6])
    step = np.array([1, 2, 0.5, 1, 1, 4], np.float32)
    law = [
        [sum(step[i] * values[i, a - 3 : b - 3].max() for i in range(low, high)) for a, b in pairwise(starts)]
        for low, high in pairwise(lines)
    ]
    for one in (LAW, device):
        with one.working():
            found = one.get(one.largest_sums(*map(one.put, (values, step, lines, starts)), 3))
        np.testing.assert_array_equal(found, np.array(law, np.float32))


@pytest.mark.parametrize(("dtype", "lost"), [(np.float16, 2.0**-21), (np.uint16, 2.0**-23)])
def test_parts_add_up(dtype: type, lost: float) -> None:
    array = (np.random.default_rng(5).standard_normal((7, 40)) * 1e4).astype(np.float32)
    array[3] = 0
    parts, scales = in_parts(np, array, dtype)
    wide = (parts.astype(np.uint32) << 16).view(np.float32) if dtype is np.uint16 else parts.astype(np.float32)
    whole = (wide.astype(np.float64) * scales[:, None]).reshape(-1, 7, 40).sum(axis=0)
    assert (np.abs(whole - array) <= lost * np.abs(array).max(axis=1, keepdims=True)).all()
