"""A build that was interrupted goes on from its last checkpoint: after SIGKILL, and when it was cancelled and is asked
for again; and no checkpoint outlives what it is of."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_support import settle
from index_support import load, schema
from resume_child import ROWS, SETTINGS, SMALL, SPEC
from waiting import wait_until

from vecstore.engine.database import Database
from vecstore.index import graph_build
from vecstore.types import OperationState, VectorIndexRequest


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many leaves or rows each phase went through."""
    done: dict[str, int] = {}
    usual = graph_build._steps

    def counted(phase: str, step: Any, begin: int, total: int, *rest: Any) -> None:
        def one(low: int, high: int) -> None:
            step(low, high)
            done[phase] = done.get(phase, 0) + high - low

        usual(phase, one, begin, total, *rest)

    monkeypatch.setattr(graph_build, "_steps", counted)
    return done


def indexes(db: Database) -> list[Any]:
    segments = list(db.collection("c").sealed.values())
    return [index for segment in segments if (index := segment.index("v")) is not None]


def is_one_graph(db: Database) -> bool:
    found = indexes(db)
    return len(found) == len(db.collection("c").sealed) == 1 and found[0].ntotal == ROWS


@pytest.mark.parametrize("kind", ["index", "merge"])
def test_a_killed_build_goes_on(
    tmp_path: Path, reopen: Callable[..., Database], steps: dict[str, int], kind: str
) -> None:
    folder = tmp_path / "data"
    child = subprocess.run([sys.executable, str(Path(__file__).with_name("resume_child.py")), str(folder), kind])
    assert child.returncode == -signal.SIGKILL
    (kept,) = (folder / "checkpoints").iterdir()
    assert kept.stat().st_size < ROWS * 4 * (64 + 16) + 1_000
    db = reopen(SETTINGS)
    wait_until(lambda: is_one_graph(db))
    assert steps == {"prune": ROWS - ROWS // 2 // 128 * 128 - 128, "finish": ROWS}
    wait_until(lambda: not (folder / "checkpoints").exists())
    if kind == "index":  # a merge's graph follows from the ones before it, too
        graph = indexes(db)[0].neighbours.copy()
        other = Database.open(tmp_path / "other", SETTINGS)
        other.create_collection("c", schema(SPEC))
        load(other, 0, ROWS, ROWS)
        wait_until(lambda: is_one_graph(other))
        assert (indexes(other)[0].neighbours == graph).all()
        other.close()


def test_a_cancelled_build_goes_on_when_it_is_asked_for_again(
    tmp_path: Path, reopen: Callable[..., Database], steps: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = reopen(SETTINGS)
    db.create_collection("c", schema(None))
    load(db, 0, ROWS, ROWS)
    settle(db, db.compact("c"))
    request = VectorIndexRequest("c", "v", SPEC)
    with monkeypatch.context() as patched:
        counted = graph_build._steps

        def cancelled(phase: str, *rest: Any) -> None:
            if phase == "finish":
                (running,) = (one for one in db.list_operations("c") if one.finished_at is None)
                db.cancel_operation(running.id)
            counted(phase, *rest)

        patched.setattr(graph_build, "_steps", cancelled)
        ended = db.wait_operation(db.update_index(request).id, 60)
    assert ended.state is OperationState.CANCELLED
    assert steps.pop("join") > 0
    assert steps.pop("prune") == ROWS
    db._maintenance.wake()
    time.sleep(0.1)
    assert len(list((tmp_path / "data" / "checkpoints").iterdir())) == 1
    settle(db, db.update_index(request))
    assert steps == {"finish": ROWS}
    wait_until(lambda: not (tmp_path / "data" / "checkpoints").exists())
