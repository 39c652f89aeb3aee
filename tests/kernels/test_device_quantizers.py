"""Every quantizer on a device gives the bytes that it gives on the host, after any transforms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore import index_spec
from vecstore.index import graph_codes
from vecstore.index.coarse import Coarse
from vecstore.index.soar import soar_assignments
from vecstore.kernels import encode
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.places import at, in_parts
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric
from vecstore.transform.chain import Chain

REAL = Path("../shared/data/dense-minilm-100k-384-angular.hdf5")
DIM = 48
SPECS = [
    *(index_spec.RaBitQ(bits) for bits in range(1, 9)),
    *(index_spec.SAQ(bits) for bits in (2, 4, 6.5)),
    *(index_spec.LloydMax(bits) for bits in (1, 2, 4)),
    *(index_spec.PQ(m, bits) for m, bits in ((10, 4), (12, 8))),
    index_spec.Binary(),
    index_spec.Binary(bits=30),
    index_spec.Binary(bits=8, itq=True),
    index_spec.Int8(clip=0.01),
    index_spec.Int4(),
    index_spec.Float8("e4m3"),
    index_spec.Float8("e5m2"),
    index_spec.Float16(),
    index_spec.BFloat16(),
]


def _rows(n: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((6, dim))[rng.integers(0, 6, n)] + rng.standard_normal((n, dim))).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[3] = 0
    return rows


def _codes(spec: Any, metric: Metric, rows: np.ndarray, origins: np.ndarray | None, device: Device) -> None:
    if isinstance(spec, index_spec.PQ):
        pytest.importorskip("faiss", reason="needs the train extra")
    quantizer = QUANTIZERS[str(type(spec).__struct_config__.tag)].train(spec, metric, rows, origins, 0)
    wanted = quantizer.encode(rows, origins)
    with at(device):
        ((part, found),) = in_parts(rows, origins, quantizer.encode)
    assert part == slice(0, len(rows))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_codes_of_every_quantizer(device: Device, spec: Any) -> None:
    rows = _rows(300 if isinstance(spec, index_spec.PQ) else 120)
    _codes(spec, Metric.DOT, rows, None, device)
    _codes(spec, Metric.L2, 9 * rows, 9 * rows[np.arange(len(rows)) % 5], device)


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not on this machine")
@pytest.mark.parametrize("spec", [index_spec.SAQ(4), index_spec.RaBitQ(3), index_spec.Int8()], ids=str)
def test_codes_of_real_rows(device: Device, spec: Any) -> None:
    h5py = pytest.importorskip("h5py", reason="needs the io extra")
    with h5py.File(REAL) as file:
        rows = file["train"][:64].astype(np.float32)
    _codes(spec, Metric.DOT, rows, np.repeat(rows[:2], 32, axis=0), device)


@pytest.mark.parametrize(
    "specs",
    [
        [index_spec.Rotate()],
        [index_spec.Center(), index_spec.PCA(20)],
        [index_spec.PCA(20)],
        [index_spec.Truncate(24), index_spec.Normalize()],
    ],
    ids=str,
)
def test_transforms(device: Device, specs: list[Any]) -> None:
    sample = _rows(400)
    chain = Chain.fit(specs, sample, Metric.DOT, True)
    rows = sample[:30]
    with at(device) as place:
        found = device.get(chain.apply(place.put(rows)))
    np.testing.assert_allclose(found, chain.apply(rows), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
@pytest.mark.parametrize("quantizer", [None, index_spec.RaBitQ(3)])
def test_codes_of_graphs(device: Device, metric: Metric, quantizer: Any) -> None:
    rows = _rows(60)
    codes = graph_codes.train(quantizer, metric, rows)

    def coded(some: Any, _: Any) -> dict[str, Any]:
        return {"codes": codes.encode(some, metric, codes.fields[2])}

    with at(device):
        ((_, found),) = in_parts(rows, None, coded)
    np.testing.assert_array_equal(found["codes"], codes.encode(rows, metric, codes.fields[2]))


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
def test_first_and_second_lists(device: Device, metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.index.coarse.ON_DEVICE", 50)
    rows, kernels = _rows(60), NumpyKernels()
    coarse = Coarse(metric, _rows(9, seed=1), np.ones(9, np.float32))
    homes = coarse.home(rows, kernels)
    with at(device) as place:
        found = coarse.home(place.put(rows), kernels)
        second = soar_assignments(place.put(rows), coarse.centroids, found)
        np.testing.assert_array_equal(device.get(found), homes)
        monkeypatch.setattr(kernels, "scan", None)
        np.testing.assert_array_equal(coarse.home(rows, kernels), homes)  # brought over
        np.testing.assert_array_equal(device.get(second), soar_assignments(rows, coarse.centroids, homes))


def test_halves_are_rounded_once(device: Device) -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal(4000) * 2.0 ** rng.integers(-30, 12, 4000)
    ties = rng.integers(1024, 2048, 500) + 0.5  # between two halves, and beside that by less than float32 tells
    values = np.concatenate([values, ties, ties * (1 + 2.0**-40), ties * (1 - 2.0**-40), -ties * (1 + 2.0**-40), [0.0]])
    wanted = encode.to_half(values)
    with at(device) as place:
        np.testing.assert_array_equal(device.get(encode.to_half(place.put(values))), wanted)
    values = ties * (1 + 2.0**-40)
    assert (values.astype(np.float32).astype(np.float16) != values.astype(np.float16)).any()


def test_rows_that_do_not_fit_are_halved_then_left_to_the_host(caplog: pytest.LogCaptureFixture) -> None:
    class Full(ArrayDevice):
        def project(self, rows: Any, matrix: Any) -> Any:
            if len(rows) > self.most:
                raise MemoryError
            return super().project(rows, matrix)

    matrix, rows, device = _rows(DIM), _rows(5000), Full()
    for device.most, parts in ((5000, 1), (2000, 4), (0, 8)):  # type: ignore[attr-defined]

        def work(some: Any, _: Any) -> dict[str, Callable[..., Any]]:
            return {"projected": encode.project(some, matrix)}  # type: ignore[dict-item]

        with at(device):
            found = list(in_parts(rows, None, work))
        assert [part.start for part, _ in found] == [5000 * number // parts for number in range(parts)]
        together = np.concatenate([made["projected"] for _, made in found])
        np.testing.assert_array_equal(together, encode.project(rows, matrix))
    assert "do not fit into numpy: the host encodes them" in caplog.text
