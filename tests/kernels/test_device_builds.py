"""Whole indexes built with a device entered: nothing of the host among its arrays, and the host's index in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecstore import index_spec
from vecstore.index import graph_build
from vecstore.index.registry import built_index
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.places import at
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind

SPECS = [
    index_spec.IVF(nlist=4, transforms=(index_spec.PCA(48),), quantizer=index_spec.SAQ(4), spill="soar"),
    index_spec.IVF(nlist=1, quantizer=index_spec.RaBitQ(2), rerank="int8"),
    index_spec.Graph(quantizer=index_spec.RaBitQ(4), degree=16, rerank="float16"),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2])
def test_an_index_is_the_host_s(device: Device, spec: Any, metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("vecstore.index.coarse.ON_DEVICE", "vecstore.kernels.gram._LEAST"):
        monkeypatch.setattr(name, 1)
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((5, 64))[rng.integers(0, 5, 200)] + rng.standard_normal((200, 64))).astype(np.float32)
    norms = (1 / np.linalg.norm(rows, axis=1)).astype(np.float32) if metric is Metric.COSINE else None
    field = VectorField(VectorKind.DENSE, dim=64, metric=metric, index=spec)

    def build(progress: Callable[..., None]) -> dict[str, np.ndarray]:
        built: dict[str, np.ndarray] = (
            built_index(spec).build(field, spec, rows, norms, get_kernels(), progress).arrays()
        )
        return built

    wanted = build(lambda *_: None)
    monkeypatch.setattr(graph_build, "ON_DEVICE", (1, 1 << 20))
    phases: list[str] = []
    with at(device):
        found = build(lambda phase, *_: phases.append(phase))
    assert "encode" in phases
    assert ("nearest rows" in phases) == isinstance(spec, index_spec.Graph)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert type(found[name]) is np.ndarray, name
        if name in ("header", "neighbours", "entries"):  # what was measured; what leaves find is not all
            continue
        assert found[name].dtype == array.dtype, name
        if name.startswith("transform") or array.dtype.kind == "f":
            np.testing.assert_allclose(found[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
        else:
            assert (found[name] == array).mean() >= 0.99, name
