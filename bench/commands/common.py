"""What the commands share: how one is added, and how it calls its function."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

Do = Callable[[argparse.Namespace], object]


def add(commands: Any, name: str, target: str | Do, about: str) -> argparse.ArgumentParser:
    """A command that calls `target`, "module:function", which is imported only then. The function's parameters are the
    options of the same names; `options` are all of them."""
    one: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    one.set_defaults(do=target if callable(target) else partial(call, target))
    return one


def call(target: str, args: argparse.Namespace) -> object:
    function, options = function_of(target), {**vars(args), "options": args}
    return function(**{name: options[name] for name in inspect.signature(function).parameters})


def function_of(target: str) -> Callable[..., object]:
    module, _, name = target.partition(":")
    function: Callable[..., object] = getattr(import_module(module), name)
    return function


def each(target: str) -> Do:
    """Calls the function once for each of `specs`, as `spec`."""
    return partial(_call_each, target)


def _call_each(target: str, args: argparse.Namespace) -> None:
    for spec in args.specs:
        call(target, argparse.Namespace(**vars(args), spec=spec))


def contested(one: argparse.ArgumentParser, out: str) -> None:
    """What frontiers and races have in common."""
    angular(one)
    one.add_argument(
        "--ours", dest="specs", nargs="*", default=[], metavar="SPEC", help="instead of our default grid, as index text"
    )
    peers(one)
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many of the file's queries")
    one.add_argument("--rows", type=positive, help="only the first so many rows, for a try")
    one.add_argument("--out", default=out)


def grown(one: argparse.ArgumentParser, out: str) -> None:
    """What benchmarks of our graph have in common."""
    angular(one)
    one.add_argument("--ours", dest="specs", nargs="+", default=["graph"], metavar="SPEC", help="as index text")
    one.add_argument("--rows", type=positive, help="only the first so many rows, for a try")
    folder(one)
    one.add_argument("--out", default=out)


def angular(one: argparse.ArgumentParser) -> None:
    one.add_argument("data", metavar="DATA", help="a file in ann-benchmarks' format, angular")


def peers(one: argparse.ArgumentParser) -> None:
    one.add_argument("--no-peers", dest="peers", action="store_false", help="ours only")


def folder(one: argparse.ArgumentParser) -> None:
    one.add_argument("--folder", help="where to keep the data meanwhile; default: the machine's temporary folder")


def clock(one: argparse.ArgumentParser) -> None:
    one.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use")


def rounds(one: argparse.ArgumentParser, default: int) -> None:
    one.add_argument("--rounds", type=positive, default=default, help="interleaved repeats; medians count")


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} must be at least 1")
    return value
