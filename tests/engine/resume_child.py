"""`python resume_child.py DIRECTORY KIND`: builds a graph, or merges one, and is killed on the way."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from engine_support import settle
from index_support import load, schema

from vecstore.config import Search, Settings, Storage
from vecstore.engine.database import Database
from vecstore.index import checkpoints, graph_build
from vecstore.index_spec import Graph

SPEC, ROWS = Graph(degree=16), 1_400
SETTINGS = Settings(
    search=Search(shadow_sample=0.0),
    storage=Storage(
        seal_rows=100_000, seal_idle_s=0.05, in_place_rows=100_000, merge_factor=2, disk_reserve_bytes=0,
        index_rows_min=300,
    ),
)  # fmt: skip
# Checkpoints at every step, and steps small enough for these rows.
SMALL: list[tuple[Any, str, Any]] = [
    (checkpoints, "EVERY_S", 0.0), (checkpoints, "COST_MAX", float("inf")),
    (graph_build, "_ROWS", 128), (graph_build, "_LEAVES", 4),
]  # fmt: skip


def die(phase: str, share: float) -> None:
    """When so much of a phase is done."""
    steps = graph_build._steps

    def armed(name: str, step: Any, begin: int, total: int, *rest: Any) -> None:
        def one(low: int, high: int) -> None:
            if name == phase and low >= share * total:
                os.kill(os.getpid(), signal.SIGKILL)
            step(low, high)

        steps(name, one, begin, total, *rest)

    graph_build._steps = armed


def main(directory: Path, kind: str) -> None:
    for module, name, value in SMALL:
        setattr(module, name, value)
    db = Database.open(directory, SETTINGS)
    db.create_collection("c", schema(SPEC))
    if kind == "merge":
        load(db, 0, ROWS // 2, ROWS)
        settle(db, db.compact("c"))
    die("prune", 0.5)
    load(db, ROWS // 2 if kind == "merge" else 0, ROWS, ROWS)  # sealed, indexed and merged by itself
    time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
