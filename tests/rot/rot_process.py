"""Programs that damage databases run in processes of their own, so that a signal or a hang is seen."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from faults.children import REPOSITORY

HERE = Path(__file__).resolve().parent
TIMES = int(os.environ.get("ROUNDS", 2))


def run_python_file(name: str, *arguments: object, timeout_s: float = 600) -> str:
    """Its stdout; a signal, a hang or an exception fails the test."""
    paths = (REPOSITORY, REPOSITORY / "tests", HERE, HERE.parent / "crash")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
    assert child.returncode == 0, f"{name} ended with {child.returncode}\n{child.stderr[-4000:]}"
    return child.stdout


def run_damage(name: str, pristine: Path, work: Path, kind: str, times: int = TIMES) -> dict[str, Any]:
    """What the program tells of its runs: how many, how many it noticed, what was wrong."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    told: dict[str, Any] = json.loads(run_python_file(name, pristine, work, kind, seed, times))
    print(kind, told["runs"], "runs", told["detected"], "detected")
    return told
