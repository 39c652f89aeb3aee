"""T9: each kind of file flipped, zeroed, cut, lengthened, deleted, swapped, put back: detected or harmless."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faults.children import REPOSITORY
from rot_files import KINDS

HERE = Path(__file__).parent
TIMES = int(os.environ.get("ROUNDS", 3))


def run_python_file(file: Path, *arguments: object, timeout_s: float = 110) -> str:
    """Its stdout; a signal, a hang or an exception fails the test."""
    paths = (REPOSITORY, REPOSITORY / "tests", HERE, HERE.parent / "crash")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, str(file), *map(str, arguments)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
    assert child.returncode == 0, f"{file.name} ended with {child.returncode}\n{child.stderr[-4000:]}"
    return child.stdout


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine")
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    run_python_file(HERE / "rot_support.py", directory, seed)
    older = directory / "older"
    shutil.copytree(directory / "db", older)
    run_python_file(HERE / "reopen.py", directory)
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_detected_or_harmless(pristine: Path, tmp_path: Path, kind: str) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    told = json.loads(run_python_file(HERE / "rot_files.py", pristine, tmp_path, kind, seed, TIMES))
    print(kind, told["runs"], "runs", told["detected"], "detected")
    assert told["wrong"] == []
    assert told["runs"] >= TIMES * 4
    if kind in ("current", "manifest"):
        assert told["detected"] > 0
