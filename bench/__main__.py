"""The command line of the benchmarks: `python -m bench --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.commands import collections, dense, graph, multi, queries, server, sparse


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m bench", description="Measure vecstore beside its peers.")
    commands = top.add_subparsers(dest="command", required=True)
    for module in (collections, dense, graph, sparse, multi, queries, server):
        module.add_to(commands)
    return top


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
