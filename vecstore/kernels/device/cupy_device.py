"""A GPU through CuPy: streams and memory of our own, products by cuBLAS, and the kernels of `cuda/`.

The tests run it over a stand-in for CuPy where there is no GPU (tests/kernels/fake_cupy.py).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Hashable, Iterator
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.arrays import Outputs, Plans, Queue
from vecstore.kernels.device.blas import Blas
from vecstore.kernels.device.cupy_codes import CupyCodes
from vecstore.kernels.device.cupy_encode import CupyEncode
from vecstore.kernels.device.cupy_select import CupySelect
from vecstore.kernels.device.cupy_train import CupyTrain
from vecstore.kernels.device.launch import Module
from vecstore.kernels.device.products import gemm_call
from vecstore.kernels.device.replay import Recorder, as_bytes
from vecstore.kernels.device.staging import Staging

SCORE_BYTES = 64 << 20  # a little more than the L2 cache of an H100 or H200: smaller products are slower
POOL_SHARE = 0.85  # of the device's memory; the rest is the driver's, cuBLAS's and of recorded work
RECORDED_SHARE = 0.05
STAGED_FROM = 1 << 16  # bytes; smaller copies are not worth a pinned buffer


class CupyDevice(CupySelect, CupyCodes, CupyTrain, CupyEncode):
    xp: Any = cupy
    few_tables = 16  # docs/RESULTS-GPU.md

    def __init__(self, number: int) -> None:
        self.name = f"cuda:{number}"
        self.score_bytes = SCORE_BYTES
        self._device = cupy.cuda.Device(number)
        self._pool = cupy.cuda.MemoryPool()
        self._local = threading.local()
        self._staging = Staging()
        self._blas = Blas()
        with self._device:
            _, total = cupy.cuda.runtime.memGetInfo()
            self._pool.set_limit(size=int(POOL_SHARE * total))
            self.module = Module()
        self.total_bytes = int(total)
        self._recorder = Recorder(int(RECORDED_SHARE * total))

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
        self.fill(out, host)
        return out

    def fill(self, out: Any, host: NDArray[Any]) -> None:
        """Copy to an array that is there, through pinned memory."""
        if host.nbytes < STAGED_FROM:
            out.set(np.ascontiguousarray(host))
            return
        self._staging.send(as_bytes(host), out.reshape(-1).view(cupy.uint8))

    def replayed(self, plans: Plans, key: Hashable, inputs: Outputs, queue: Queue) -> Outputs:
        return self._recorder.run(self, plans, key, inputs, queue)

    def get(self, array: Any) -> NDArray[Any]:
        out: NDArray[Any] = cupy.asnumpy(array)
        return out

    def finish(self) -> None:
        cupy.cuda.get_current_stream().synchronize()

    def release(self) -> None:
        with self.working():
            self.finish()
            self._pool.free_all_blocks()

    def products(self, rows: Any, queries: Any) -> Any:
        call = gemm_call(cupy, rows, queries)
        out = cupy.empty((call.n, call.m), call.out_dtype)
        if not out.size:
            return out
        self._blas.gemm(call, out, cupy.cuda.get_current_stream().ptr)
        return out
