"""Rot tests share the oracle of the crash tests and the package `faults`."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "crash"), str(TESTS / "rot")]
