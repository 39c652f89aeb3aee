"""A write that is sent again under its name, because its answer was lost in a crash, is done once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from crash_engine import open_client
from crash_points import EXIT
from faults.children import REPOSITORY
from retry_child import writes

CHILD = Path(__file__).with_name("retry_child.py")


STEPS = [("log write", "after"), ("log fsync", "after"), ("apply in memory", "before")]


@pytest.mark.parametrize(("name", "when"), STEPS)
@pytest.mark.parametrize("nth", [1, 4])
def test_a_write_with_a_lost_answer_is_done_once(tmp_path: Path, name: str, when: str, nth: int) -> None:
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}"}
    command = [sys.executable, str(CHILD), str(tmp_path / "db"), name, when, str(nth)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert child.returncode == EXIT, child.stderr[-4000:]
    undisturbed = open_client(tmp_path / "other", maintenance=False)
    wanted = writes(undisturbed)
    undisturbed.close()
    client = open_client(tmp_path / "db", maintenance=False)
    assert client.get_collection("docs").info().seq == nth  # the one whose answer was lost is there
    assert writes(client) == wanted
    assert writes(client) == wanted
    docs = client.get_collection("docs")
    assert docs.info().seq == len(wanted)
    assert [(point.id, point.payload) for point in docs.scroll()] == [(1, {"n": 0}), (4, {})]
    client.close()
