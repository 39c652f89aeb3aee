"""Multi-vectors."""

from __future__ import annotations

from typing import Any

from bench.commands.common import add, positive


def add_to(commands: Any) -> None:
    one = add(commands, "multi-race", "bench.multi_race:race", "time of a query at a recall: multi-vectors, one thread")
    one.add_argument("path", metavar="DATA", help="a file with train, train_offsets, test, test_offsets and neighbors")
    one.add_argument(
        "--ours", dest="specs", nargs="*", default=[], metavar="SPEC", help="as index text; default: some of ours"
    )
    one.add_argument("--no-peers", dest="peers", action="store_false", help="ours and the BLAS scan only")
    one.add_argument("--rounds", type=positive, default=3, help="repeats; the best counts")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--out", default="bench/results/multi-race.jsonl")

    one = add(
        commands, "multi-costs", "bench.multi_costs:costs", "rates of MaxSim kernels, encodings, codes and pooling"
    )
    one.add_argument("path", metavar="DATA", help="a file with train, train_offsets, test, test_offsets and neighbors")
    one.add_argument("--rows", type=positive, default=20_000, help="at most")
    one.add_argument("--threads", type=positive, default=1)
    one.add_argument("--out", default="bench/results/multi-costs.jsonl")

    one = add(
        commands, "multi-rows", "bench.multi_rows:rows", "pooling, codes of encodings, graphs of tokens, near copies"
    )
    one.add_argument("path", metavar="DATA", help="a file with train, train_offsets, test, test_offsets and neighbors")
    one.add_argument("--out", default="bench/results/multi-rows.jsonl")
