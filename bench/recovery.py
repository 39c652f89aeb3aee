"""`python -m bench recovery`: kill -9 a server, start it again, and time its first answer.

Time runs from starting the process to the first correct answer to a query, so it holds Python's start, opening the
store, mapping segments, and replaying the log. The page cache is warm: what is timed is the work, not the disk."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from bench import results
from bench.ingest import INDEXES, payload
from bench.systems.server import Server
from vecstore.config import Settings, Storage

COLUMNS = ["what", "rows", "dim", "first_answer_s", "slowest_s", "replay_mib_s", "rounds"]
BATCH = 2_000
COLLECTION = "bench"


def rows_of(number: int, count: int, dim: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(count, dim)).astype(np.float32)


def fill_and_crash(data: Path, rows: int, dim: int, sealed: bool) -> None:
    """Write the rows through a server (its maintenance off when they are to stay in the log) and kill it."""
    server = Server(data, STORAGE_MAINTENANCE=str(sealed).lower())
    try:
        server.wait_ready()
        with vecstore.connect(server.url, timeout_s=600) as client:
            collection = client.create_collection(COLLECTION, vecstore.Dense(dim, index="flat"), indexes=INDEXES)
            for number, low in enumerate(range(0, rows, BATCH)):
                count = min(BATCH, rows - low)
                payloads = [payload(row) for row in range(low, low + count)]
                collection.upsert(np.arange(low, low + count), rows_of(number, count, dim), payloads)
            if sealed:
                collection.compact(timeout_s=7_200)
    finally:
        server.kill()


def first_answer_s(data: Path, dim: int, sealed: bool) -> float:
    """Start a server on `data`, time the first answer (the query's own row must come first), and kill it."""
    vector = rows_of(0, 1, dim)[0]
    server = Server(data, STORAGE_MAINTENANCE=str(sealed).lower())
    try:
        server.wait_ready(timeout_s=300)
        with vecstore.connect(server.url) as client:
            hits = client.get_collection(COLLECTION).query(vector, 1)
            took = time.perf_counter() - server.started
        if hits[0].id != 0:
            raise RuntimeError(f"the wrong point came first after the restart: {hits[0]}")
        return took
    finally:
        server.kill()


def replay_mib_s(data: Path, log_bytes: int) -> float:
    """Rate of opening the store in process when all its rows are in the log."""
    began = time.perf_counter()
    with vecstore.connect(data, settings=Settings(storage=Storage(maintenance=False))) as client:
        client.get_collection(COLLECTION).count()
        took = time.perf_counter() - began
    return round(log_bytes / 2**20 / took, 1)


def measure(what: str, rows: int, dim: int, rounds: int, folder: Path) -> dict[str, Any]:
    crashed, data = folder / f"{what}-crashed", folder / what
    sealed = what == "sealed"
    fill_and_crash(crashed, rows, dim, sealed)
    took = []
    for _ in range(rounds):  # each from the state that the crash left: a start writes what it recovered
        shutil.copytree(crashed, data)
        took.append(first_answer_s(data, dim, sealed))
        shutil.rmtree(data)
    record: dict[str, Any] = {
        "what": what,
        "rows": rows,
        "dim": dim,
        "rounds": rounds,
        "first_answer_s": round(float(np.median(took)), 3),
        "slowest_s": round(max(took), 3),
    }
    if not sealed:
        some = range(min(rows, 1_000))
        payload_bytes = sum(len(str(payload(row))) for row in some) * rows // len(some)
        record["replay_mib_s"] = replay_mib_s(crashed, rows * dim * 4 + payload_bytes)
    shutil.rmtree(crashed)
    return record


def recovery(growing: int, sealed: int, dim: int, rounds: int, folder: str | None, out: str) -> list[dict[str, Any]]:
    around = results.surroundings()
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
        records = [
            measure(what, rows, dim, rounds, Path(own))
            for what, rows in (("growing", growing), ("sealed", sealed))
            if rows
        ]
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    return records
