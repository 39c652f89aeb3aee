"""Child processes that a test kills, limits or faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def start_python(source: str, *arguments: object, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Run `source` in a new interpreter that can import vecstore and `faults`; stdout and stderr are pipes."""
    environment = dict(os.environ if environment is None else environment)
    paths = [str(REPOSITORY), str(REPOSITORY / "tests"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(source: str, *arguments: object, environment: dict[str, str] | None = None) -> str:
    """Its stdout; fails the test with its stderr unless it ends well."""
    child = start_python(source, *arguments, environment=environment)
    output, errors = child.communicate(timeout=240)
    assert child.returncode == 0, f"child ended with {child.returncode}\n{output}\n{errors}"
    return output
