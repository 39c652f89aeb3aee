"""Every backend and instruction set that encoding runs on."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from vecstore.kernels import encode
from vecstore.kernels.numpy_backend import NumpyKernels

HAS_NATIVE = importlib.util.find_spec("vecstore.kernels._native") is not None


def _backends() -> list[str]:
    if not HAS_NATIVE:
        return ["numpy"]
    from vecstore.kernels.native_backend import supported_isas

    return ["numpy", *supported_isas()]


@pytest.fixture(params=_backends())
def any_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Encoding on one backend until the test ends; its name."""
    if request.param == "numpy":
        monkeypatch.setattr(encode, "get_kernels", NumpyKernels)
        yield "numpy"
        return
    from vecstore.kernels import native_backend

    native_backend.use_isa(request.param)
    native_backend.NativeKernels().set_threads(2)
    monkeypatch.setattr(encode, "get_kernels", native_backend.NativeKernels)
    yield request.param
    native_backend.use_isa(native_backend.supported_isas()[0])
    native_backend.NativeKernels().set_threads(0)
