"""`vecstore serve --readers N` beside `vecstore serve`: the same data, the same clients, window by window in turn.

    python -m bench readers [--readers 2] [--clients 16] [--rows 100000] [--rounds 7]

Both servers run at the same time, each on a copy of the database; one of them works at a time. Clients are connections
of one process (`--client-processes` for more), each of which sends its next query when it has the answer to its last
one. They are made anew for each window, because which reader one goes to is up to a hash. Printed: requests/s,
latencies and the server's processor time for a call (medians of the rounds); how many of a client's writes its own next
read has seen; and the memory of each process, where PSS counts a page that is shared by n processes as 1/n.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil

import vecstore
from bench.results import append, surroundings
from vecstore.cli.serve import READY
from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import OperationState, PointBatch, QueryRequest, UpsertRequest, VectorBatch
from vecstore.wire.reads import query_to_pb

DIM = 384
BATCH = 5_000
QUERIES = 500
QUERY = "/vecstore.v1.Points/Query"
OWN_WRITES = 1_000


@dataclass(slots=True)
class Server:
    process: subprocess.Popen[str]
    address: str

    def all_processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.all_processes())


def near(centres: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors around the centres: rows and queries are alike, since a server learns to look harder for unlike ones."""
    noise = rng.standard_normal((count, DIM), dtype=np.float32)
    return np.asarray(centres[rng.integers(0, len(centres), count)] + noise)


def build(folder: Path, rows: int, centres: np.ndarray, rng: np.random.Generator) -> None:
    """A database of one sealed segment: clustered vectors, a small payload."""
    with Database.open(folder, Settings(storage=Storage(seal_rows=10 * rows, maintenance=False))) as database:
        field = VectorField(VectorKind.DENSE, DIM, Metric.COSINE)
        database.create_collection("bench", Schema({"v": field}))
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            vectors = near(centres, count, rng)
            payloads: list[bytes | None] = [b'{"n": %d}' % n for n in range(start, start + count)]
            batch = PointBatch(list(range(start, start + count)), {"v": VectorBatch(vectors)}, payloads)
            database.write(UpsertRequest("bench", batch))
        done = database.wait_operation(database.compact("bench").id)
        assert done.state is OperationState.DONE, done


def serve(folder: Path, readers: int, settings: Mapping[str, str] | None = None) -> Server:
    """`settings` by their names in the environment."""
    command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--readers", str(readers)], stdout=subprocess.PIPE, text=True, env={**os.environ, **(settings or {})}
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(READY), line
    return Server(process, line.rsplit("grpc://")[-1].strip())


def drive(requests: list[bytes], connections: int) -> None:
    """Answers lines `ADDRESS SECONDS` with a line of JSON: how many calls, and their latencies in ms."""
    import uvloop

    async def run() -> None:
        for line in iter(sys.stdin.readline, ""):
            address, seconds = line.split()
            options = [("grpc.use_local_subchannel_pool", 1)]
            channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(connections)]
            calls = [channel.unary_unary(QUERY) for channel in channels]
            await asyncio.gather(*(call(requests[0]) for call in calls))
            latencies: list[float] = []
            stop = time.perf_counter() + float(seconds)

            async def caller(call: Any, place: int) -> None:
                while (start := time.perf_counter()) < stop:  # noqa: B023
                    await call(requests[place % len(requests)])
                    latencies.append(1e3 * (time.perf_counter() - start))  # noqa: B023
                    place += 1

            await asyncio.gather(*(caller(call, 31 * n) for n, call in enumerate(calls)))
            await asyncio.gather(*(channel.close() for channel in channels))
            print(json.dumps([round(latency, 4) for latency in latencies]), flush=True)

    uvloop.run(run())


class Load:
    """The client processes."""

    def __init__(self, requests: list[bytes], clients: int, processes: int) -> None:
        command = [sys.executable, "-m", "bench.readers", "--drive", str(clients // processes)]
        self._children = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        self._say(json.dumps([request.hex() for request in requests]))

    def run(self, address: str, seconds: float) -> np.ndarray:
        """Latencies in ms."""
        self._say(f"{address} {seconds}")
        found: list[float] = []
        for child in self._children:
            assert child.stdout is not None
            found += json.loads(child.stdout.readline())
        return np.array(found)

    def _say(self, line: str) -> None:
        for child in self._children:
            assert child.stdin is not None
            child.stdin.write(line + "\n")
            child.stdin.flush()

    def close(self) -> None:
        for child in self._children:
            assert child.stdin is not None
            child.stdin.close()
            child.wait(30)


def own_writes(address: str, rng: np.random.Generator) -> dict[str, Any]:
    """A client writes a point and at once looks for it, again and again, while others query."""
    seen = 0
    waits = []
    with vecstore.connect(f"grpc://{address}") as client:
        collection = client.collection("bench")
        for number in range(OWN_WRITES):
            vector = rng.standard_normal((1, DIM), dtype=np.float32)
            point = 1_000_000_000 + number
            collection.upsert([point], vector)
            began = time.perf_counter()
            seen += collection.query(vector[0], k=1, with_payload=False)[0].id == point
            waits.append(1e3 * (time.perf_counter() - began))
        collection.delete(list(range(1_000_000_000, 1_000_000_000 + OWN_WRITES)))
    return {"tries": OWN_WRITES, "seen": seen, "read_p50_ms": float(np.median(waits)), "read_max_ms": max(waits)}


def memory(server: Server) -> list[dict[str, Any]]:
    """MiB of each process; `cache` is what of the database's cache files is mapped in it."""
    found = []
    for process in server.all_processes():
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        line = {key: kib(rollup, key) / 1024 for key in ("Rss", "Pss", "Private_Dirty", "Private_Clean")}
        mapped = [m for m in process.memory_maps(grouped=False) if "/cache/" in m.path]
        line["cache_rss"] = sum(m.rss for m in mapped) / 2**20
        line["cache_pss"] = sum(m.pss for m in mapped) / 2**20
        found.append({"pid": process.pid, **{key: round(value, 1) for key, value in line.items()}})
    return found


def kib(rollup: str, key: str) -> float:
    return float(next(line for line in rollup.splitlines() if line.startswith(f"{key}:")).split()[1])


def compare(options: argparse.Namespace) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory(prefix="vecstore-readers-") as name:
        folder = Path(name)
        centres = rng.standard_normal((256, DIM), dtype=np.float32)
        build(folder / "one", options.rows, centres, rng)
        shutil.copytree(folder / "one", folder / "many")
        vectors = near(centres, QUERIES, rng)
        requests = [query_to_pb(QueryRequest("bench", vector)).SerializeToString() for vector in vectors]
        servers = {"one process": serve(folder / "one", 0), f"{options.readers} readers": serve(
            folder / "many", options.readers
        )}  # fmt: skip
        load = Load(requests, options.clients, options.client_processes)
        rows: dict[str, list[dict[str, float]]] = {case: [] for case in servers}
        for number in range(-1, options.rounds):  # the first one warms up
            turns = list(servers.items())
            for case, server in turns if number % 2 else reversed(turns):
                before = server.cpu_s()
                latencies = load.run(server.address, options.seconds)
                p50, p99 = np.percentile(latencies, [50, 99])
                cpu_us = 1e6 * (server.cpu_s() - before) / len(latencies)
                line = {"qps": len(latencies) / options.seconds, "p50_ms": p50, "p99_ms": p99, "server_cpu_us": cpu_us}
                if number >= 0:
                    rows[case].append(line)
        result: dict[str, Any] = {"bench": "readers", "settings": settings_of(options), "cases": {}}
        for case, server in servers.items():
            middle = {key: statistics.median(row[key] for row in rows[case]) for key in rows[case][0]}
            result["cases"][case] = {**middle, "rounds": rows[case], "memory": memory(server)}
        for case, server in servers.items():
            result["cases"][case]["own_writes"] = own_writes(server.address, rng)
        load.close()
        for server in servers.values():
            server.process.terminate()
            assert server.process.wait(60) == 0
    return result


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    return {key: value for key, value in vars(options).items() if isinstance(value, int | float | str)}


def report(result: dict[str, Any]) -> None:
    print(f"{'':12} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'server CPU us/call':>19}")
    for case, row in result["cases"].items():
        latency = f"{row['p50_ms']:8.3f} {row['p99_ms']:8.3f}"
        print(f"{case:12} {row['qps']:11.0f} {latency} {row['server_cpu_us']:19.0f}")
    one, many = (case["rounds"] for case in result["cases"].values())
    rate = statistics.median(b["qps"] / a["qps"] for a, b in zip(one, many, strict=True))
    tail = statistics.median(b["p99_ms"] / a["p99_ms"] for a, b in zip(one, many, strict=True))
    print(f"\nreaders to one process, medians of the rounds: requests/s x {rate:.2f}, p99 x {tail:.2f}")
    for case, row in result["cases"].items():
        own = row["own_writes"]
        print(f"\n{case}: {own['seen']} of {own['tries']} own writes seen by the next read", end=" ")
        print(f"(p50 {own['read_p50_ms']:.2f} ms, max {own['read_max_ms']:.1f} ms); MiB of each process:")
        for process in row["memory"]:
            print("  " + "  ".join(f"{key} {value}" for key, value in process.items()))


def main(options: argparse.Namespace) -> None:
    result = compare(options)
    report(result)
    if options.out:
        append(options.out, [result | surroundings()])


if __name__ == "__main__":
    assert sys.argv[1] == "--drive"
    drive([bytes.fromhex(request) for request in json.loads(sys.stdin.readline())], int(sys.argv[2]))
