"""T9: each kind of file flipped, zeroed, cut, lengthened, deleted, swapped, put back: detected or harmless."""

from __future__ import annotations

from pathlib import Path

import pytest
from rot_files import KINDS
from rot_process import TIMES, run_damage


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_detected_or_harmless(pristine: Path, tmp_path: Path, kind: str) -> None:
    told = run_damage("rot_files.py", pristine, tmp_path, kind)
    assert told["wrong"] == []
    assert told["runs"] >= TIMES * 4
    assert told["detected"] > 0 or kind == "cache"  # a cache file is made anew without a word
