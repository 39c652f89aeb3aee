"""What builds over token vectors compute on a device has the host's bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vecstore import index_spec
from vecstore.index import token_arrays, token_codes
from vecstore.index.registry import built_index
from vecstore.kernels import token_encode
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.fde import Fde, FdeEncoder
from vecstore.kernels.places import at, by_batches
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows

SMALL = Fde(24, repetitions=3, k_sim=3, projection=8, final_dim=0, fill_empty=True, seed=7)


def made_on(device: Device, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what the device was asked for."""
    asked: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        method = getattr(device, name)

        def call(*arguments: Any) -> Any:
            asked.append(name)
            return method(*arguments)

        return call

    for name in ("project", "products", "row_dots"):
        monkeypatch.setattr(device, name, watched(name))
    return asked


@pytest.mark.parametrize("dim", [24, 33])
def test_nearest_centroids(device: Device, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(dim)
    tokens = rng.standard_normal((2_500, dim)).astype(np.float32)
    tokens[7] = 0
    centroids = np.full((60, -(-dim // 4) * 4), 128, np.uint8)
    centroids[:, :dim] = rng.integers(1, 256, (60, dim))
    centroids[40:] = centroids[:20]  # equal ones: the first
    scales = rng.uniform(0.5, 1.5, 60).astype(np.float32)
    scales[40:] = scales[:20]
    wanted = token_encode.nearest_centroids(tokens, centroids, scales)
    assert wanted.max() < 40
    asked = made_on(device, monkeypatch)
    with at(device) as place:
        found = device.get(token_encode.nearest_centroids(place.put(tokens), centroids, scales))
    assert asked == ["products"] * 3  # parts of 1,024
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_centroids_that_do_not_fit_are_the_host_s() -> None:
    class Full(ArrayDevice):
        def products(self, rows: Any, queries: Any) -> Any:
            raise MemoryError

    tokens, centroids = np.eye(5, 8, dtype=np.float32), (128 + 100 * np.eye(5, 8)).astype(np.uint8)
    with at(Full()):
        found = by_batches(tokens, lambda some: token_encode.nearest_centroids(some, centroids, np.ones(5, np.float32)))
    assert found.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("fields", [{}, {"projection": 0}, {"final_dim": 50, "fill_empty": False}, {"k_sim": 0}])
def test_fixed_dimensional_encodings(device: Device, fields: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    rows = TokenRows.of([rng.standard_normal((n, 24)) for n in (0, 1, 30, 70, 0)], 24, np.float32)
    encoder = FdeEncoder(replace(SMALL, **fields))  # type: ignore[arg-type]
    wanted = encoder.documents(rows)
    asked = made_on(device, monkeypatch)
    with at(device):
        found = encoder.documents(rows)
    assert "project" in asked
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "spec",
    [
        *(
            index_spec.Plaid(centroids=8, tokens=tokens)
            for tokens in ("stored", "residual1", "residual2", "residual4", "residual8")
        ),
        index_spec.Muvera(repetitions=2, k_sim=2, quantizer=index_spec.Int8(), tokens="int8"),
    ],
    ids=lambda spec: f"{type(spec).__name__} {spec.tokens}",
)
def test_an_index_is_the_host_s(device: Device, spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    rows = TokenRows.of([rng.standard_normal((1 + n % 4, 26)) for n in range(60)], 26, np.float32)
    rows.tokens[3] = 0
    field = VectorField(VectorKind.MULTI, dim=26, metric=Metric.DOT, index=spec)

    def build() -> dict[str, np.ndarray]:
        built = built_index(spec).build(field, spec, rows, None, get_kernels(), lambda *_: None)
        arrays: dict[str, np.ndarray] = built.arrays()
        return arrays

    wanted = build()
    asked = made_on(device, monkeypatch)
    with at(device):
        found = build()
    plaid = isinstance(spec, index_spec.Plaid)
    assert ("products" in asked, "project" in asked) == (plaid, not plaid)
    assert ("row_dots" in asked) == (plaid and spec.tokens != "stored")  # of codes, which are made there
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert type(found[name]) is np.ndarray, name
        if name != "header":  # with what was measured
            np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_codes_that_fit_in_parts_are_the_host_s(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(ArrayDevice):
        def row_dots(self, a: Any, b: Any) -> Any:
            if len(a) > 40:
                raise MemoryError
            return super().row_dots(a, b)

    monkeypatch.setattr("vecstore.kernels.places._LEAST", 10)
    rng = np.random.default_rng(5)
    rows = TokenRows.of([rng.standard_normal((3, 8)) for _ in range(70)], 8, np.float32)
    learned = token_codes.learn(rows.tokens, 4, 2, lambda *_: None)
    wanted = token_arrays.stored_arrays(token_codes.encode_rows(rows, learned, lambda *_: None))
    with at(Small()):
        found = token_arrays.stored_arrays(token_codes.encode_rows(rows, learned, lambda *_: None))
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
