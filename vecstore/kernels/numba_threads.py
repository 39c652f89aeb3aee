"""Threads of the Numba backend.

They come from an executor of our own around loops that release the GIL; Numba's own threading layers may neither be
entered by several Python threads at once nor survive a fork everywhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vecstore.kernels import numba_loops as loops
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.kernels.stop import check_stop, current_stop, helping

_BYTES_PER_THREAD = 1 << 20  # smaller jobs stay on the calling thread
_STOP_BYTES = 1 << 20  # read between two looks at whether to stop
NO_LIST = np.empty(0, np.int64)
LAST_ROW = np.iinfo(np.int64).max


def slices(n: int, bytes_each: int) -> Iterator[slice]:
    """0..n-1 in parts of about as many bytes as may be read between two looks at whether to stop."""
    step = max(64, _STOP_BYTES // max(1, bytes_each)) // 64 * 64  # loops take rows four at a time
    for first in range(0, n, step):
        check_stop()
        yield slice(first, min(n, first + step))


class NumbaThreads:
    def __init__(self) -> None:
        self._threads = 0
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_key = (0, 0)  # process id and size: a forked child needs threads of its own

    @property
    def threads(self) -> int:
        return self._threads or len(os.sched_getaffinity(0))

    def set_threads(self, threads: int) -> None:
        self._threads = threads

    def _top_k(
        self,
        part: Callable[[Int64Array, int, int, Int64Array, Float32Array], None],
        n: int,
        bytes_per_row: int,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        """Run `part` over slices of the rows, each with heaps of its own, and merge by (distance, row)."""
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        listed = NO_LIST if allowed is None else loops.list_allowed(allowed, 0, n)
        count = n if allowed is None else len(listed)
        nq, places = out_rows.shape
        k = min(places, count)
        if k == 0 or nq == 0:
            return
        workers = min(self.threads, 1 + count * bytes_per_row // _BYTES_PER_THREAD)
        bounds = [count * w // workers for w in range(workers + 1)]
        heap_rows = np.full((workers, nq, k), LAST_ROW, np.int64)
        heaps = np.full((workers, nq, k), np.inf, np.float32)

        stop = current_stop()

        def run(w: int) -> None:
            for one in slices(bounds[w + 1] - bounds[w], bytes_per_row):
                part(listed, bounds[w] + one.start, bounds[w] + one.stop, heap_rows[w], heaps[w])

        def help_with(w: int) -> None:
            with helping(stop):
                run(w)

        others = [self._executor(workers).submit(help_with, w) for w in range(1, workers)]
        run(0)
        for future in others:
            future.result()
        for q in range(nq):
            rows, distances = heap_rows[:, q].ravel(), heaps[:, q].ravel()
            best = np.lexsort((rows, distances))[:k]  # unused places sort last: their row is the largest
            out_rows[q, :k] = rows[best]
            out_distances[q, :k] = distances[best]
        out_rows[out_rows == LAST_ROW] = -1

    def _each(self, run: Callable[[int], None], nq: int) -> None:
        """Run queries 0..nq-1, each on one thread."""
        stop = current_stop()

        def help_with(q: int) -> None:
            with helping(stop):
                check_stop()
                run(q)

        if nq == 1 or self.threads == 1:
            for q in range(nq):
                check_stop()
                run(q)
        else:
            list(self._executor(self.threads).map(help_with, range(nq)))

    def _by_query(self, part: Callable[[int, int], None], nq: int, bytes_touched: int) -> None:
        """Run `part` over slices of the queries."""
        workers = max(1, min(self.threads, nq, 1 + bytes_touched // _BYTES_PER_THREAD))
        bounds = [nq * w // workers for w in range(workers + 1)]
        stop = current_stop()

        def help_with(first: int, last: int) -> None:
            with helping(stop):
                part(first, last)

        others = [self._executor(workers).submit(help_with, *bounds[w : w + 2]) for w in range(1, workers)]
        check_stop()
        part(bounds[0], bounds[1])
        for future in others:
            future.result()

    def _executor(self, workers: int) -> ThreadPoolExecutor:
        with self._lock:
            key = (os.getpid(), max(workers, self.threads))
            if self._pool is None or self._pool_key != key:
                self._pool = ThreadPoolExecutor(key[1], thread_name_prefix="vecstore-numba")
                self._pool_key = key
            return self._pool
