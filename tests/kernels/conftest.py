"""Every backend and, for native, every instruction set that this machine runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from vecstore.kernels.base import Kernels
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import available_backends, load_backend

HAS_NATIVE = importlib.util.find_spec("vecstore.kernels._native") is not None


def _native_isas() -> list[str]:
    if not HAS_NATIVE:
        return ["absent"]  # one skipped test tells that native was not checked
    from vecstore.kernels.native_backend import supported_isas

    return supported_isas()


NATIVE_ISAS = _native_isas()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "isa" in metafunc.fixturenames and "native_isa" in metafunc.fixturenames:
        metafunc.parametrize("isa", NATIVE_ISAS)


@pytest.fixture
def native_isa() -> Iterator[object]:
    """A function that forces an instruction set until the test ends."""
    if not HAS_NATIVE:
        pytest.skip("the native extension is not built")
    from vecstore.kernels import native_backend

    def force(isa: str) -> Kernels:
        native_backend.use_isa(isa)
        return native_backend.NativeKernels()

    yield force
    native_backend.use_isa(native_backend.supported_isas()[0])


@pytest.fixture(params=[f"native-{isa}" for isa in NATIVE_ISAS] + ["numba"])
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    backend, _, isa = request.param.partition("-")
    if backend == "native":
        chosen = request.getfixturevalue("native_isa")(isa)
    elif backend not in available_backends():
        pytest.skip(f"{backend} is not installed")
    else:
        chosen = load_backend(backend)
    chosen.set_threads(2)
    yield chosen
    chosen.set_threads(0)


@pytest.fixture(params=[f"native-{isa}" for isa in NATIVE_ISAS] + ["numba", "numpy"])
def any_kernels(request: pytest.FixtureRequest) -> Kernels:
    """The same with numpy, for what the law itself must keep."""
    backend, _, isa = request.param.partition("-")
    if backend == "numpy":
        return NumpyKernels()
    if backend == "native":
        return request.getfixturevalue("native_isa")(isa)
    if backend not in available_backends():
        pytest.skip(f"{backend} is not installed")
    return load_backend(backend)
