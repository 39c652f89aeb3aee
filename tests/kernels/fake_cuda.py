"""CUDA sources compiled for a processor: blocks run one after another, the threads of a block take turns.

A thread is a fiber that runs until it waits for others (__syncthreads, a shuffle) or ends, so that what threads share
is tested too. Kernels without a wait run as a loop. In which order blocks and threads come is `Library.turns`'s to say;
shuffled, a thread also gives way at each atomic. Races between two waits are looked for by race_cuda.py.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import race_cuda

PRELUDE = r"""
#include <algorithm>
#include <cmath>
#include <cstring>
#include <cstdlib>
#include <csetjmp>
#include <random>
#include <ucontext.h>
#include <utility>
#include <vector>
#define __global__ static
#define __device__ static
#define __shared__ static
struct Place { int x, y, z; };
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct int4 { int x, y, z, w; };
struct float4 { float x, y, z, w; };
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
// PLACE
static float dynamic_shared[1 << 15];
static int __clzll(unsigned long long value) { return value ? __builtin_clzll(value) : 64; }
static double widened(float value) { return value; }
static float rounded(double value) { return (float)value; }
static int __popc(unsigned word) { return __builtin_popcount(word); }
static unsigned __float_as_uint(float value) { unsigned out; memcpy(&out, &value, 4); return out; }
static float __uint_as_float(unsigned value) { float out; memcpy(&out, &value, 4); return out; }
static float __fadd_rn(float a, float b) { volatile float c = a + b; return c; }
static float __fsub_rn(float a, float b) { volatile float c = a - b; return c; }
static float __fmul_rn(float a, float b) { volatile float c = a * b; return c; }
static float half_number(unsigned short bits) { _Float16 half; memcpy(&half, &bits, 2); return (float)half; }
static unsigned short half_bits(float value) {
  _Float16 half = (_Float16)value;
  unsigned short out;
  memcpy(&out, &half, 2);
  return out;
}
"""
PLACE = "static Place blockIdx, blockDim, gridDim, threadIdx;\n"
THREADS = r"""
static void give_way();
template <class T> static T atomicAdd(T* at, T add) {
  give_way();
  const T before = *at;
  *at += add;
  return before;
}

static jmp_buf scheduler;  // switches without the system calls of swapcontext
struct Fiber { jmp_buf state; char stack[1 << 15]; };
static std::vector<Fiber*> fibers;
static std::vector<char> ended;
static std::vector<unsigned long long> exchanged[2];  // of neighbouring shuffles, so that one wait does for both
static std::vector<int> shuffles, lanes_arrived, lanes_live, lanes_generation, sequence;
static int arrived, generation, live, at_turn, turns;  // turns: 0 ascending, 1 descending, else shuffled by that seed
static bool switching;
static void yield() {  // to the next thread that has not ended, or with the last of a block to the scheduler
  if (_setjmp(fibers[threadIdx.x]->state)) return;
  if (!live) _longjmp(scheduler, 1);
  do {
    at_turn = at_turn + 1 < (int)sequence.size() ? at_turn + 1 : 0;
    threadIdx.x = sequence[at_turn];
  } while (ended[threadIdx.x]);
  _longjmp(fibers[threadIdx.x]->state, 1);
}
static void give_way() {
  if (switching && turns > 1) yield();
}
static void __syncthreads() {
  const int own = generation;
  if (++arrived == live) { arrived = 0; ++generation; }
  while (own == generation) yield();
}
template <class T> static T __shfl_xor_sync(unsigned, T value, int mask) {
  const int t = threadIdx.x, warp = t / 32, own = lanes_generation[warp];
  std::vector<unsigned long long>& place = exchanged[shuffles[t]++ & 1];
  memcpy(&place[t], &value, sizeof value);
  if (++lanes_arrived[warp] == lanes_live[warp]) { lanes_arrived[warp] = 0; ++lanes_generation[warp]; }
  while (own == lanes_generation[warp]) yield();
  T other;
  memcpy(&other, &place[t ^ mask], sizeof other);
  return other;
}
"""
INVOKE = r"""
static void* arguments_now;
template <class... A, size_t... I> static void invoke(void (*kernel)(A...), void** from, std::index_sequence<I...>) {
  kernel(*(A*)from[I]...);
}
template <class... A> static void invoke(void (*kernel)(A...), void** from) {
  invoke(kernel, from, std::index_sequence_for<A...>());
}
static void (*body)(void**);
"""
RUN = r"""
static void fiber() {  // one block after another, for as long as the process lives
  if (!_setjmp(fibers[threadIdx.x]->state)) _longjmp(scheduler, 1);
  for (;;) {
    body((void**)arguments_now);
    const int warp = threadIdx.x / 32;
    ended[threadIdx.x] = 1;
    --live;
    if (live && arrived == live) { arrived = 0; ++generation; }
    if (--lanes_live[warp] && lanes_arrived[warp] == lanes_live[warp]) {
      lanes_arrived[warp] = 0;
      ++lanes_generation[warp];
    }
    yield();
  }
}
static void resume(int t) {
  threadIdx = {t, 0, 0};
  if (!_setjmp(scheduler)) _longjmp(fibers[t]->state, 1);
}
static void begin() {
  Fiber* own = new Fiber;
  threadIdx = {(int)fibers.size(), 0, 0};
  fibers.push_back(own);
  if (_setjmp(scheduler)) return;
  ucontext_t start;
  getcontext(&start);
  start.uc_stack.ss_sp = own->stack;
  start.uc_stack.ss_size = sizeof own->stack;
  makecontext(&start, fiber, 0);
  setcontext(&start);
}
static void run(int gx, int gy, int bx, bool waits, void** from, void (*kernel)(void**)) {
  gridDim = {gx, gy, 1}; blockDim = {bx, 1, 1}; arguments_now = from; body = kernel;
  ended.resize(bx); shuffles.assign(bx, 0); sequence.resize(bx);
  for (auto& place : exchanged) place.resize(bx + 64);
  for (int t = 0; t < bx; ++t) sequence[t] = turns == 1 ? bx - 1 - t : t;
  std::minstd_rand random(turns);
  while (waits && (int)fibers.size() < bx) begin();
  for (int i = 0; i < gx * gy; ++i) {
    const int block = turns ? gx * gy - 1 - i : i;
    blockIdx = {block % gx, block / gx, 0};
    if (turns > 1) std::shuffle(sequence.begin(), sequence.end(), random);
    if (!waits) {
      for (int t : sequence) { threadIdx = {t, 0, 0}; kernel(from); }
      continue;
    }
    arrived = 0; live = bx; switching = true;
    std::fill(ended.begin(), ended.end(), 0);
    lanes_arrived.assign((bx + 31) / 32, 0); lanes_generation.assign((bx + 31) / 32, 0);
    lanes_live.assign((bx + 31) / 32, 32);
    at_turn = 0;
    resume(sequence[0]);
    switching = false;
  }
}
extern "C" void take_turns(int how) { turns = how; }
"""
FLAGS = ["-O2"]
WAITS = re.compile(r"__syncthreads|__shfl")


class Library:
    def __init__(self, code: str, options: tuple[str, ...], folder: Path) -> None:
        code = re.sub(r'extern "C" __global__', "static", code)
        names = re.findall(r"^static void (\w+)\(", code, flags=re.M) + re.findall(r"^TAKE\((\w+),", code, flags=re.M)
        waits = {name: bool(WAITS.search(_body(code, name))) for name in names}
        entries = "\n".join(
            f'extern "C" void run_{name}(int gx, int gy, int bx, void** from) {{\n'
            f"  run(gx, gy, bx, {int(waits[name])}, from, [](void** given) {{ invoke({name}, given); }});\n}}"
            for name in names
        )
        source, library = folder / "kernels.cpp", folder / "kernels.so"
        how: Any = race_cuda if "libtsan" in os.environ.get("LD_PRELOAD", "") else sys.modules[__name__]
        prelude = PRELUDE.replace("// PLACE\n", how.PLACE) + how.THREADS
        source.write_text(prelude + code + INVOKE + how.RUN + entries)
        if not library.exists():
            flags = [*how.FLAGS, "-w", "-ffp-contract=off", "-shared", "-fPIC"]
            subprocess.run(["g++", *options, *flags, source, "-o", library], check=True)
        self._library = ctypes.CDLL(str(library))

    def turns(self, how: int) -> None:
        """0: threads in ascending order; 1: they and blocks in descending order; else shuffled by that seed."""
        self._library.take_turns(how)

    def get_function(self, name: str) -> Callable[..., None]:
        run = getattr(self._library, f"run_{name}")

        def call(
            grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...], shared_mem: int = 0
        ) -> None:
            assert shared_mem <= 48 << 10
            values = [_value(argument) for argument in arguments]
            from_ = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
            run(grid[0], grid[1] if len(grid) > 1 else 1, block[0], from_)

        return call


def _body(code: str, name: str) -> str:
    """The kernel's own text; of what a macro makes, all."""
    at = code.find(f"static void {name}(")
    if at < 0:
        return code
    end = code.find("\n}", at)
    return code[at:end]


def _value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        assert type(value) is not np.ndarray, "an array of the host"
        return ctypes.c_void_p(value.ctypes.data)
    kinds: dict[type, Any] = {
        np.int32: ctypes.c_int, np.uint32: ctypes.c_uint, np.int64: ctypes.c_longlong, np.uint64: ctypes.c_ulonglong,
        np.float64: ctypes.c_double,
    }  # fmt: skip
    return kinds[type(value)](value.item())
