"""`python -m bench ingest`: durable upserts over gRPC.

Batches with payloads by some writers at once, then single points by the most writers. Every acknowledgement follows an
fsync; the machine's own fsync is timed beside it, since no durable write can be faster."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import vecstore
from bench import metrics, results
from bench.load import remote_callers
from bench.systems.server import Server

if TYPE_CHECKING:
    from vecstore.client import AsyncClient

COLUMNS = ["what", "writers", "batch", "points_s", "acks_s", "p50_ms", "p95_ms", "p99_ms", "fsync_p50_ms"]
INDEXES = {"group": "keyword", "year": "integer"}


def payload(row: int) -> dict[str, Any]:
    return {"title": f"a title of ordinary length, number {row}", "group": f"g{row % 50}", "year": 1990 + row % 35}


def fsync_seconds(folder: Path, count: int = 100) -> np.ndarray:
    """Seconds of appending 4 KiB to a file and waiting for the disk."""
    took = np.empty(count)
    with (folder / "fsync-probe").open("wb", buffering=0) as file:
        for place in range(count):
            began = time.perf_counter()
            file.write(bytes(4_096))
            os.fdatasync(file.fileno())
            took[place] = time.perf_counter() - began
    return took


async def batches(url: str, collection: str, points: int, dim: int, batch: int, writers: int) -> dict[str, Any]:
    """`points` new points from `writers` concurrent callers; what is sent is made before the clock starts."""
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(batch, dim)).astype(np.float32)
    payloads = [payload(row) for row in range(batch)]
    todo = list(range(0, points, batch))[::-1]
    took: list[float] = []
    async with await vecstore.connect_async(url) as client:
        handle = await client.get_collection(collection)

        async def write() -> None:
            while todo:
                low = todo.pop()
                sent = time.perf_counter()
                await handle.upsert(np.arange(low, low + batch), rows, payloads)
                took.append(time.perf_counter() - sent)

        began = time.perf_counter()
        await asyncio.gather(*(write() for _ in range(writers)))
        window_s = time.perf_counter() - began
    return {
        "writers": writers,
        "batch": batch,
        "points_s": round(len(took) * batch / window_s),
        "acks_s": round(len(took) / window_s, 1),
        **metrics.latency(np.array(took)),
    }


@dataclass(slots=True)
class SinglePoints:
    """Each caller writes points of its own, one a call."""

    collection: str
    dim: int

    async def prepare(self, client: AsyncClient, caller: int) -> Callable[[], Awaitable[object]]:
        handle = await client.get_collection(self.collection)
        vector = np.random.default_rng(caller).normal(size=(1, self.dim)).astype(np.float32)
        following = iter(range(caller << 32, (caller + 1) << 32))

        async def call() -> object:
            row = next(following)
            return await handle.upsert([row], vector, [payload(row)])

        return call


def ingest(
    points: int, dim: int, batch: int, writers: list[int], window_s: float, folder: str | None, out: str
) -> list[dict[str, Any]]:
    around = results.surroundings()
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
        probe = {"fsync_p50_ms": metrics.latency(fsync_seconds(Path(own)))["p50_ms"]}
        with Server(Path(own) / "data") as server, vecstore.connect(server.url) as client:
            for count in writers:
                name = f"batches-{count}"
                client.create_collection(name, vecstore.Dense(dim, index="flat"), indexes=INDEXES)
                measured = asyncio.run(batches(server.url, name, points, dim, batch, count))
                records.append({"what": "batches", "dim": dim, "points": points, **measured, **probe})
                client.delete_collection(name)
            client.create_collection("single", vecstore.Dense(dim, index="flat"), indexes=INDEXES)
            rate = remote_callers(server.url, SinglePoints("single", dim), max(writers), window_s)
            measured = {"writers": max(writers), "batch": 1, "points_s": round(rate.qps), "acks_s": round(rate.qps, 1)}
            records.append({"what": "single", "dim": dim, **measured, **metrics.latency(rate.seconds), **probe})
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    return records
