"""The kernels of `cuda/`, compiled once a device and called with arrays, numbers and nothing (null)."""

from __future__ import annotations

from importlib import resources
from typing import Any

import cupy
import numpy as np

SOURCES = ("common.cuh", "select.cu", "dense.cu", "binary.cu", "codes.cu", "tokens.cu", "train.cu", "encode.cu")
THREADS = 256
NULL = np.uint64(0)


class Module:
    def __init__(self) -> None:
        folder = resources.files("vecstore.kernels.device").joinpath("cuda")
        code = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SOURCES)
        self._module = cupy.RawModule(code=code, options=("-std=c++17",))
        self._functions: dict[str, Any] = {}

    def launch(self, name: str, grid: tuple[int, ...], *arguments: Any, shared: int = 0) -> None:
        """Blocks of 256 threads; int is passed as long long, np.int32 as int."""
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = self._module.get_function(name)
        if all(grid):
            function(grid, (THREADS,), tuple(map(_typed, arguments)), shared_mem=shared)

    def each(self, name: str, items: int, *arguments: Any) -> None:
        """A thread an item."""
        self.launch(name, (-(-items // THREADS),), *arguments)


def _typed(value: Any) -> Any:
    if value is None:
        return NULL
    return np.int64(value) if type(value) is int else value


def contiguous(array: Any) -> Any:
    return cupy.ascontiguousarray(array)
