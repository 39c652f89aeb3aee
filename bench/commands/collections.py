"""Whole collections on files of vectors, and such files."""

from __future__ import annotations

from typing import Any

from bench.commands.common import add, folder, positive
from bench.configs import CONFIGS
from bench.datasets import DISTANCES


def add_to(commands: Any) -> None:
    one = add(commands, "run", "bench.run:run", "recall, rate, latency, build time, memory and disk on an HDF5 file")
    one.add_argument("data", help="a file in ann-benchmarks' format")
    one.add_argument(
        "--config",
        dest="config_names",
        nargs="+",
        default=[],
        choices=list(CONFIGS),
        metavar="NAME",
        help="see `configs`",
    )
    one.add_argument("--via", nargs="+", default=["inproc"], choices=["inproc", "grpc"], help="default: inproc")
    one.add_argument(
        "--peers", dest="with_peers", action="store_true", help="the installed peer libraries too, in the same run"
    )
    one.add_argument("--clients", type=positive, default=1, help="also with this many concurrent callers")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many of the file's queries")
    one.add_argument("--threads", type=int, default=1, help="threads for one query; 0 is one for each core")
    one.add_argument(
        "--seconds",
        dest="window_s",
        metavar="SECONDS",
        type=float,
        default=10.0,
        help="how long concurrent callers run",
    )
    folder(one)
    one.add_argument("--out", default="bench/results/run.jsonl")

    one = add(commands, "plot", "bench.plot:show", "recall-rate and latency pictures of a results file")
    one.add_argument("path", metavar="RESULTS")

    add(commands, "configs", "bench.configs:show", "list the configurations")

    one = add(commands, "synthesize", "bench.datasets:synthesize", "write a made-up file, to try the commands out")
    one.add_argument("path", metavar="FILE")
    one.add_argument("--distance", default="angular", choices=list(DISTANCES))
    one.add_argument("--rows", type=positive, default=20_000)
    one.add_argument("--dim", type=positive, default=128)
    one.add_argument("--queries", type=positive, default=200)
    one.add_argument("--k", type=positive, default=100, help="true neighbours of each query")
    one.add_argument("--seed", type=int, default=1)
