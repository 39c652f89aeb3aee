"""gRPC is loaded with the pollers of its core, unless somebody else has decided or the core has no such settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecstore.wire.loading import BETWEEN_CALLS, VARIABLE

POLLERS = "-event_engine_client,-event_engine_listener"
NAMES = b"\0event_engine_client\0event_engine_fork\0event_engine_listener\0"
LOAD = "from vecstore.wire.loading import load_grpc\nload_grpc()"
SERVER = "import vecstore.server"


def told(folder: Path, script: str, core: bytes = NAMES, **environment: str) -> list[str]:
    """What a gRPC that writes it down is told, and what the environment says afterwards."""
    package = folder / "grpc"
    (package / "_cython").mkdir(parents=True)
    (package / "_cython" / "cygrpc.so").write_bytes(core)
    write = f"import os; print(os.environ.get({VARIABLE!r}), os.environ.get({BETWEEN_CALLS!r}))\n"
    (package / "__init__.py").write_text(write)
    inherited = {name: value for name, value in os.environ.items() if name not in (VARIABLE, BETWEEN_CALLS)}
    inherited["PYTHONPATH"] = os.pathsep.join(path for path in (str(folder), inherited.get("PYTHONPATH")) if path)
    command = [sys.executable, "-c", f"{script}\n{write}"]
    return subprocess.run(
        command, env=inherited | environment, capture_output=True, text=True, check=True, timeout=240
    ).stdout.split()


@pytest.mark.parametrize("script", [LOAD, SERVER])
def test_the_core_is_told_of_pollers_and_children_are_not(tmp_path: Path, script: str) -> None:
    assert told(tmp_path, script) == [POLLERS, "100", "None", "None"]


def test_who_sets_the_variable_decides(tmp_path: Path) -> None:
    assert told(tmp_path, f"{LOAD}\nimport grpc", GRPC_EXPERIMENTS="their_own") == ["their_own", "None"] * 2


def test_an_interval_of_theirs_is_kept(tmp_path: Path) -> None:
    own = {"GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS": "7"}
    assert told(tmp_path, LOAD, **own) == [POLLERS, "7", "None", "7"]


def test_who_loads_grpc_first_decides(tmp_path: Path) -> None:
    assert told(tmp_path, f"import grpc\n{LOAD}") == ["None"] * 4


def test_a_core_without_these_settings_is_told_nothing(tmp_path: Path) -> None:
    assert told(tmp_path, f"{LOAD}\nimport grpc", core=b"\0event_engine_client\0") == ["None"] * 4
