"""What REST costs beside gRPC: the same query of 384 dimensions through both doors of one server process.

    python -m bench.rest_overhead [--rows 100000] [--clients 16] [--rounds 5] [--seconds 2]

A server process holds the points of `bench.grpc_overhead`; this one sends requests that were encoded beforehand, over
one connection for each caller: gRPC's messages, and HTTP/1.1 with the vector as base64 and as a list of numbers.
(Answers are received, not decoded, on both doors: what decoding costs is the client's choice of library.) Each round
measures every case once, so that a busy machine disturbs all of them alike; the table shows the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import msgspec
import numpy as np

from bench.grpc_overhead import QUERY, load
from vecstore.types import QueryRequest
from vecstore.wire.reads import query_to_pb
from vecstore.wire.rest.query_requests import query_to_json

CASES = ("grpc", "rest base64", "rest list")
QUERIES = 200

Ask = Callable[[int], Awaitable[None]]


def serve(rows: int | None) -> None:
    """Prints the ports, and stops when its input closes."""
    from vecstore.config import Server, Settings
    from vecstore.gateway.serving import start_server

    database, _ = load(rows)
    with start_server(database, Settings(server=Server(port=0, rest_port=0))) as handle:
        print(json.dumps([handle.port, handle.rest_port]), flush=True)
        sys.stdin.read()
    database.close()


class Http:
    """One connection: requests as bytes out, an answer's head and body in."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests

    async def open(self, port: int) -> Http:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def ask(self, place: int) -> None:
        self._writer.write(self._requests[place % len(self._requests)])
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await self._reader.readexactly(length)


def http_requests(bodies: list[bytes]) -> list[bytes]:
    head = b"POST /v1/collections/bench/points/query HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return [head + b"content-length: %d\r\n\r\n" % len(body) + body for body in bodies]


async def measure(asks: list[Ask], seconds: float) -> dict[str, float]:
    latencies: list[float] = []
    stop = time.perf_counter() + seconds

    async def caller(ask: Ask, place: int) -> None:
        while (start := time.perf_counter()) < stop:
            await ask(place)
            latencies.append(time.perf_counter() - start)
            place += 1

    await asyncio.gather(*(caller(ask, 13 * n) for n, ask in enumerate(asks)))
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    return {"qps": len(latencies) / seconds, "p50_ms": float(p50), "p99_ms": float(p99)}


async def compare(options: argparse.Namespace, ports: list[int]) -> None:
    database, queries = load(options.rows if options.rows is None else 100)
    database.close()
    asked = [QueryRequest("bench", vector) for vector in queries[:QUERIES]]
    messages = [query_to_pb(one).SerializeToString() for one in asked]
    packed = [msgspec.json.encode(query_to_json(one)) for one in asked]
    listed = [msgspec.json.encode({"nearest": one.vector.tolist()}) for one in asked]  # type: ignore[union-attr]
    asks: dict[str, list[Ask]] = {case: [] for case in CASES}
    for _ in range(options.clients):
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{ports[0]}", options=[("grpc.use_local_subchannel_pool", 1)])
        call = channel.unary_unary(QUERY)

        async def ask(place: int, call: Any = call) -> None:
            await call(messages[place % len(messages)])

        asks["grpc"].append(ask)
        for case, bodies in (("rest base64", packed), ("rest list", listed)):
            asks[case].append((await Http(http_requests(bodies)).open(ports[1])).ask)
    seen: dict[tuple[str, int], list[dict[str, float]]] = {}
    for round_number in range(-1, options.rounds):  # the first is to warm up
        for count in (1, options.clients):
            for case in CASES:
                result = await measure(asks[case][:count], options.seconds if round_number >= 0 else 0.5)
                if round_number >= 0:
                    seen.setdefault((case, count), []).append(result)
                    line = {"bench": "rest_overhead", "round": round_number, "case": case, "clients": count, **result}
                    print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in line.items()}))
    report(seen, options.clients)


def report(seen: dict[tuple[str, int], list[dict[str, float]]], clients: int) -> None:
    print(f"\n{'case':12} {'clients':>7} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'more than gRPC, p50 ms':>23}")
    for count in (1, clients):
        for case in CASES:
            middle = {
                key: statistics.median(one[key] for one in seen[case, count]) for key in ("qps", "p50_ms", "p99_ms")
            }
            pairs = zip(seen[case, count], seen["grpc", count], strict=True)
            more = statistics.median(one["p50_ms"] - beside["p50_ms"] for one, beside in pairs)
            numbers = f"{middle['qps']:11.0f} {middle['p50_ms']:8.3f} {middle['p99_ms']:8.3f} {more:23.3f}"
            print(f"{case:12} {count:7} {numbers}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="random points instead of the sample")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.rows)
        return
    rows = [] if options.rows is None else ["--rows", str(options.rows)]
    command = [sys.executable, "-m", "bench.rest_overhead", "--serve", *rows]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        ports = json.loads(server.stdout.readline())  # type: ignore[union-attr]
        asyncio.run(compare(options, ports))
        server.stdin.close()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
