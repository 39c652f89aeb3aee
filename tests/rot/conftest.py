"""Rot tests share the oracle of the crash tests and the package `faults`, and one undamaged database."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "crash"), str(TESTS / "rot")]

from rot_process import run_python_file  # noqa: E402


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `db`, killed with work left to do, `older`, an earlier state of it, and `history.json`."""
    directory = tmp_path_factory.mktemp("pristine")
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    run_python_file("rot_support.py", directory, seed)
    shutil.copytree(directory / "db", directory / "older")
    run_python_file("reopen.py", directory)
    return directory
