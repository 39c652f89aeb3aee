"""Every backend and, for native, every instruction set that this machine runs."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

import fake_cupy
import pytest

from vecstore.kernels.base import Kernels
from vecstore.kernels.device import devices
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always
from vecstore.kernels.device.resident import Transient
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
    device = ["device"] if metafunc.module.__name__ in ON_DEVICE else []
    if metafunc.function.__name__ in NOT_ON_DEVICE:
        device = []
    backends = [f"native-{isa}" for isa in NATIVE_ISAS] + ["numba", *device]
    if "kernels" in metafunc.fixturenames:
        metafunc.parametrize("kernels", backends, indirect=True)
    if "any_kernels" in metafunc.fixturenames:
        metafunc.parametrize("any_kernels", [*backends, "numpy"], indirect=True)


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    """A GPU where there is one; else the code that drives one over a stand-in for CuPy; without g++ numpy itself."""
    chosen: Any
    if importlib.util.find_spec("cupy") is not None and devices.count() > 0:
        chosen = devices.open_device("cuda:0")
    elif shutil.which("g++"):
        with fake_cupy.installed(tmp_path_factory.mktemp("cuda")):
            module = importlib.import_module(f"{devices.__package__}.cupy_device")
        for name, loaded in list(sys.modules.items()):
            if name.startswith(f"{devices.__package__}.") and hasattr(loaded, "cupy"):
                del sys.modules[name]  # nobody else shall have the stand-in
                for seam in ("record", "library"):
                    if hasattr(loaded, seam):
                        setattr(loaded, seam, {"record": fake_cupy.record, "library": fake_cupy.cublas}[seam])
        chosen = module.CupyDevice(0)
    else:
        chosen = ArrayDevice()
    chosen.score_bytes = 1 << 14  # many chunks
    return chosen  # type: ignore[no-any-return]


def on_device(device: Device) -> Kernels:
    return cast(Kernels, DeviceKernels(NumpyKernels(), Transient(device), Always))


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


@pytest.fixture
def native(native_isa: Callable[[str], Kernels], isa: str) -> Iterator[Kernels]:
    """The native backend by each instruction set, with two threads."""
    chosen = native_isa(isa)
    chosen.set_threads(2)
    yield chosen
    chosen.set_threads(0)


# What a device does besides the host's kernels.
ON_DEVICE = {
    "test_byte_scan", "test_dense_lists", "test_dense_scan", "test_hamming_scan", "test_maxsim", "test_rerank",
    "test_row_codes", "test_table_scan",
}  # fmt: skip
# The last bits of a device's matrix products depend on the shape of the batch.
NOT_ON_DEVICE = {
    "test_a_query_has_the_same_bits_alone_and_among_others", "test_a_batch_has_the_bits_of_single_queries",
    "test_bits_of_threads_and_batches_agree", "test_threads_and_batches_agree",
}  # fmt: skip


@pytest.fixture
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    backend, _, isa = request.param.partition("-")
    if backend == "device":
        chosen = on_device(request.getfixturevalue("device"))
    elif backend == "native":
        chosen = request.getfixturevalue("native_isa")(isa)
    elif backend not in available_backends():
        pytest.skip(f"{backend} is not installed")
    else:
        chosen = load_backend(backend)
    chosen.set_threads(2)
    yield chosen
    chosen.set_threads(0)


@pytest.fixture
def any_kernels(request: pytest.FixtureRequest) -> Kernels:
    """The same with numpy, for what the law itself must keep."""
    backend, _, isa = request.param.partition("-")
    if backend == "numpy":
        return NumpyKernels()
    if backend == "device":
        return on_device(request.getfixturevalue("device"))
    if backend == "native":
        return request.getfixturevalue("native_isa")(isa)
    if backend not in available_backends():
        pytest.skip(f"{backend} is not installed")
    return load_backend(backend)
