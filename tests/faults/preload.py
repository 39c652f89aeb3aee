"""Failing system calls, a record of them, and a wall clock that jumps: compiles a library with the machine's C
compiler, to be loaded into a child process."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FAULTS = Path(__file__).with_name("preload.c")
RECORD = Path(__file__).with_name("record.c")
CLOCK = Path(__file__).with_name("clock.c")


def build_preload(directory: Path, source: Path = FAULTS) -> Path:
    """The compiled library; skips the test where there is no C compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to build the fault library with")
    library = directory / "preload.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl", "-lpthread"], check=True
    )
    return library


def preload_environment(library: Path, plan: Path) -> dict[str, str]:
    """The environment of a child whose calls fail as `plan` says: "CALL ERRNO COUNT PART", see preload.c."""
    return {**os.environ, "LD_PRELOAD": str(library), "VECSTORE_FAULTS": str(plan)}
