"""A stand-in for CuPy on a machine without a GPU: numpy's arrays, CuPy's names, and kernels.cu compiled for the CPU,
one thread of the grid after another. So the lines that drive a GPU run in tests; whether one agrees, only one can tell.
"""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

PRELUDE = """
struct Place { int x, y, z; };
static Place blockIdx, blockDim, gridDim, threadIdx;
#define __global__ static
static int __popc(unsigned int word) { return __builtin_popcount(word); }
static unsigned long long atomicAdd(unsigned long long* at, unsigned long long add) {
  const unsigned long long before = *at;
  *at += add;
  return before;
}
"""
LAUNCHER = """
template <class F> static void launch(int gx, int gy, int bx, F kernel) {
  gridDim = {gx, gy, 1}; blockDim = {bx, 1, 1};
  for (int y = 0; y < gy; ++y) for (int x = 0; x < gx; ++x) for (int t = 0; t < bx; ++t) {
    blockIdx = {x, y, 0}; threadIdx = {t, 0, 0};
    kernel();
  }
}
extern "C" void run_differing(int gx, int gy, int bx, const unsigned int* rows, const unsigned int* queries, float* out,
                              long long n, int words, int nq, int tile) {
  launch(gx, gy, bx, [&] { differing(rows, queries, out, n, words, nq, tile); });
}
extern "C" void run_within(int gx, int gy, int bx, const float* values, const float* bounds, long long* rows,
                           long long* columns, unsigned long long* found, long long total, long long width,
                           long long room) {
  launch(gx, gy, bx, [&] { within(values, bounds, rows, columns, found, total, width, room); });
}
extern "C" void run_largest_of_runs(int gx, int gy, int bx, const float* values, const long long* starts, float* out,
                                    long long n, long long runs) {
  launch(gx, gy, bx, [&] { largest_of_runs(values, starts, out, n, runs); });
}
"""


class Array(np.ndarray):
    """With what CuPy's arrays have and numpy's lack."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return types.SimpleNamespace(ptr=self.ctypes.data)

    def set(self, host: np.ndarray, stream: object = None) -> None:
        self[...] = host


class RawModule:
    def __init__(self, code: str, options: tuple[str, ...], folder: Path) -> None:
        source = folder / "kernels.cpp"
        source.write_text(PRELUDE + code + LAUNCHER)
        library = folder / "kernels.so"
        if not library.exists():
            subprocess.run(["g++", *options, "-O1", "-w", "-shared", "-fPIC", source, "-o", library], check=True)
        self._library = ctypes.CDLL(str(library))

    def get_function(self, name: str) -> Callable[..., None]:
        run = getattr(self._library, f"run_{name}")

        def call(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            sizes = [ctypes.c_int(grid[0]), ctypes.c_int(grid[1] if len(grid) > 1 else 1), ctypes.c_int(block[0])]
            run(*sizes, *map(_argument, arguments))

        return call


def _argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return ctypes.c_void_p(value.ctypes.data)
    kinds = {np.int32: ctypes.c_int, np.int64: ctypes.c_longlong}
    return kinds[type(value)](int(value))


def _at(pointer: int, dtype: type, count: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(pointer), dtype)


def gemm_ex(
    handle: Any, trans_a: int, trans_b: int, m: int, n: int, k: int, alpha: int, a: int, a_type: int, lda: int, b: int,
    b_type: int, ldb: int, beta: int, c: int, c_type: int, ldc: int, compute: int, algo: int,
) -> None:  # fmt: skip
    """cuBLAS's gemmEx, column-major, for the types and shapes that we use."""
    dtypes = {2: np.float16, 14: np.uint16, 3: np.int8, 0: np.float32, 10: np.int32}
    assert (trans_a, trans_b, a_type) == (1, 0, b_type)
    assert (c_type, compute) == ((10, 72) if a_type == 3 else (0, 68))
    scalar = np.int32 if compute == 72 else np.float32
    assert (_at(alpha, scalar, 1)[0], _at(beta, scalar, 1)[0]) == (1, 0)
    if a_type == 3:
        assert lda % 4 == 0
        assert ldb % 4 == 0
    first = _at(a, dtypes[a_type], lda * m).reshape(m, lda)[:, :k]  # column-major (k, m) is row-major (m, k)
    second = _at(b, dtypes[b_type], ldb * n).reshape(n, ldb)[:, :k]
    if a_type == 14:
        first, second = ((part.astype(np.uint32) << 16).view(np.float32) for part in (first, second))
    wide = np.int64 if a_type == 3 else np.float32
    with np.errstate(over="ignore", invalid="ignore"):
        product = matmul(second.astype(wide), first.astype(wide).T)
    _at(c, dtypes[c_type], ldc * n).reshape(n, ldc)[:, :m] = product


def matmul(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A GPU gives equal rows equal products; on some CPUs OpenBLAS rounds differently at the edges of its tiles."""
    return (first.astype(np.float64) @ second.astype(np.float64)).astype(np.result_type(first, second))


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[None]:
    """The stand-in is what `import cupy` gives inside, and nowhere else; kernels are compiled into `folder`."""
    modules = made(folder)
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def made(folder: Path) -> dict[str, types.ModuleType]:
    cupy = types.ModuleType("cupy")
    cupy.__dict__.update({name: getattr(np, name) for name in dir(np) if not name.startswith("__")})

    def ours(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: function(*args, **kwargs).view(Array)

    for name in ("asarray", "empty", "zeros", "full", "ascontiguousarray", "concatenate", "arange", "where"):
        setattr(cupy, name, ours(getattr(np, name)))
    cupy.matmul = ours(matmul)  # type: ignore[attr-defined]
    cupy.ndarray = Array  # type: ignore[attr-defined]
    cupy.asnumpy = np.array  # type: ignore[attr-defined]
    cupy.RawModule = lambda code, options: RawModule(code, options, folder)  # type: ignore[attr-defined]

    stream = types.SimpleNamespace(synchronize=lambda: None)

    class Stream(contextlib.nullcontext):  # type: ignore[type-arg]
        def __init__(self, non_blocking: bool) -> None:
            super().__init__(stream)

    class Pool:
        def set_limit(self, size: int) -> None:
            self.limit = size

        def malloc(self, size: int) -> None:
            raise AssertionError("numpy allocates")

    cuda = types.ModuleType("cupy.cuda")
    runtime = types.SimpleNamespace(
        memGetInfo=lambda: (1 << 34, 1 << 34), getDeviceCount=lambda: 2, CUDARuntimeError=RuntimeError
    )
    cuda.__dict__.update(
        Device=lambda number: contextlib.nullcontext(), Stream=Stream, MemoryPool=Pool, runtime=runtime,
        using_allocator=lambda malloc: contextlib.nullcontext(), get_current_stream=lambda: stream,
        alloc_pinned_memory=bytearray,
    )  # fmt: skip
    device = types.ModuleType("cupy.cuda.device")
    device.get_cublas_handle = lambda: 0  # type: ignore[attr-defined]
    cuda.device = device  # type: ignore[attr-defined]
    cupy.cuda = cuda  # type: ignore[attr-defined]
    libs = types.ModuleType("cupy_backends.cuda.libs")
    libs.cublas = types.SimpleNamespace(  # type: ignore[attr-defined]
        gemmEx=gemm_ex,
        setPointerMode=lambda handle, mode: None,
        CUBLAS_POINTER_MODE_HOST=0,
        CUBLAS_OP_T=1,
        CUBLAS_OP_N=0,
    )
    parents = {name: types.ModuleType(name) for name in ("cupy_backends", "cupy_backends.cuda")}
    return {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.device": device, "cupy_backends.cuda.libs": libs, **parents}
