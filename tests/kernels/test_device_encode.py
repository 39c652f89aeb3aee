"""Encoding on a device: every operation gives the host's bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecstore.kernels import encode
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.hadamard import hadamard_rounds
from vecstore.kernels.places import at


def _rows(n: int, dim: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows: np.ndarray = rng.standard_normal((n, dim)).astype(np.float32) * rng.uniform(0.01, 9, (n, 1)).astype(
        np.float32
    )
    rows[0] = 0
    rows[1, ::3] = -0.0
    rows[2] = rows[2, 0]
    return rows


def _same(device: Device, call: Callable[..., Any], *arrays: np.ndarray) -> None:
    wanted = call(*arrays)
    with at(device) as place:
        found = device.get(call(place.put(arrays[0]), *arrays[1:]))
    assert found.dtype == wanted.dtype
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(("n", "dim", "columns"), [(3, 7, 5), (70, 33, 64), (64, 16, 131)])
def test_projections(device: Device, n: int, dim: int, columns: int) -> None:
    _same(device, encode.project, _rows(n, dim, 1), _rows(dim, columns, 2))


@pytest.mark.parametrize(("dim", "width", "block"), [(60, 64, 64), (100, 192, 64), (6200, 6208, 64)])
def test_rotations(device: Device, dim: int, width: int, block: int) -> None:
    rng = np.random.default_rng(3)
    permutations = np.stack([rng.permutation(width) for _ in range(3)]).astype(np.int32)
    factors = rng.standard_normal((3, width)).astype(np.float32)
    _same(device, lambda rows: hadamard_rounds(rows, permutations, factors, block), _rows(4, dim, 4))


@pytest.mark.parametrize("dim", [1, 7, 8, 16, 100])
def test_inner_products(device: Device, dim: int) -> None:
    other = _rows(40, dim, 6)
    _same(device, lambda rows: encode.row_dots(rows, other), _rows(40, dim, 5))


@pytest.mark.parametrize("half", [2, 8, 32, 128])
@pytest.mark.parametrize("dim", [5, 100])
def test_steps_of_grids(device: Device, half: int, dim: int) -> None:
    rows = _rows(60, dim, 7)
    rows[3] *= 1e-31  # no direction
    _same(device, lambda rows: encode.grid_steps(rows, half, 2.0 / half), rows)


def test_cells_of_grids(device: Device) -> None:
    inverse, dims = np.abs(_rows(50, 1, 8)[:, 0]) + 1, np.abs(_rows(3, 30, 9)[2]) + 1
    halves = (1 << np.random.default_rng(10).integers(0, 12, 30)).astype(np.float32)
    _same(device, lambda rows: encode.grid_codes(rows, inverse, dims, halves), _rows(50, 30, 11))


@pytest.mark.parametrize("bounds", [1, 3, 15])
def test_levels(device: Device, bounds: int) -> None:
    at_these = np.linspace(-2, 2, bounds).astype(np.float32)
    inverse = np.full(50, 0.5, np.float32)
    rows = _rows(50, 30, 12)
    rows[4] = 2 * at_these[0]  # on a bound

    def numbers(rows: Any) -> Any:
        return encode.level_codes(rows, encode.like(rows, inverse), at_these)

    _same(device, numbers, rows)


@pytest.mark.parametrize(("m", "subdim", "size"), [(3, 5, 16), (4, 2, 256)])
def test_nearest_parts_ties_by_number(device: Device, m: int, subdim: int, size: int) -> None:
    columns = np.ascontiguousarray(_rows(m * size, subdim, 13).reshape(m, size, subdim).transpose(0, 2, 1))
    columns[:, :, 9] = columns[:, :, 2]
    half_squares = (np.einsum("mds,mds->ms", columns, columns) / 2).astype(np.float32)
    rows = _rows(50, m * subdim, 14)
    rows[5] = np.tile(columns[0, :, 2], m)
    _same(device, lambda rows: encode.nearest_codes(rows, columns, half_squares), rows)


@pytest.mark.parametrize(("dim", "shared"), [(1, 1 << 15), (9, 1 << 15), (300, 1 << 15), (300, 64)])
def test_bytes_that_take_over_what_others_miss(
    device: Device, dim: int, shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        type(device).shaped_codes.__globals__, "SHARED", shared
    )  # bytes: longer rows are held elsewhere
    rng = np.random.default_rng(16)
    cells = rng.uniform(-20, 275, (30, dim)).astype(np.float32)
    feedback = rng.uniform(-0.3, 0.3, dim * (dim - 1) // 2).astype(np.float32)
    _same(device, lambda cells: encode.shaped_codes(cells, feedback), cells)


def test_bits_gathered_in_any_order(device: Device) -> None:
    rng = np.random.default_rng(15)
    codes = rng.integers(0, 1 << 12, (40, 20)).astype(np.uint16)
    fields = np.array(
        [(byte, rng.integers(20), rng.integers(12), 3, position) for byte in (0, 1, 2, 5) for position in (0, 2, 4, 6)],
        np.int32,
    )
    fields = fields[rng.permutation(len(fields))]
    _same(device, lambda codes: encode.gather_bits(codes, fields, 7), codes)
