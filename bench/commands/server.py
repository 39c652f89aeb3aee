"""Servers: writing, recovery, sealing, readers, memory."""

from __future__ import annotations

from typing import Any

from bench.commands.common import add, folder, positive, rounds


def add_to(commands: Any) -> None:
    one = add(
        commands,
        "ingest",
        "bench.ingest:ingest",
        "durable upserts over gRPC: points per second, acknowledgement latency",
    )
    one.add_argument("--points", type=positive, default=50_000)
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--batch", type=positive, default=1_000)
    one.add_argument("--writers", type=positive, nargs="+", default=[1, 16])
    one.add_argument(
        "--seconds",
        dest="window_s",
        metavar="SECONDS",
        type=float,
        default=5.0,
        help="how long single-point upserts run",
    )
    folder(one)
    one.add_argument("--out", default="bench/results/ingest.jsonl")

    one = add(
        commands, "recovery", "bench.recovery:recovery", "kill -9, then the time from process start to the first answer"
    )
    one.add_argument("--growing", type=int, default=100_000, help="rows that are only in the log")
    one.add_argument("--sealed", type=int, default=1_000_000, help="rows in sealed segments")
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--rounds", type=positive, default=5)
    folder(one)
    one.add_argument("--out", default="bench/results/recovery.jsonl")

    one = add(commands, "seal", "bench.seal:seal", "search latency while a segment is sealed, against idle")
    one.add_argument("--mib", type=positive, default=200, help="size of the segment")
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--rounds", type=positive, default=3)
    folder(one)
    one.add_argument("--out", default="bench/results/seal.jsonl")

    one = add(
        commands, "readers", "bench.readers:main", "serve --readers N beside one process: rates, own writes, memory"
    )
    one.add_argument("--readers", type=positive, default=2)
    one.add_argument("--clients", type=positive, default=16, help="connections, each with one query at a time")
    one.add_argument("--client-processes", type=positive, default=1, help="that they are spread over")
    one.add_argument("--rows", type=positive, default=100_000, help="of 384 dimensions")
    rounds(one, 7)
    one.add_argument("--seconds", type=float, default=2.0, help="of each server in each round")
    one.add_argument("--out", default="bench/results/readers.jsonl")

    one = add(
        commands, "soak", "bench.soak:soak", "a server under mixed load for minutes: its memory, files and threads"
    )
    one.add_argument("--minutes", type=float, default=20.0)
    one.add_argument("--seal-mib", type=int, default=8, help="what waits before it is sealed; 0: the server's default")
    one.add_argument("--out", default="bench/results/soak.jsonl")

    one = add(
        commands, "ceiling", "bench.ceiling:ceiling", "a server in a memory cgroup under its largest legal requests"
    )
    one.add_argument("--limit-mib", type=positive, default=512)
    one.add_argument("--seconds", type=float, default=60.0)
    one.add_argument("--requests", nargs="+", default=["upsert", "answers", "batch"], help="of 8 clients in turn")
    one.add_argument("--out", default="bench/results/ceiling.jsonl")
