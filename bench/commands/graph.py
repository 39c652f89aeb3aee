"""The graph index."""

from __future__ import annotations

from typing import Any

from bench.commands.common import add, clock, contested, each, grown, peers, positive, rounds


def add_to(commands: Any) -> None:
    one = add(
        commands, "graph-race", "bench.graph_race:race", "queries a second at a recall: graph indexes, batch and single"
    )
    contested(one, "bench/results/graph-race.jsonl")
    one.add_argument("--targets", type=float, nargs="+", default=[0.95, 0.99], help="recalls where rates are read off")
    rounds(one, 7)
    clock(one)
    one.add_argument("--no-single", dest="singles", action="store_false", help="batch calls only")
    one.add_argument("--threads", type=positive, nargs="+", default=[1, 2], help="of builds; the last one is searched")
    one.add_argument("--only", nargs="+", default=[], metavar="NAME", help="families whose name has one of these in it")
    one.add_argument("--keep", metavar="FOLDER", help="keep what was built, and use what is kept there")

    one = add(
        commands,
        "graph-build",
        "bench.graph_build:graph_build",
        "build time, peak memory and the graph's hash by threads",
    )
    grown(one, "bench/results/graph-build.jsonl")
    one.add_argument("--threads", type=positive, nargs="+", default=[1, 2, 8])

    one = add(
        commands,
        "graph-filters",
        each("bench.graph_filters:graph_filters"),
        "filtered queries: random and negatively correlated filters",
    )
    grown(one, "bench/results/graph-filters.jsonl")
    peers(one)
    one.add_argument("--target", type=float, default=0.97, help="the recall that settings are chosen for")
    rounds(one, 3)
    one.add_argument("--k", type=positive, default=10)
    clock(one)

    one = add(
        commands,
        "graph-churn",
        each("bench.graph_churn:graph_churn"),
        "a graph after deletes, inserts and compaction, beside a fresh one",
    )
    grown(one, "bench/results/graph-churn.jsonl")
    one.add_argument("--churns", type=positive, default=5, help="rounds of churn")
    one.add_argument("--ef", type=int, default=0, help="constant for all; default: the index's own choice")
    rounds(one, 5)
    one.add_argument("--k", type=positive, default=10)
    clock(one)

    one = add(
        commands,
        "grpc-graph",
        each("bench.grpc_graph:grpc_graph"),
        "a graph through gRPC: rate and latency, share of an empty handler",
    )
    grown(one, "bench/results/grpc-graph.jsonl")
    one.add_argument("--target", type=float, default=0.95, help="the recall that ef is chosen for")
    one.add_argument("--clients", type=positive, default=16)
    one.add_argument("--rounds", type=positive, default=5, help="medians count")
    one.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    one.add_argument("--k", type=positive, default=10)
