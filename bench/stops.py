"""`python -m bench stops`: how long each kind of search goes on after its time is up or its caller has gone."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import vecstore
from bench import results
from vecstore.config import Settings, Storage
from vecstore.errors import Cancelled, DeadlineExceeded
from vecstore.index_spec import IVF
from vecstore.kernels.stop import Stop

COLUMNS = ["search", "whole_ms", "expired_ms", "cancelled_ms"]
DENSE: dict[str, vecstore.VectorField | Any] = {
    "exact": vecstore.Flat(),
    "flat codes": vecstore.Flat(vecstore.RaBitQ(bits=4)),
    "ivf": IVF(64, vecstore.RaBitQ(bits=4)),
    "ivf int8": IVF(64, vecstore.Int8()),
    "graph": vecstore.Graph(),
}
BINARY: dict[str, Any] = {"exact bits": vecstore.Flat(), "hamming ivf": vecstore.HammingIVF()}
SPARSE: dict[str, Any] = {
    "exact sparse": vecstore.Flat(),
    "inverted": vecstore.Inverted(),
    "seismic": vecstore.Seismic(),
}
MULTI: dict[str, Any] = {
    "exact tokens": vecstore.Flat(),
    "plaid": vecstore.Plaid(),
    "muvera": vecstore.Muvera(repetitions=8, k_sim=4),
}
TOKENS, TERMS = 16, 40


def stops(rows: int, dim: int, batch: int, after_ms: float, rounds: int, out: str) -> list[dict[str, Any]]:
    """Of each search: how long it takes (a batch of queries), and how long after `after_ms` its caller is free."""
    rng = np.random.default_rng(1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, specs in (("vectors", DENSE), ("binary", BINARY), ("sparse", SPARSE), ("multi", MULTI)):
            data = _rows(rng, kind, rows if kind != "multi" else rows // 8, dim)
            settings = Settings(storage=Storage(in_place_rows=10**9, segment_bytes_max=1 << 40, seal_rows=10**9))
            for name, spec in specs.items():
                with vecstore.connect(f"{folder}/{name}", settings=settings) as db:
                    made = db.create_collection("c", **{kind: {"v": _field(kind, dim, spec)}})
                    made.upload(ids=range(len(data)), vectors=data, progress=False)
                    made.compact()
                    found.append({"search": name, **_measured(made, data[:batch], after_ms, rounds)})
    results.append(out, found)
    print(results.table(found, COLUMNS))
    return found


def _measured(made: vecstore.Collection, queries: Any, after_ms: float, rounds: int) -> dict[str, float]:
    def whole() -> None:
        made.query_batch(queries, 100)

    def expired() -> None:
        made.query_batch(queries, 100, timeout_s=after_ms / 1e3)

    def cancelled() -> None:
        with Stop() as stop:
            timer = threading.Timer(after_ms / 1e3, stop.cancel)
            timer.start()
            try:
                made.query_batch(queries, 100)
            finally:
                timer.cancel()

    whole()
    return {
        "whole_ms": min(_took(whole) for _ in range(rounds)),
        "expired_ms": max(_took(expired) for _ in range(rounds)) - after_ms,
        "cancelled_ms": max(_took(cancelled) for _ in range(rounds)) - after_ms,
    }


def _took(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    with contextlib.suppress(Cancelled, DeadlineExceeded):
        call()
    return 1e3 * (time.perf_counter() - started)


def _field(kind: str, dim: int, spec: Any) -> Any:
    if kind == "sparse":
        return vecstore.Sparse(index=spec)
    return {"vectors": vecstore.Dense, "binary": vecstore.Binary, "multi": vecstore.Multi}[kind](dim, index=spec)


def _rows(rng: np.random.Generator, kind: str, n: int, dim: int) -> Any:
    if kind == "vectors":
        return rng.standard_normal((n, dim), np.float32)
    if kind == "binary":
        return rng.integers(0, 256, (n, dim // 8), np.uint8)
    if kind == "multi":
        return [rng.standard_normal((TOKENS, dim), np.float32) for _ in range(n)]
    terms = np.sort(rng.integers(0, 30_000 // TERMS, (n, TERMS)) * TERMS + np.arange(TERMS), axis=1).astype(np.uint32)
    weights = rng.random((n, TERMS), np.float32)
    return [(terms[row], weights[row]) for row in range(n)]
