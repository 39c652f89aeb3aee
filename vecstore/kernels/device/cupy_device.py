"""A GPU through CuPy: streams and memory of our own, products by cuBLAS, and the kernels of kernels.cu.

Nothing here has run on a GPU yet (docs/RESULTS-GPU.md). The tests run it over a stand-in for CuPy.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import cached_property
from importlib import resources
from typing import Any

import cupy
import numpy as np
from cupy.cuda import device as cupy_cuda_device
from cupy_backends.cuda.libs import cublas
from numpy.typing import NDArray

from vecstore.kernels.device.products import gemm_call

SCORE_BYTES = 32 << 20  # half of the L2 cache of an H100 or H200
POOL_SHARE = 0.9  # of the device's memory; the rest is the driver's and cuBLAS's
STAGED_FROM = 1 << 16  # bytes; smaller copies are not worth a pinned buffer
STAGE_BYTES = 16 << 20
THREADS = 256
QUERY_TILE = 8
WITHIN_ROOM = 1 << 20


class CupyDevice:
    xp: Any = cupy
    score_bytes = SCORE_BYTES

    def __init__(self, number: int) -> None:
        self.name = f"cuda:{number}"
        self._device = cupy.cuda.Device(number)
        self._pool = cupy.cuda.MemoryPool()
        self._local = threading.local()
        with self._device:
            _, total = cupy.cuda.runtime.memGetInfo()
            self._pool.set_limit(size=int(POOL_SHARE * total))
        self.total_bytes = int(total)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        with self._device, cupy.cuda.using_allocator(self._pool.malloc):
            stream = getattr(self._local, "stream", None)
            if stream is None:
                stream = self._local.stream = cupy.cuda.Stream(non_blocking=True)
            with stream:
                yield

    def put(self, host: NDArray[Any]) -> Any:
        if host.nbytes < STAGED_FROM:
            return cupy.asarray(np.ascontiguousarray(host))
        out = cupy.empty(host.shape, host.dtype)
        source, target = np.ascontiguousarray(host).reshape(-1).view(np.uint8), out.reshape(-1).view(cupy.uint8)
        stage, stream = self._stage(), cupy.cuda.get_current_stream()
        for low in range(0, source.size, STAGE_BYTES):
            part = source[low : low + STAGE_BYTES]
            stage[: part.size] = part
            target[low : low + part.size].set(stage[: part.size], stream=stream)
            stream.synchronize()  # before the buffer is written again
        return out

    def get(self, array: Any) -> NDArray[Any]:
        out: NDArray[Any] = cupy.asnumpy(array)
        return out

    def finish(self) -> None:
        cupy.cuda.get_current_stream().synchronize()

    def within(self, values: Any, bounds: Any) -> tuple[Any, Any]:
        values, bounds = cupy.ascontiguousarray(values), cupy.ascontiguousarray(bounds)
        room = min(WITHIN_ROOM, values.size)
        rows, columns = cupy.empty(room, np.int64), cupy.empty(room, np.int64)
        found = cupy.zeros(1, np.uint64)
        blocks = min(4096, -(-values.size // THREADS))
        if blocks:
            arguments = (values, bounds, rows, columns, found, values.size, values.shape[1], room)
            self._kernels["within"]((blocks,), (THREADS,), _typed(arguments))
        count = int(found[0])
        if count > room:
            return tuple(cupy.nonzero(values <= bounds[:, None]))
        return rows[:count], columns[:count]

    def products(self, rows: Any, queries: Any) -> Any:
        if rows.dtype == np.float32:
            return cupy.matmul(queries, rows.T)
        call = gemm_call(cupy, rows, queries)
        out = cupy.empty((len(queries), len(rows)), call.out_dtype)
        if out.size:
            self._gemm(call, out)
        return out if out.dtype == np.float32 else out.astype(np.float32)

    def differing(self, rows: Any, queries: Any) -> Any:
        rows, queries = cupy.ascontiguousarray(rows), cupy.ascontiguousarray(queries)
        out = cupy.empty((len(queries), len(rows)), np.float32)
        if out.size:
            grid = (-(-len(rows) // THREADS), -(-len(queries) // QUERY_TILE))
            arguments = (rows, queries, out, len(rows), np.int32(rows.shape[1]), np.int32(len(queries)))
            self._kernels["differing"](grid, (THREADS,), _typed((*arguments, np.int32(QUERY_TILE))))
        return out

    def largest_of_runs(self, values: Any, starts: Any) -> Any:
        values, runs = cupy.ascontiguousarray(values), len(starts) - 1
        out = cupy.empty((len(values), runs), np.float32)
        if out.size:
            grid = (-(-runs // THREADS), len(values))
            self._kernels["largest_of_runs"](grid, (THREADS,), _typed((values, starts, out, values.shape[1], runs)))
        return out

    def _gemm(self, call: Any, out: Any) -> None:
        handle = cupy_cuda_device.get_cublas_handle()
        cublas.setPointerMode(handle, cublas.CUBLAS_POINTER_MODE_HOST)
        one, zero = np.ones(1, call.scalar_dtype), np.zeros(1, call.scalar_dtype)
        cublas.gemmEx(
            handle, cublas.CUBLAS_OP_T, cublas.CUBLAS_OP_N, call.m, call.n, call.k,
            one.ctypes.data, call.a.data.ptr, call.in_type, call.k, call.b.data.ptr, call.in_type, call.k,
            zero.ctypes.data, out.data.ptr, call.out_type, call.m, call.compute, -1,
        )  # fmt: skip

    @cached_property
    def _kernels(self) -> dict[str, Any]:
        source = resources.files("vecstore.kernels.device").joinpath("kernels.cu").read_text(encoding="utf-8")
        module = cupy.RawModule(code=source, options=("-std=c++17",))
        return {name: module.get_function(name) for name in ("differing", "within", "largest_of_runs")}

    def _stage(self) -> NDArray[np.uint8]:
        stage: NDArray[np.uint8] | None = getattr(self._local, "stage", None)
        if stage is None:
            stage = np.frombuffer(cupy.cuda.alloc_pinned_memory(STAGE_BYTES), np.uint8, STAGE_BYTES)
            self._local.stage = stage
        return stage


def _typed(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Python's integers as the kernels' long long."""
    return tuple(np.int64(value) if type(value) is int else value for value in arguments)
