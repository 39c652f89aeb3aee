"""The command line of the benchmarks: `python -m bench --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench.configs import CONFIGS
from bench.datasets import DISTANCES


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m bench", description="Measure vecstore beside its peers.")
    commands = top.add_subparsers(dest="command", required=True)

    one = add(commands, "run", do_run, "recall, rate, latency, build time, memory and disk on an HDF5 file")
    one.add_argument("data", help="a file in ann-benchmarks' format")
    one.add_argument("--config", nargs="+", default=[], choices=list(CONFIGS), metavar="NAME", help="see `configs`")
    one.add_argument("--via", nargs="+", default=["inproc"], choices=["inproc", "grpc"], help="default: inproc")
    one.add_argument("--peers", action="store_true", help="the installed peer libraries too, in the same run")
    one.add_argument("--clients", type=positive, default=1, help="also with this many concurrent callers")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many of the file's queries")
    one.add_argument("--threads", type=int, default=1, help="threads for one query; 0 is one for each core")
    one.add_argument("--seconds", type=float, default=10.0, help="how long concurrent callers run")
    one.add_argument("--folder", help="where to keep the data meanwhile; default: the machine's temporary folder")
    one.add_argument("--out", default="bench/results/run.jsonl")

    one = add(commands, "plot", do_plot, "recall-rate and latency pictures of a results file")
    one.add_argument("results")

    add(commands, "configs", do_configs, "list the configurations")

    one = add(commands, "synthesize", do_synthesize, "write a made-up file, to try the commands out")
    one.add_argument("file")
    one.add_argument("--distance", default="angular", choices=list(DISTANCES))
    one.add_argument("--rows", type=positive, default=20_000)
    one.add_argument("--dim", type=positive, default=128)
    one.add_argument("--queries", type=positive, default=200)

    one = add(commands, "ingest", do_ingest, "durable upserts over gRPC: points per second, acknowledgement latency")
    one.add_argument("--points", type=positive, default=50_000)
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--batch", type=positive, default=1_000)
    one.add_argument("--writers", type=positive, nargs="+", default=[1, 16])
    one.add_argument("--seconds", type=float, default=5.0, help="how long single-point upserts run")
    one.add_argument("--folder")
    one.add_argument("--out", default="bench/results/ingest.jsonl")

    one = add(commands, "recovery", do_recovery, "kill -9, then the time from process start to the first answer")
    one.add_argument("--growing", type=int, default=100_000, help="rows that are only in the log")
    one.add_argument("--sealed", type=int, default=1_000_000, help="rows in sealed segments")
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--rounds", type=positive, default=5)
    one.add_argument("--folder")
    one.add_argument("--out", default="bench/results/recovery.jsonl")

    one = add(commands, "seal", do_seal, "search latency while a segment is sealed, against idle")
    one.add_argument("--mib", type=positive, default=200, help="size of the segment")
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--rounds", type=positive, default=3)
    one.add_argument("--folder")
    one.add_argument("--out", default="bench/results/seal.jsonl")
    return top


def add(commands: Any, name: str, do: Callable[[argparse.Namespace], object], about: str) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    one.set_defaults(do=do)
    return one


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} must be at least 1")
    return value


def do_run(args: argparse.Namespace) -> None:
    from bench.run import run

    run(args.data, args.config, args.via, args.peers, args.clients, args.k, args.out, args.queries, args.threads,
        args.seconds, args.folder)  # fmt: skip


def do_plot(args: argparse.Namespace) -> None:
    from bench.plot import plot

    print(*plot(args.results), sep="\n")


def do_configs(args: argparse.Namespace) -> None:
    for config in CONFIGS.values():
        print(
            f"{config.name:24} {'hamming' if config.suits('hamming') else 'angular, euclidean, ip':24} {config.about}"
        )


def do_synthesize(args: argparse.Namespace) -> None:
    from bench.datasets import synthesize

    synthesize(args.file, args.distance, args.rows, args.dim, args.queries)


def do_ingest(args: argparse.Namespace) -> None:
    from bench.ingest import ingest

    ingest(args.points, args.dim, args.batch, args.writers, args.seconds, args.folder, args.out)


def do_recovery(args: argparse.Namespace) -> None:
    from bench.recovery import recovery

    recovery(args.growing, args.sealed, args.dim, args.rounds, args.folder, args.out)


def do_seal(args: argparse.Namespace) -> None:
    from bench.seal import seal

    seal(args.mib, args.dim, args.rounds, args.folder, args.out)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        args.do(args)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
