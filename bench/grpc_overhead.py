"""What gRPC costs: Points.Query beside an empty handler of the same server process and the in-process call.

    python -m bench.grpc_overhead [--rows 100000] [--index flat] [--clients 16] [--rounds 5]

Three processes: this one calls the engine directly; a server holds the same points and an empty gRPC handler; a client
sends requests that were serialised beforehand, over one connection for each of its callers. `paced` is the in-process
call, and `idle` the empty one, after a pause as long as the other takes, because a processor that has just idled is
slower. Each round measures every case once, so that a busy machine disturbs all of them alike; the table shows the
median of the rounds. Without --rows the points are the 4,000 of the sample, with their payloads; with it, random
vectors with a small payload: searched exactly (`--index flat`), or clustered, sealed, and with the index that the
engine chooses (`auto`), as a user gets who sets none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil

from bench import readers
from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.index_spec import Flat
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import PointBatch, QueryRequest, UpsertRequest, VectorBatch
from vecstore.wire.reads import query_to_pb

SAMPLE = Path(__file__).resolve().parent.parent / "vecstore" / "data"
EMPTY = "/bench.Empty/Call"
QUERY = "/vecstore.v1.Points/Query"
QUERIES = 200
PAUSE_S = 0.0005  # about what an empty call takes
BATCH = 5_000


def load(rows: int | None) -> tuple[Database, np.ndarray]:
    """A database in memory that holds the points, and the queries."""
    import pyarrow.parquet as pq

    if rows is None:
        table = pq.read_table(SAMPLE / "wordnet-4k.parquet")
        ids: list[Any] = table["id"].to_pylist()
        vectors = dense(table)
        columns = table.select(["lemma", "pos", "text", "topic", "sense_count", "frequency"]).to_pylist()
        payloads: list[bytes | None] = [json.dumps(row).encode() for row in columns]
        queries = dense(pq.read_table(SAMPLE / "wordnet-4k-queries.parquet"))[:QUERIES]
    else:
        rng = np.random.default_rng(7)
        vectors = rng.standard_normal((rows, 384), dtype=np.float32)
        ids, payloads = list(range(rows)), [b'{"n": %d, "kind": "k%d"}' % (n, n % 7) for n in range(rows)]
        queries = rng.standard_normal((QUERIES, 384), dtype=np.float32)
    database = Database.open(None, Settings(server=Server(port=0)))
    field = VectorField(VectorKind.DENSE, 384, Metric.COSINE, index=Flat())
    database.create_collection("bench", Schema({"text": field}))
    for start in range(0, len(ids), BATCH):
        part = slice(start, start + BATCH)
        batch = PointBatch(ids[part], {"text": VectorBatch(vectors[part])}, payloads[part])
        database.write(UpsertRequest("bench", batch))
    return database, queries


def load_indexed(rows: int, folder: Path) -> tuple[Database, np.ndarray]:
    """A database in `folder`/ours, its like in `folder`/served, and queries like its rows."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((256, readers.DIM), dtype=np.float32)
    readers.build(folder / "ours", rows, centres, rng)
    shutil.copytree(folder / "ours", folder / "served")
    return Database.open(folder / "ours", Settings(server=Server(port=0))), readers.near(centres, QUERIES, rng)


def dense(table: Any) -> np.ndarray:
    return table["dense"].combine_chunks().flatten().to_numpy().reshape(-1, 384).astype(np.float32)


def serve(rows: int | None, folder: str | None = None) -> None:
    """Made-up points, or a database that `folder` holds; prints the ports, and stops when its input closes."""
    import uvloop

    from vecstore.access import Access
    from vecstore.server.app import GrpcServer

    async def run() -> None:
        settings = Settings(server=Server(port=0))
        database = load(rows)[0] if folder is None else Database.open(Path(folder), settings)
        server = GrpcServer(database, database.settings, Access())
        await server.start()

        async def empty(_request: bytes, _context: object) -> bytes:
            return b""

        plain = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers = {"Call": grpc.unary_unary_rpc_method_handler(empty)}
        plain.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Empty", handlers),))
        empty_port = plain.add_insecure_port("127.0.0.1:0")
        await plain.start()
        print(json.dumps({"query": server.port, "empty": empty_port}), flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the parent closes it
        await plain.stop(None)
        await server.stop()
        database.close()

    uvloop.run(run())


def drive(ports: dict[str, int], requests: list[bytes], callers: int) -> None:
    """Answers lines `CASE CALLERS SECONDS PAUSE` with a line of JSON."""
    import uvloop

    async def measure(calls: list[Any], seconds: float, pause_s: float) -> dict[str, float]:
        latencies: list[float] = []
        stop = time.perf_counter() + seconds

        async def caller(call: Any, place: int) -> None:
            while (start := time.perf_counter()) < stop:
                await call(requests[place % len(requests)])
                latencies.append(time.perf_counter() - start)
                place += 1
                if pause_s:
                    await asyncio.sleep(pause_s)

        await asyncio.gather(*(caller(call, 13 * n) for n, call in enumerate(calls)))
        p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
        return {"qps": len(latencies) / seconds, "p50_ms": p50, "p99_ms": p99}

    async def run() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        calls = {
            case: [
                grpc.aio.insecure_channel(f"127.0.0.1:{ports[case]}", options=options).unary_unary(method)
                for _ in range(callers)
            ]
            for case, method in (("empty", EMPTY), ("query", QUERY))
        }
        for line in iter(sys.stdin.readline, ""):
            case, count, seconds, pause_s = line.split()
            result = await measure(calls[case][: int(count)], float(seconds), float(pause_s))
            print(json.dumps(result), flush=True)

    uvloop.run(run())


def in_process(database: Database, queries: np.ndarray, seconds: float, pause_s: float = 0.0) -> dict[str, float]:
    requests = [QueryRequest("bench", vector) for vector in queries]
    latencies = []
    stop = time.perf_counter() + seconds
    place = 0
    while (start := time.perf_counter()) < stop:
        database.query(requests[place % len(requests)])
        latencies.append(time.perf_counter() - start)
        place += 1
        if pause_s:
            time.sleep(pause_s)
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    return {"qps": len(latencies) / seconds, "p50_ms": p50, "p99_ms": p99, "server_cpu_us": 0.0}


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used: steadier than the clock on a busy machine."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def child(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.grpc_overhead", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(
    client: subprocess.Popen[str], server: int, case: str, callers: int, seconds: float, pause_s: float = 0.0
) -> dict[str, float]:
    """One measurement by a `--drive` process, with the server's CPU time."""
    assert client.stdin is not None
    assert client.stdout is not None
    before = cpu_seconds(server)
    client.stdin.write(f"{case} {callers} {seconds} {pause_s}\n")
    client.stdin.flush()
    result: dict[str, float] = json.loads(client.stdout.readline())
    result["server_cpu_us"] = 1e6 * (cpu_seconds(server) - before) / max(1.0, result["qps"] * seconds)
    return result


def compare(options: argparse.Namespace, folder: Path) -> None:
    size = [] if options.rows is None else ["--rows", str(options.rows)]
    if options.index == "flat":
        database, queries = load(options.rows)
    else:
        database, queries = load_indexed(options.rows or 100_000, folder)
        size = ["--folder", str(folder / "served")]
    requests = [query_to_pb(QueryRequest("bench", vector)).SerializeToString().hex() for vector in queries]
    server = child("--serve", *size)
    assert server.stdout is not None
    assert server.stdin is not None
    ports = server.stdout.readline()
    client = child("--drive", "--clients", str(options.clients))
    assert client.stdout is not None
    assert client.stdin is not None
    client.stdin.write(ports + json.dumps(requests) + "\n")
    seen: dict[tuple[str, int], list[dict[str, float]]] = {}
    counts = sorted({1, options.clients})
    cases = [("inproc", 1), ("paced", 1), ("idle", 1)]
    cases += [(case, count) for count in counts for case in ("empty", "query")]
    for number in range(-1, options.rounds):  # the first one warms up
        pause_s = PAUSE_S
        for case, count in cases:
            if case in ("inproc", "paced"):
                result = in_process(database, queries, options.seconds, PAUSE_S if case == "paced" else 0.0)
                pause_s = result["p50_ms"] / 1e3
            else:
                name, pause = ("empty", pause_s) if case == "idle" else (case, 0.0)
                result = ask(client, server.pid, name, count, options.seconds, pause)
            if number >= 0:
                seen.setdefault((case, count), []).append(result)
                line = {"bench": "grpc_overhead", "round": number, "case": case, "clients": count, **result}
                print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in line.items()}))
    for process in (client, server):
        process.stdin.close()  # type: ignore[union-attr]
        process.wait(30)
    database.close()
    report(seen, options.clients)


def report(seen: dict[tuple[str, int], list[dict[str, float]]], clients: int) -> None:
    middle = {
        case: {key: statistics.median(result[key] for result in results) for key in results[0]}
        for case, results in seen.items()
    }
    print(f"\n{'case':8} {'clients':>7} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'server CPU us/call':>19}")
    for (case, count), row in middle.items():
        latency = f"{row['p50_ms']:8.3f} {row['p99_ms']:8.3f}"
        print(f"{case:8} {count:7} {row['qps']:11.0f} {latency} {row['server_cpu_us']:19.0f}")
    paced = zip(seen["query", 1], seen["paced", 1], seen["idle", 1], strict=True)
    over = [(query["p50_ms"] - call["p50_ms"], idle["p50_ms"]) for query, call, idle in paced]
    overhead, idle = (statistics.median(values) for values in zip(*over, strict=True))
    shares = [q["qps"] / e["qps"] for q, e in zip(seen["query", clients], seen["empty", clients], strict=True)]
    print(f"\none client: {overhead:.3f} ms more than in process, at the median; an empty call takes {idle:.3f} ms")
    print(f"{clients} clients: {100 * statistics.median(shares):.0f} % of the empty handler's rate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="random points instead of the sample")
    parser.add_argument("--index", choices=["flat", "auto"], default="flat", help="auto: with 100,000 rows or --rows")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)  # of the database to serve
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.rows, options.folder)
    elif options.drive:
        ports, requests = json.loads(sys.stdin.readline()), json.loads(sys.stdin.readline())
        drive(ports, [bytes.fromhex(request) for request in requests], options.clients)
    else:
        with tempfile.TemporaryDirectory(prefix="vecstore-bench-") as folder:
            compare(options, Path(folder))


if __name__ == "__main__":
    main()
