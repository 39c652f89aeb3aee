"""`python -m bench seal`: what searches feel while a segment is built, ingested and put in place of the growing one.

One caller searches without pause in process, one thread a query. Idle is the same search on the same rows just before
the sealing starts; the worker process that builds the segment has the other cores."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from bench import metrics, results
from vecstore.config import Search, Settings, Storage

COLUMNS = ["rows", "mib", "seal_s", "idle_p50_ms", "idle_p99_ms", "during_p50_ms", "during_p99_ms", "p99_ratio"]
BATCH = 2_000
IDLE_S = 3.0


def searches(search: Callable[[], object], until: Callable[[], bool]) -> np.ndarray:
    took = []
    while not until():
        sent = time.perf_counter()
        search()
        took.append(time.perf_counter() - sent)
    return np.array(took)


def round_of(rows: int, dim: int, folder: Path) -> dict[str, Any]:
    settings = Settings(storage=Storage(maintenance=False), search=Search(threads=1))
    with vecstore.connect(folder, settings=settings, timeout_s=600) as client:
        collection = client.create_collection("bench", vecstore.Dense(dim, index="flat"))
        rng = np.random.default_rng(3)
        for low in range(0, rows, BATCH):
            count = min(BATCH, rows - low)
            collection.upsert(np.arange(low, low + count), rng.normal(size=(count, dim)).astype(np.float32))
        vector = rng.normal(size=dim).astype(np.float32)

        def search() -> object:
            return collection.query(vector, 10, with_payload=False)

        end = time.perf_counter() + IDLE_S
        idle = searches(search, lambda: time.perf_counter() > end)
        began = time.perf_counter()
        operation = collection.compact(wait=False)
        during = searches(search, lambda: client.operation(operation.id).finished_at is not None)
        took = time.perf_counter() - began
        done = client.operation(operation.id)
        if done.error:
            raise RuntimeError(f"sealing failed: {done.error}")
    before, then = metrics.latency(idle), metrics.latency(during)
    return {
        "seal_s": round(took, 2),
        **{f"idle_{name}": value for name, value in before.items()},
        **{f"during_{name}": value for name, value in then.items()},
        "p99_ratio": round(then["p99_ms"] / before["p99_ms"], 2),
        "searches_during": len(during),
    }


def seal(mib: int, dim: int, rounds: int, folder: str | None, out: str) -> list[dict[str, Any]]:
    around = results.surroundings()
    rows = mib * 2**20 // (dim * 4)
    records = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
            records.append({"rows": rows, "mib": mib, "dim": dim, **round_of(rows, dim, Path(own) / "data")})
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    print(f"median ratio of the 99th percentiles: {np.median([record['p99_ratio'] for record in records]):.2f}")
    return records
