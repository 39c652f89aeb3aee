"""T10: fields that lie under right checksums end in typed errors or in an answer, never in a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from rot_hostile import KINDS
from rot_process import TIMES, run_damage


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_bytes_under_right_checksums(pristine: Path, tmp_path: Path, kind: str) -> None:
    told = run_damage("rot_hostile.py", pristine, tmp_path, kind, 5 * TIMES)
    assert told["wrong"] == []
    assert told["detected"] > TIMES
