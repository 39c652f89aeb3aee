"""Records inside RocksDB that are not what was written: every one is checked by itself and against its neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest
from rot_process import TIMES, run_damage
from rot_records import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_records_are_detected_or_harmless(pristine: Path, tmp_path: Path, kind: str) -> None:
    told = run_damage("rot_records.py", pristine, tmp_path, kind)
    assert told["wrong"] == []
    assert told["detected"] >= told["runs"] // 2 > TIMES
