"""cuBLAS's gemmEx by its address: CuPy's own binding refuses to be recorded (replay.py), cuBLAS does not."""

from __future__ import annotations

import ctypes
from functools import cached_property
from pathlib import Path
from typing import Any

import cupy
import numpy as np

from vecstore.kernels.device.products import GemmCall

TRANSPOSED, AS_IT_IS = 1, 0
_INT, _ADDRESS = ctypes.c_int, ctypes.c_void_p
_DTYPES: tuple[type[np.generic], ...] = (np.float32, np.int32)
_ONES = {dtype: np.ones(1, dtype) for dtype in _DTYPES}
_ZEROS = {dtype: np.zeros(1, dtype) for dtype in _ONES}
SCALARS = {dtype: (_ONES[dtype].ctypes.data, _ZEROS[dtype].ctypes.data) for dtype in _ONES}  # 1 and 0, by address


def library() -> Any:
    """The cuBLAS that CuPy has loaded: another copy would have other handles. Raises OSError where there is none."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        path = line.rsplit(" ", 1)[-1]
        if Path(path).name.startswith("libcublas.so"):
            return ctypes.CDLL(path)
    raise OSError("CuPy has not loaded cuBLAS")


class Blas:
    @cached_property
    def _library(self) -> Any:
        cupy.cuda.device.get_cublas_handle()  # loads it
        found = library()
        found.cublasSetStream_v2.argtypes = (_ADDRESS, _ADDRESS)
        found.cublasGemmEx.argtypes = (
            _ADDRESS, _INT, _INT, _INT, _INT, _INT, _ADDRESS, _ADDRESS, _INT, _INT, _ADDRESS, _INT, _INT, _ADDRESS,
            _ADDRESS, _INT, _INT, _INT, _INT,
        )  # fmt: skip
        return found

    def gemm(self, call: GemmCall, out: Any, stream: int) -> None:
        """Raises RuntimeError with cuBLAS's status."""
        handle, (one, zero) = cupy.cuda.device.get_cublas_handle(), SCALARS[call.scalar_dtype]
        status = self._library.cublasSetStream_v2(handle, stream) or self._library.cublasGemmEx(
            handle, TRANSPOSED, AS_IT_IS, call.m, call.n, call.k, one, call.a.data.ptr, call.in_type, call.k,
            call.b.data.ptr, call.in_type, call.k, zero, out.data.ptr, call.out_type, call.m, call.compute, -1,
        )  # fmt: skip
        if status:
            raise RuntimeError(f"cuBLAS gave status {status} to a product of {call.n} by {call.m} by {call.k}")
