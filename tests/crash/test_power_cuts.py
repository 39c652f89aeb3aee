"""T1: the power goes at any step, beneath RocksDB. What a run did to its files is recorded, call by call; of each step
the states are made up that a disk may be left in, and each opens and holds what was acknowledged.

POWER_CUTS=n tries n of the steps instead of a few, 0 all of them, each with all kinds of cut.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from crash_engine import TINY, client_of, new_ledgers
from crash_oracle import check_database, create_collections
from faults.children import REPOSITORY
from faults.preload import RECORD, build_preload
from power_cut import CUTS, Directory, Disk, Step, everything, read_trace, write_state

from vecstore.config import Settings
from vecstore.engine.database import Database

CHILD = Path(__file__).with_name("power_child.py")
QUICK = 13
STILL = Settings(storage=msgspec.structs.replace(TINY, maintenance=False))


def record(tmp_path: Path, seed: int) -> tuple[Path, list[Step]]:
    """A run in a folder of its own, and its steps."""
    root, trace = tmp_path / "run", tmp_path / "trace"
    root.mkdir()
    environment = os.environ | {
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}",
        "LD_PRELOAD": str(build_preload(tmp_path, RECORD)),
        "VECSTORE_TRACE": str(trace),
        "VECSTORE_TRACE_ROOT": str(root),
    }
    child = subprocess.run(
        [sys.executable, str(CHILD), str(root), str(seed)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert child.returncode == 0, child.stderr[-4000:]
    return root, read_trace(trace)


def test_power_cuts(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    choose = random.Random(seed)
    root, steps = record(tmp_path, seed)
    database = [n for n, step in enumerate(steps) if f"{root}/db/" in step.first or not step.first]
    wanted = int(os.environ.get("POWER_CUTS", QUICK))
    after = sorted(database if not wanted else choose.sample(database, wanted))
    disk, tried = Disk(root), 0
    for number, step in enumerate(steps):
        disk.take(step)
        if after and number == after[0]:
            after.pop(0)
            cuts = list(CUTS) if "POWER_CUTS" in os.environ else [list(CUTS)[tried % len(CUTS)]]
            for cut in cuts:
                check(disk, tmp_path / "cut", cut, choose, f"SEED={seed} step {number} of {len(steps)}, {cut}")
                tried += 1
    assert not after
    assert tree(disk.top, tmp_path / "end") == files(root), "something was done to files that is not recorded"
    print(f"{len(steps)} steps, {tried} states")


def check(disk: Disk, target: Path, cut: str, choose: random.Random, where: str) -> None:
    target.mkdir()
    for name, node in disk.top.names.items():  # what the test itself wrote down is all there
        if not isinstance(node, Directory):
            (target / name).write_bytes(everything(node, choose))
    write_state(disk.top, target / "disk", cut, choose)
    try:
        check_opened(target, created=(target / "created").exists())
    except BaseException as error:
        error.add_note(where)
        raise
    shutil.rmtree(target)


def check_opened(target: Path, created: bool) -> None:
    database = Database.open(target / "disk" / "db", STILL)
    client = client_of(database)
    try:
        if not created:
            create_collections(client)
        check_database(client, new_ledgers(target))
        found = {info.name: info.points for info in database.list_snapshots()}
        taken = target / "snapshot"
        assert (
            found == {"a": json.loads(taken.read_text())}
            if taken.exists() and taken.read_text()
            else found.keys() <= {"a"}
        )
        for name in found:
            assert database.wait_operation(database.restore_snapshot(name, "restored").id, 60).error is None
    finally:
        client.close()


def files(directory: Path) -> dict[str, bytes]:
    """Every file below `directory`."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def tree(top: Directory, target: Path) -> dict[str, bytes]:
    """The same of a recorded directory."""
    write_state(top, target, "keep all", random.Random())
    return files(target)
