"""How fast rows become codes: RaBitQ's exact search compiled by Numba, CAQ, and the encoder that vecstore ships.

`python -m bench.encode_rate` prints CPU microseconds a row on one core at 4 and 8 bits and 960 dimensions, and what
each code loses in 1 - cos^2. The exact search sweeps with a heap, whole and over the part that the authors' library
looks at.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

import numba
import numpy as np

from vecstore.kernels import encode
from vecstore.kernels.select import get_kernels
from vecstore.quantize.caq import caq_codes
from vecstore.quantize.codebooks import grid_step

DIM = 960
STARTS = {4: 0.52, 8: 0.77}  # arXiv 2409.09913's code: where to start with 3 and 7 extra bits


@numba.njit(cache=False)
def sweep(rows: np.ndarray, bits: int, start: float) -> np.ndarray:
    """Codes of the exact search: scales from `start` of the last one to the last, or all of them when `start` is 0."""
    half = 1 << (bits - 1)
    codes = np.empty(rows.shape, np.int64)
    for i in range(rows.shape[0]):
        magnitudes = np.abs(rows[i])
        last = (half - 1 + 10) / magnitudes.max()
        scale = start * last
        levels = np.minimum((scale * magnitudes).astype(np.int64), half - 1)
        product, square = 0.0, 0.0
        heap = [(0.0, 0)]
        heap.pop()
        for j in range(len(magnitudes)):
            product += (levels[j] + 0.5) * magnitudes[j]
            square += (levels[j] + 0.5) ** 2
            if levels[j] < half - 1 and magnitudes[j] > 0:
                heap.append(((levels[j] + 1) / magnitudes[j], j))
        heapq.heapify(heap)
        best, chosen = product / np.sqrt(square), scale
        while len(heap) > 0:
            point, j = heapq.heappop(heap)
            if start > 0 and point > last:
                break
            levels[j] += 1
            product += magnitudes[j]
            square += 2 * levels[j]
            if product / np.sqrt(square) > best:
                best, chosen = product / np.sqrt(square), point
            if levels[j] < half - 1:
                heapq.heappush(heap, ((levels[j] + 1) / magnitudes[j], j))
        chosen = chosen * (1 + 1e-12)
        for j in range(len(magnitudes)):
            level = min(int(chosen * magnitudes[j]), half - 1)
            codes[i, j] = half + level if rows[i, j] >= 0 else half - 1 - level
    return codes


def one_shot(rows: np.ndarray, bits: int) -> np.ndarray:
    half, ones = 1 << bits - 1, np.ones(rows.shape[1], np.float32)
    inverse = encode.grid_steps(rows, half, grid_step(bits))
    return encode.grid_codes(rows, inverse, ones, ones * np.float32(half))


def main() -> None:
    get_kernels().set_threads(1)
    rows = np.random.default_rng(0).standard_normal((4096, DIM)).astype(np.float32)
    for bits, start in STARTS.items():
        timed: list[tuple[str, Callable[[np.ndarray], np.ndarray], int]] = [
            ("exact, whole sweep", lambda part, bits=bits: sweep(part.astype(np.float64), bits, 0.0), 64),
            ("exact, pruned sweep", lambda part, bits=bits, s=start: sweep(part.astype(np.float64), bits, s), 256),
            ("CAQ, 6 rounds (numpy)", lambda part, bits=bits: caq_codes(part, bits), 4096),
            ("vecstore", lambda part, bits=bits: one_shot(part, bits), 4096),
        ]
        slowest = 0.0
        for name, encoder, n in timed:
            encoder(rows[:2])
            start_time = time.thread_time()
            codes = encoder(rows[:n])
            each = (time.thread_time() - start_time) / n * 1e6
            slowest = slowest or each
            y, x = codes - (2.0**bits - 1) / 2, rows[:n].astype(np.float64)
            loss = (1 - (x * y).sum(1) ** 2 / ((x**2).sum(1) * (y**2).sum(1))).mean()
            print(
                f"{bits} bits  {name:22} {each:9.2f} us/row  {slowest / each:7.1f}x  1 - cos^2 {loss:.3e}", flush=True
            )


if __name__ == "__main__":
    main()
