"""A sample of live queries, answered again exactly in the background: what recall they really got.

Calibration knows queries made of stored rows, or those that a user gave. Where live ones turn out to be unlike these,
so that they got less than was promised beyond chance, or are kept to a margin that costs more than it has to
(`index.familiar`), the field's indexes are tuned on the live ones that were kept. The first queries of a field are
checked as they come, so that this is known soon, and later a share of them.

A check costs an exact scan, so the queue is short. What does not fit is not checked, but its answer told whether it
is unfamiliar, and it is tuned on: a few hundred queries are enough, however fast they come. One thread of the lowest
priority works the queue off, and rests after each check for so long that checks take at most `shadow_cpu_share` of the
time. A check that takes longer than CHECK_S is given up.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vecstore.config import Search
from vecstore.engine.collection import Collection, View
from vecstore.engine.filtering import Filtering
from vecstore.engine.observed import LIVE_KEPT, Checked, Observed
from vecstore.engine.scan import Queries
from vecstore.engine.search import Ranked, search_view
from vecstore.errors import VecstoreError
from vecstore.index.base import SearchParams
from vecstore.index.terms import TermQueries
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.kernels.stop import Stop
from vecstore.quality import Quality
from vecstore.query.filter import Filter
from vecstore.types import QueryRequest

WAITING_MAX = 16
CHECK_S = 10.0  # the time of one check
TOLERANCE = 1e-5  # relative: scans and rescoring may differ in the last bits of a distance
EXACT = SearchParams(exact=True)
log = logging.getLogger("vecstore.shadow")
_RANDOM = random.Random()  # noqa: S311 - a sample, no secret


@dataclass(frozen=True, slots=True)
class Sampled:
    collection: str
    name: str  # of the field
    strategy: str
    est_recall: float | None
    unfamiliar: bool
    view: View
    query: Queries  # one row
    k: int
    where: Filter | None
    left_open: bool  # a query that names its own effort says nothing of targets
    distances: Float32Array  # (n,) of what was answered, unused places +inf


def _left_open(params: SearchParams) -> bool:
    return not (params.nprobe or params.oversampling or params.ef or params.block_factor)


def _copied(queries: Queries, at: int) -> Queries:
    """One query as a batch, which is the caller's own no more: it may put others into its arrays."""
    return queries[at : at + 1] if isinstance(queries, TermQueries) else queries[np.array([at])]


class Shadow:
    """Threads may share one object."""

    def __init__(self, kernels: Kernels, filtering: Filtering, settings: Search) -> None:
        """`settings.shadow_sample` is above 0."""
        self._kernels, self._filtering = kernels, filtering
        self._share, self._cpu_share = settings.shadow_sample, settings.shadow_cpu_share
        self._first = settings.shadow_first
        self._queue: queue.Queue[Sampled | None] = queue.Queue(WAITING_MAX)
        self._lock = threading.Lock()
        self._tunes = settings.shadow_tune
        self.observed = Observed()
        self._checked: dict[tuple[str, str], int] = {}  # of each field
        self._notes: deque[Checked] = deque(maxlen=LIVE_KEPT)  # of queries that there was no time to check
        self._noted: dict[tuple[str, str], int] = {}
        self.dropped = 0
        self.on_checked: Callable[[Checked], None] = lambda checked: None
        self._closing = threading.Event()
        self._stop = Stop()
        self._thread: threading.Thread | None = None  # from the first sample on

    def offer(
        self, collection: Collection, view: View, name: str, queries: Queries, request: QueryRequest, ranked: Ranked,
        k: int,
    ) -> None:  # fmt: skip
        """Perhaps take one of the queries that were answered. Exact answers need no check, and prefixes and estimated
        scores are no promise of the true nearest."""
        share = 1.0 if self._checked.get((collection.record.name, name), 0) < self._first else self._share
        if share < 1 and _RANDOM.random() >= share * len(queries):
            return
        params, quality = request.params, ranked.quality
        if quality.est_recall == 1.0 or not quality.complete or self._closing.is_set():
            return
        if params.truncate_dim or not params.rescore:
            return
        if len(self._queue.queue) >= WAITING_MAX:  # as at first, where all queries are offered: known without a lock
            self.dropped += 1
            if _left_open(params):
                self._note(collection.record.name, name, queries, request.filter, quality, share)
            return
        at = _RANDOM.randrange(len(queries))
        sampled = Sampled(
            collection.record.name, name, quality.strategy, quality.est_recall, quality.basis == "unfamiliar", view,
            _copied(queries, at), k, request.filter, _left_open(params), ranked.distances[at].copy(),
        )  # fmt: skip
        self._start()
        try:
            self._queue.put_nowait(sampled)
        except queue.Full:
            self.dropped += 1

    def _note(
        self, collection: str, name: str, queries: Queries, where: Filter | None, quality: Quality, share: float
    ) -> None:
        """For the thread to keep: without its recall."""
        if not self._tunes or where is not None or isinstance(queries, TermQueries) or not quality.basis:
            return
        key = (collection, name)
        if share == 1 and self._noted.get(key, 0) >= self._first:
            return
        with self._lock:  # or `forget`, which goes over them, meets one that is new
            self._noted[key] = self._noted.get(key, 0) + 1
        query = _copied(queries, _RANDOM.randrange(len(queries)))
        assert not isinstance(query, TermQueries)
        unfamiliar = quality.basis == "unfamiliar"
        self._notes.append(Checked(collection, name, quality.strategy, None, None, unfamiliar, query))

    def _keep_notes(self) -> None:
        while self._notes:
            note = self._notes.popleft()
            self.observed.keep(note)
            self.on_checked(note)

    def forget(self, collection: str) -> None:
        self.observed.forget(collection)
        with self._lock:
            self._noted = {key: count for key, count in self._noted.items() if key[0] != collection}
            self._checked = {key: count for key, count in self._checked.items() if key[0] != collection}

    def wait_idle(self, timeout_s: float) -> bool:
        """Whether everything that was taken is checked, for tests."""
        deadline = time.monotonic() + timeout_s
        while self._queue.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._queue.unfinished_tasks

    def close(self) -> None:
        self._closing.set()
        self._stop.cancel()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="vecstore-shadow", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # where the system knows priorities of threads
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while not self._closing.is_set():
            sampled = self._queue.get()
            if sampled is None:
                return
            began, key = time.perf_counter(), (sampled.collection, sampled.name)
            with self._lock:
                self._checked[key] = self._checked.get(key, 0) + 1  # those that are given up, too
            try:
                recall = self._recall(sampled)
                if recall is not None:
                    self._keep(sampled, recall)
            except VecstoreError:
                self.dropped += 1  # damaged or gone since: whoever asks next is told
            except Exception:  # a mistake costs this check, not all that come
                self.dropped += 1
                log.exception("checking a query of %s failed", sampled.collection)
            finally:
                self._keep_notes()
                self._queue.task_done()
            took = time.perf_counter() - began
            del sampled  # and with it the view
            self._closing.wait(took * (1 / self._cpu_share - 1))

    def _recall(self, sampled: Sampled) -> float | None:
        """Raises DeadlineExceeded and Cancelled."""
        with Stop(CHECK_S) as self._stop:
            if self._closing.is_set():
                return None
            exact = search_view(
                self._kernels, sampled.view, sampled.name, sampled.query, sampled.k, sampled.where, self._filtering,
                None, EXACT,
            ).distances[0]  # fmt: skip
        wanted = int(np.isfinite(exact).sum())
        if not wanted:
            return None
        limit = float(exact[wanted - 1])
        found = int((sampled.distances <= limit + TOLERANCE * max(1.0, abs(limit))).sum())
        return min(found, wanted) / wanted

    def _keep(self, sampled: Sampled, recall: float) -> None:
        unfamiliar = sampled.unfamiliar if sampled.where is None else None
        tunes = self._tunes and sampled.left_open
        query = sampled.query if tunes and not isinstance(sampled.query, TermQueries) else None
        checked = Checked(
            sampled.collection, sampled.name, sampled.strategy, recall, sampled.est_recall, unfamiliar, query
        )
        self.observed.keep(checked)
        self.on_checked(checked)
