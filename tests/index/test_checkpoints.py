"""Checkpoints of builds: found by what they are of, whole or not at all, and bounded; and the graph that comes of
them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vecstore.errors import Cancelled
from vecstore.index import checkpoints, graph_build
from vecstore.index.checkpoints import Checkpoints, Column
from vecstore.index.graph_resume import Resumable
from vecstore.index.stored_rows import StoredRows
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind

N, DIM = 1_500, 16
ROWS = np.arange(12, dtype=np.uint32).reshape(4, 3)


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "COST_MAX", np.inf)
    monkeypatch.setattr(graph_build, "_ROWS", 128)
    monkeypatch.setattr(graph_build, "_LEAVES", 4)
    monkeypatch.setattr(graph_build, "LEAF_ROWS_MIN", 64)
    monkeypatch.setattr(graph_build, "LEAVES_MIN", 40)


def save(folder: Path, key: str) -> None:
    columns = {"a": Column(np.uint32, (4, 3), iter([ROWS[:3], ROWS[3:]])), "none": Column(np.uint32, (0, 3), [])}
    Checkpoints(folder).save(key, "prune", 7, columns)


def test_what_is_saved_is_found_by_its_key_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert Checkpoints(folder).load("one") is None
    save(folder, "one")
    found = Checkpoints(folder).load("one")
    assert found is not None
    assert (found.phase, found.done) == ("prune", 7)
    assert (found.arrays["a"] == ROWS).all()
    assert found.arrays["none"].shape == (0, 3)
    assert Checkpoints(folder).load("another") is None
    assert [path.name for path in folder.iterdir()] == ["one"]
    checkpoints.sweep(folder)
    assert not folder.exists()


@pytest.mark.parametrize("harm", ["empty", "torn", "short", "head", "rows", "sum"])
def test_a_damaged_one_is_not_there(tmp_path: Path, harm: str) -> None:
    save(tmp_path, "one")
    path = tmp_path / "one"
    whole = path.read_bytes()
    flipped = {"head": 20, "rows": len(whole) - 20, "sum": len(whole) - 1}
    if harm in flipped:
        content = bytearray(whole)
        content[flipped[harm]] ^= 4
    else:
        content = bytearray(whole[: {"empty": 0, "torn": len(whole) - 5, "short": 9}[harm]])
    path.write_bytes(content)
    assert Checkpoints(tmp_path).load("one") is None


def test_there_are_never_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        save(tmp_path, f"k{number}")
        save(tmp_path, f"k{number}")
        assert len(list(tmp_path.iterdir())) <= checkpoints.KEPT
    assert Checkpoints(tmp_path).load("k4") is not None
    monkeypatch.setattr(checkpoints, "FREE_MIN", 1 << 60)
    save(tmp_path, "too large")  # warns
    assert Checkpoints(tmp_path).load("too large") is None


def test_where_none_can_be_kept_builds_go_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "not" / "there"):
        save(folder, "one")
        assert Checkpoints(folder).load("one") is None
        checkpoints.sweep(folder)


def test_they_are_due_by_time_and_by_what_they_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoints, "EVERY_S", 10.0)
    monkeypatch.setattr(checkpoints, "COST_MAX", 0.05)
    kept = Checkpoints(tmp_path)

    def slowly() -> list[np.ndarray]:
        now[0] += 2.0
        return [ROWS]

    assert not kept.due
    now[0] += 10
    assert kept.due
    kept.save("one", "join", 1, {"a": Column(np.uint32, (4, 3), (part for _ in range(1) for part in slowly()))})
    now[0] += 39.9
    assert not kept.due
    now[0] += 0.2
    assert kept.due
    assert not Checkpoints().due


class Counted:
    """Steps of all builders by phase: how many leaves or rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop: tuple[str, int] | None = None) -> None:
        self.done: dict[str, int] = {}
        steps = graph_build._steps

        def counted(phase, step, begin, total, size, progress, passed=None):  # type: ignore[no-untyped-def]
            def one(low: int, high: int) -> None:
                if stop is not None and phase == stop[0] and low >= stop[1] * total // 100:
                    raise Cancelled("enough")
                step(low, high)
                self.done[phase] = self.done.get(phase, 0) + high - low

            steps(phase, one, begin, total, size, progress, passed)

        monkeypatch.setattr(graph_build, "_steps", counted)


def built(rows: np.ndarray) -> np.ndarray:
    source = StoredRows(VectorField(VectorKind.DENSE, DIM, Metric.L2), rows, None)
    nothing = np.zeros(DIM, np.float32)
    return graph_build.neighbours_of(source, nothing, 16, None, get_kernels(), lambda *_: None)


def test_an_interrupted_build_does_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((N, DIM)).astype(np.float32)
    rows[rng.permutation(N)[:100]] = rows[0]  # equal rows are in the graph once
    whole = built(rows)
    with monkeypatch.context() as patched:
        usual = Counted(patched)
        built(rows)
    assert usual.done["prune"] == usual.done["finish"] > N - 101
    again: dict[str, int] = {}
    for stop in (("join", 50), ("prune", 0), ("prune", 60), ("finish", 50)):
        with monkeypatch.context() as patched, checkpoints.kept_in(tmp_path):
            counted = Counted(patched, stop)
            with pytest.raises(Cancelled):
                built(rows)
            for phase, done in counted.done.items():
                again[phase] = again.get(phase, 0) + done
    with checkpoints.kept_in(tmp_path), monkeypatch.context() as patched:
        counted = Counted(patched)
        assert (built(rows) == whole).all()
    assert again["join"] == usual.done["join"]
    assert again["prune"] == usual.done["prune"]
    assert counted.done == {"finish": usual.done["finish"]}
    with checkpoints.kept_in(tmp_path), monkeypatch.context() as patched:  # after the last checkpoint
        counted = Counted(patched)
        built(rows)
        assert counted.done == {}
        built(rows[:-1])  # another graph
        assert counted.done["prune"] >= usual.done["prune"] - 1


def test_without_a_folder_nothing_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resumable, "passed", lambda *_: None)
    monkeypatch.setattr("vecstore.index.graph_resume.identity", lambda *_: pytest.fail("hashed"))
    built(np.random.default_rng(2).standard_normal((500, DIM)).astype(np.float32))
