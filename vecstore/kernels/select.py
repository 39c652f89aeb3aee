"""Which backend runs: native, else numba, else numpy, or the one that VECSTORE_KERNELS names; chosen once.

VECSTORE_ISA (scalar, avx2, avx512, amx, neon) forces the native backend's instruction set.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from functools import cache
from typing import Any

from vecstore.errors import InvalidArgument
from vecstore.kernels.base import Kernels


def _native() -> Kernels:
    from vecstore.kernels.native_backend import NativeKernels, use_isa

    isa = os.environ.get("VECSTORE_ISA")
    if isa:
        try:
            use_isa(isa)
        except ValueError as error:
            raise InvalidArgument(f"VECSTORE_ISA={isa}: {error}", reason="BAD_CONFIG") from None
    return NativeKernels()


def _numba() -> Kernels:
    from vecstore.kernels.numba_backend import NumbaKernels

    return NumbaKernels()


def _numpy() -> Kernels:
    from vecstore.kernels.numpy_backend import NumpyKernels

    return NumpyKernels()


BACKENDS: dict[str, Callable[[], Kernels]] = {"native": _native, "numba": _numba, "numpy": _numpy}


def available_backends() -> list[str]:
    """Backends that can be loaded here, in order of preference, without loading them."""
    needs = {"native": "vecstore.kernels._native", "numba": "numba", "numpy": "numpy"}
    return [name for name, module in needs.items() if importlib.util.find_spec(module) is not None]


def load_backend(name: str) -> Kernels:
    """One backend by name. Raises InvalidArgument (BAD_CONFIG) for a name that is unknown or not available here."""
    available = available_backends()
    if name not in available:
        problem = "is not installed" if name in BACKENDS else "is unknown"
        choices = ", ".join(available)
        raise InvalidArgument(f"kernels backend {name!r} {problem}; choose one of {choices}", reason="BAD_CONFIG")
    return BACKENDS[name]()


@cache
def get_kernels() -> Kernels:
    """The process's kernels. Raises InvalidArgument (BAD_CONFIG) when the environment asks for what is not there."""
    return load_backend(os.environ.get("VECSTORE_KERNELS") or available_backends()[0])


def describe() -> dict[str, Any]:
    """What `vecstore info` shows: backend, isa, threads, and what else could be chosen."""
    kernels = get_kernels()
    isas: list[str] = []
    if "native" in available_backends():
        from vecstore.kernels.native_backend import supported_isas

        isas = supported_isas()
    return {
        "backend": kernels.name,
        "isa": kernels.isa,
        "threads": kernels.threads,
        "available_backends": available_backends(),
        "available_isas": isas,
    }
