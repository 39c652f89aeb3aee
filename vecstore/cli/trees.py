"""How a query was answered, and why not, as trees: a branch for each stage, a leaf for each segment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from vecstore.cli.render import as_text
from vecstore.quality import Quality

UNITS = {"_ms": "ms", "_us": "us"}
# Over a network dictionaries have no order; others come after these, by name.
ORDER = (
    "stage",
    "limit",
    "rank",
    "score",
    "strategy",
    "points",
    "found",
    "rows",
    "alive",
    "allowed",
    "est_recall",
    "complete",
)


def show_explained(explain: Mapping[str, Any], quality: Quality | None) -> None:
    """The stages of an answer, what each searched and found, and how long it took."""
    tree = Tree(_line(str(explain.get("using") or explain.get("stage") or "answer"), explain, ("using", "stage")))
    if quality is not None:
        left_out = ("skipped_segments", "skipped_points", "timed_out") if quality.complete else ()
        tree.add(_line("quality", asdict(quality), left_out))
    _grow(tree, explain)
    _print(tree)


def show_planned(plan: Mapping[str, Any]) -> None:
    """The stages of a query, the ways that each would take, and those that it leaves."""
    tree = Tree(_line(str(plan.get("stage")), plan, ("stage",)))
    _grow(tree, plan)
    _print(tree)


def show_reasons(id: str, report: Mapping[str, Any]) -> None:
    """What became of a point in each stage of a query."""
    tree = Tree(_line(f"{id}: {report.get('verdict')}", report, ("verdict",)))
    _grow(tree, report)
    _print(tree)


def _grow(tree: Tree, given: Mapping[str, Any]) -> None:
    for key, value in sorted(given.items(), key=_place):
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            if key == "conditions":
                for one in value:
                    tree.add(Text(f"fails {msgspec.json.encode(one).decode()}"))
                continue
            for place, one in enumerate(value):
                name = str(one.get("stage") or one.get("kind") or one.get("strategy") or place)
                verdict = f": {one['verdict']}" if "verdict" in one else ""
                head = f"{key} {place}: {name}{verdict}" if key == "prefetch" else f"{key.removesuffix('s')} {name}"
                left_out = ("stage", "kind", "verdict") + (() if "kind" in one else ("strategy",))
                _grow(tree.add(_line(head, one, left_out)), one)
        elif isinstance(value, Mapping) and value:
            branch = tree.add(_line(key, value))
            _grow(branch, {name: inner for name, inner in value.items() if not _is_flat(inner)})


def _line(head: str, given: Mapping[str, Any], left_out: tuple[str, ...] = ()) -> Text:
    """A name, and the plain values beside it."""
    line = Text(head, style="bold")
    for key, value in sorted(given.items(), key=_place):
        if key not in left_out and value is not None and value != "" and _is_flat(value):
            line.append(f"  {_measured(key, value)}", style="not bold")
    return line


def _place(item: tuple[str, Any]) -> tuple[int, str]:
    return (ORDER.index(item[0]) if item[0] in ORDER else len(ORDER), item[0])


def _is_flat(value: Any) -> bool:
    return not isinstance(value, Mapping) and not (
        isinstance(value, list) and any(isinstance(x, Mapping) for x in value)
    )


def _measured(key: str, value: Any) -> str:
    for suffix, unit in UNITS.items():
        if key.endswith(suffix) and isinstance(value, int | float):
            return f"{key.removesuffix(suffix)} {value:,.3g} {unit}"
    return f"{key} {as_text(value)}"


def _print(tree: Tree) -> None:
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(tree)
