"""`python snapshot_child.py DIRECTORY WHAT TARGET WHEN NTH`: takes or restores a snapshot and dies on the way."""

from __future__ import annotations

import sys
from pathlib import Path

from crash_engine import TINY
from crash_points import CrashPoint, arm

from vecstore.config import Settings
from vecstore.engine.database import Database


def main(directory: Path, what: str, target: str, when: str, nth: int) -> None:
    database = Database.open(directory, Settings(storage=TINY))
    arm(CrashPoint(target), when, nth)
    operation = database.create_snapshot("a") if what == "take" else database.restore_snapshot("good", "a")
    print(database.wait_operation(operation.id, 60))
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
