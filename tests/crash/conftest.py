"""Crash tests share the package `faults`, and the longer `make torture` sets ROUNDS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package `faults`
sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def rounds_of() -> object:
    """rounds_of(n): n, or ROUNDS of the environment."""
    return lambda default: int(os.environ.get("ROUNDS", default))
