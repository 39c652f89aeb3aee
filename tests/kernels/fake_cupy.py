"""A stand-in for CuPy on a machine without a GPU: numpy's arrays, CuPy's names, and the kernels compiled for the CPU
(fake_cuda.py). So the lines that drive a GPU run in tests; whether one agrees, only one can tell.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fake_cuda import Library

_on_its_way = threading.local()


def _sent() -> list[tuple[np.ndarray, np.ndarray]]:
    """What this thread's stream has been asked to copy and nobody has waited for: the source is read when it runs, as a
    GPU may read it."""
    if not hasattr(_on_its_way, "copies"):
        _on_its_way.copies = []
    copies: list[tuple[np.ndarray, np.ndarray]] = _on_its_way.copies
    return copies


def _arrive(copies: list[tuple[np.ndarray, np.ndarray]] | None = None) -> None:
    copies = _sent() if copies is None else copies
    while copies:
        target, source = copies.pop(0)
        target[...] = source


class Event:
    def __init__(self, block: bool, disable_timing: bool) -> None:
        self._copies: list[tuple[np.ndarray, np.ndarray]] = []

    def record(self, stream: object) -> None:
        self._copies = _sent()

    def synchronize(self) -> None:
        _arrive(self._copies)


class Array(np.ndarray):
    """With what CuPy's arrays have and numpy's lack."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return types.SimpleNamespace(ptr=self.ctypes.data)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """As CuPy: arrays of the host are not brought over silently."""
        _arrive()
        out = kwargs.pop("out", ())
        assert method != "__call__" or not set(kwargs) & {"where", "casting"}, f"{ufunc.__name__}: CuPy may not know it"
        if out:
            kwargs["out"] = tuple(map(_plain, out))
        results = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        return out[0] if out else _ours(results)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        _arrive()
        return _ours(func(*_plain_tree(args), **_plain_tree(kwargs)))

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):  # which reads nothing
            _arrive()
        return super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        _arrive()
        super().__setitem__(index, value)

    def set(self, host: np.ndarray, stream: object = None) -> None:
        if stream is None:
            self[...] = host
        else:
            _sent().append((self.view(np.ndarray), host))


def _reading(name: str) -> Callable[..., Any]:
    method = getattr(np.ndarray, name)

    def read(self: Array, *args: Any, **kwargs: Any) -> Any:
        _arrive()
        return method(self, *args, **kwargs)

    return read


LOOKS = {"view", "reshape", "transpose", "setflags", "swapaxes", "squeeze"}  # at no number
for _name in dir(np.ndarray):
    if not _name.startswith("_") and _name not in LOOKS and callable(getattr(np.ndarray, _name)):
        setattr(Array, _name, _reading(_name))


def _plain(one: Any) -> Any:
    if isinstance(one, Array):
        return one.view(np.ndarray)
    if isinstance(one, np.ndarray) and one.ndim:
        raise TypeError("an array of the host among those of a device")
    return one


def _plain_tree(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _plain_tree(one) for name, one in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_plain_tree(one) for one in tree)
    return _plain(tree)


def _ours(found: Any) -> Any:
    if isinstance(found, tuple):
        return tuple(_ours(one) for one in found)
    return found.view(Array) if isinstance(found, np.ndarray) else found


def _at(pointer: int, dtype: type, count: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(pointer), dtype)


def cublas() -> types.SimpleNamespace:
    """What blas.py asks of the library."""
    gemm: Any = lambda *arguments: gemm_ex(*arguments)  # noqa: E731 - attributes are set on it
    stream: Any = lambda handle, pointer: 0  # noqa: E731
    return types.SimpleNamespace(cublasGemmEx=gemm, cublasSetStream_v2=stream)


def gemm_ex(
    handle: Any, trans_a: int, trans_b: int, m: int, n: int, k: int, alpha: int, a: int, a_type: int, lda: int, b: int,
    b_type: int, ldb: int, beta: int, c: int, c_type: int, ldc: int, compute: int, algo: int,
) -> int:  # fmt: skip
    """cuBLAS's gemmEx, column-major, for the types and shapes that we use."""
    _arrive()
    dtypes = {2: np.float16, 14: np.uint16, 3: np.int8, 0: np.float32, 10: np.int32}
    assert (trans_a, trans_b, a_type) == (1, 0, b_type)
    assert (c_type, compute) in ([(10, 72)] if a_type == 3 else [(0, 68), (0, 77)] if a_type == 0 else [(0, 68)])
    scalar = np.int32 if compute == 72 else np.float32
    assert (_at(alpha, scalar, 1)[0], _at(beta, scalar, 1)[0]) == (1, 0)
    if a_type == 3:
        assert lda % 4 == 0
        assert ldb % 4 == 0
    first = _at(a, dtypes[a_type], lda * m).reshape(m, lda)[:, :k]  # column-major (k, m) is row-major (m, k)
    second = _at(b, dtypes[b_type], ldb * n).reshape(n, ldb)[:, :k]
    if a_type == 14:
        first, second = ((part.astype(np.uint32) << 16).view(np.float32) for part in (first, second))
    if compute == 77:
        first, second = ((part.view(np.uint32) & 0xFFFFE000).view(np.float32) for part in (first, second))  # TF32
    wide = np.int64 if a_type == 3 else np.float64  # so that equal rows have equal products wherever they stand
    with np.errstate(over="ignore", invalid="ignore"):
        product = second.astype(wide) @ first.astype(wide).T
        product = product.astype(dtypes[c_type])
    _at(c, dtypes[c_type], ldc * n).reshape(n, ldc)[:, :m] = product
    return 0


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
        def maker(*args: Any, **kwargs: Any) -> Any:
            _arrive()
            return function(*args, **kwargs).view(Array)

        return maker

    def copied(function: Callable[..., Any]) -> Callable[..., Any]:
        """What comes from the host is another array here, which does not keep the host's."""

        def maker(one: Any, *args: Any) -> Any:
            _arrive()
            return (function if isinstance(one, Array) else np.array)(one, *args).view(Array)

        return maker

    for name in ("empty", "zeros", "ones", "full", "concatenate", "arange", "where", "sort"):
        setattr(cupy, name, ours(getattr(np, name)))
    for name in ("asarray", "ascontiguousarray"):
        setattr(cupy, name, copied(getattr(np, name)))
    cupy.ndarray = Array  # type: ignore[attr-defined]

    def asnumpy(array: Any) -> np.ndarray:
        _arrive()
        return np.array(array)

    class Module(Library):
        def get_function(self, name: str) -> Callable[..., None]:
            kernel = super().get_function(name)

            def call(*arguments: Any, **options: Any) -> None:
                _arrive()
                kernel(*arguments, **options)

            return call

    cupy.asnumpy = asnumpy  # type: ignore[attr-defined]
    cupy.RawModule = lambda code, options: Module(code, options, folder)  # type: ignore[attr-defined]

    stream = types.SimpleNamespace(synchronize=_arrive, ptr=0)

    class Stream(contextlib.nullcontext):  # type: ignore[type-arg]
        def __init__(self, non_blocking: bool) -> None:
            super().__init__(stream)

    class Pool:
        def set_limit(self, size: int) -> None:
            self.limit = size

        def free_all_blocks(self) -> None:
            self.freed = True

        def total_bytes(self) -> int:
            return 1 << 20

        def malloc(self, size: int) -> None:
            raise AssertionError("numpy allocates")

    cuda = types.ModuleType("cupy.cuda")
    runtime = types.SimpleNamespace(
        memGetInfo=lambda: (1 << 34, 1 << 34), getDeviceCount=lambda: 2, CUDARuntimeError=RuntimeError
    )
    cuda.__dict__.update(
        Device=lambda number: contextlib.nullcontext(), Stream=Stream, MemoryPool=Pool, runtime=runtime,
        using_allocator=lambda malloc: contextlib.nullcontext(), get_current_stream=lambda: stream,
        alloc_pinned_memory=bytearray, Event=Event,
    )  # fmt: skip
    device = types.ModuleType("cupy.cuda.device")
    device.get_cublas_handle = lambda: 0  # type: ignore[attr-defined]
    cuda.device = device  # type: ignore[attr-defined]
    cupy.cuda = cuda  # type: ignore[attr-defined]
    return {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.device": device}


class Graph:
    """In the place of recorded work: runs it again, with what it wrote to in the place where it was."""

    def __init__(self, work: Callable[[], tuple[np.ndarray, ...]], outputs: tuple[np.ndarray, ...]) -> None:
        self._work, self._outputs = work, outputs
        self.launches = 0

    def launch(self, stream: object) -> None:
        self.launches += 1
        for output, new in zip(self._outputs, self._work(), strict=True):
            output[...] = new


def record(work: Callable[[], tuple[np.ndarray, ...]]) -> tuple[tuple[np.ndarray, ...], Graph]:
    outputs = work()
    graph = Graph(work, outputs)
    for output in outputs:
        output.view(np.uint8).fill(0xA5)  # recording computes nothing
    return outputs, graph
