"""Codes and lists of dense vectors."""

from __future__ import annotations

from typing import Any

from bench.commands.common import add, angular, clock, contested, folder, peers, positive, rounds


def add_to(commands: Any) -> None:
    one = add(
        commands, "frontier", "bench.frontier:frontier", "recall against bytes a vector of every code, without rerank"
    )
    contested(one, "bench/results/frontier.jsonl")

    one = add(commands, "ivf-race", "bench.ivf_race:race", "queries a second at a recall: lists, codes and rerank")
    contested(one, "bench/results/ivf-race.jsonl")
    one.add_argument("--nlist", dest="nlists", type=positive, nargs="+", default=[256, 512, 1024, 2048])
    one.add_argument(
        "--recall", dest="targets", type=float, nargs="+", default=[0.95, 0.98], help="where rates are read off"
    )
    rounds(one, 7)
    clock(one)
    one.add_argument("--singles", dest="sample", type=positive, default=200, help="queries asked one at a time")

    one = add(
        commands,
        "flat-codes",
        "bench.flat_codes:flat_codes",
        "scans of codes: share of memory bandwidth, time beside turbovec",
    )
    contested(one, "bench/results/flat-codes.jsonl")
    rounds(one, 9)
    clock(one)

    one = add(
        commands, "exact-scans", "bench.exact_scans:exact_scans", "all rows compared, by vectors and by bytes first"
    )
    angular(one)
    one.add_argument("--k", dest="ks", type=positive, nargs="+", default=[10, 100])
    one.add_argument("--queries", type=positive, default=200)
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    rounds(one, 9)
    clock(one)
    peers(one)
    one.add_argument("--out", default="bench/results/exact-scans.jsonl")

    one = add(
        commands,
        "big-collection",
        "bench.big_collection:big_collection",
        "memory, recall and restart of an indexed collection",
    )
    angular(one)
    one.add_argument("--index", default="ivf | rabitq(bits=4) | rerank(stored)", help="the collection's index")
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--queries", type=positive, default=1_000)
    one.add_argument(
        "--recall", dest="target", type=float, default=0.97, help="the recall that the settings are chosen for"
    )
    one.add_argument("--k", type=positive, default=10)
    folder(one)
    one.add_argument("--out", default="bench/results/big-collection.jsonl")

    one = add(commands, "advise", "bench.advise:judge", "the advisor's picks, judged on queries that it has not seen")
    one.add_argument("data", help="a file in ann-benchmarks' format")
    one.add_argument(
        "--budget-bytes", dest="budgets", type=float, nargs="+", default=[48, 64, 96, 192, 384], help="a vector"
    )
    one.add_argument("--rows", type=positive, default=10_000, help="of the sample")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--out", default="bench/results/advise.jsonl")
