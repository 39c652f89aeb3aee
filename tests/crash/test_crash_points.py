"""A process that dies at a named step, before it and after it: nothing acknowledged is lost, nothing is left over."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash_engine import check_nothing_is_left_over, new_ledgers, open_client
from crash_oracle import COLLECTIONS, check_database
from crash_points import EXIT, POINTS
from faults.children import REPOSITORY

CHILD = Path(__file__).with_name("crash_child.py")


@pytest.fixture(scope="module")
def run_child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """run_child(directory, point, when, nth, seed): its exit status."""
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}"}
    log = tmp_path_factory.mktemp("children") / "stderr"
    command, pipes = [sys.executable, str(CHILD)], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, env=environment, stderr=errors, text=True, **pipes) as parent,
    ):

        def run(directory: Path, name: str, when: str = "before", nth: int = 1, seed: int = 0) -> int:
            assert parent.stdin is not None
            assert parent.stdout is not None
            print(shlex.join([str(directory), name, when, str(nth), str(seed)]), file=parent.stdin, flush=True)
            status = int(parent.stdout.readline())
            assert status in (0, EXIT), f"the child ended with {status}\n{log.read_text()[-4000:]}"
            return status

        yield run


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", POINTS)
def test_a_crash_at_any_step_loses_nothing(tmp_path: Path, run_child: Callable[..., int], name: str, when: str) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    choose = random.Random(seed)
    nth = choose.randint(1, POINTS[name].reach)
    print(f"SEED={seed} call {nth}")
    if POINTS[name].opening:
        run_child(tmp_path, "none", seed=seed)
    assert run_child(tmp_path, name, when, nth, seed) == EXIT, "the step was never reached"
    ledgers = new_ledgers(tmp_path)
    assert any(ledger.acked for ledger in ledgers)
    client = open_client(tmp_path / "db", maintenance=False)
    assert {info.name for info in client.list_collections()} - {"passing"} == set(COLLECTIONS)
    check_database(client, ledgers)
    client.close()
    check_nothing_is_left_over(tmp_path / "db")
    client = open_client(tmp_path / "db")
    for collection in COLLECTIONS:
        client.collection(collection).compact(timeout_s=60)
    check_database(client, ledgers)
    assert client.verify(timeout_s=60).error is None
    client.close()


def test_killed_again_and_again_while_it_recovers(tmp_path: Path, run_child: Callable[..., int]) -> None:
    """T5: recovery may be cut off at any of its steps, several times in a row."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    choose = random.Random(seed)
    opening = [name for name, point in POINTS.items() if point.opening]
    for _ in range(3):
        run_child(tmp_path, "none", seed=choose.randrange(1 << 32))
        for name in choose.sample(opening, 3):
            assert run_child(tmp_path, name, choose.choice(["before", "after"])) == EXIT
        client = open_client(tmp_path / "db", maintenance=False)
        check_database(client, new_ledgers(tmp_path))
        client.close()
    check_nothing_is_left_over(tmp_path / "db")
