"""`python rot_files.py PRISTINE WORK KIND SEED TIMES`: damages files of one kind in every way and judges the answers.

Prints one JSON line: runs, detected, wrong answers. A process of its own, so that a signal or a hang is seen.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

from rot_support import judge, observe, report

KINDS = {
    "cache": "cache/*",
    "table": "rocksdb/*.sst",
    "log": "rocksdb/*.log",
    "manifest": "rocksdb/MANIFEST-*",
    "current": "rocksdb/CURRENT",
    "format": "FORMAT.json",
}
DAMAGES = ("flip", "zero", "truncate", "append", "delete", "swap", "older")


def damage(how: str, path: Path, others: list[Path], older: Path, choose: random.Random) -> bool:
    """False when it changes nothing."""
    content = path.read_bytes()
    match how:
        case "flip":
            at = choose.randrange(len(content))
            changed = content[:at] + bytes([content[at] ^ 1 << choose.randrange(8)]) + content[at + 1 :]
        case "zero":
            at = choose.randrange(len(content)) // 4096 * 4096
            changed = content[:at] + bytes(len(content[at : at + 4096])) + content[at + 4096 :]
        case "truncate":
            changed = content[: choose.randrange(len(content))]
        case "append":
            changed = content + choose.randbytes(choose.randrange(1, 5000))
        case "delete":
            path.unlink()
            return True
        case "swap":
            other = choose.choice(others)
            if other == path:
                return False
            changed = other.read_bytes()
            other.write_bytes(content)
        case _:
            if not older.exists():
                return False
            changed = older.read_bytes()
    path.write_bytes(changed)
    return changed != content


def main(pristine: Path, work: Path, kind: str, seed: int, times: int) -> None:
    choose = random.Random(seed)
    history = json.loads((pristine / "history.json").read_text())
    shutil.copytree(pristine / "db", work / "whole")
    expected = observe(work / "whole")
    assert not any(str(answer).startswith("error") for answer in expected.values()), expected
    runs, detected, wrong = 0, 0, []
    for how in DAMAGES:
        for _ in range(times):
            directory = work / "db"
            shutil.copytree(pristine / "db", directory)
            paths = sorted(path for path in directory.glob(KINDS[kind]) if path.stat().st_size)
            path = choose.choice(paths)
            older = pristine / "older" / path.relative_to(directory)
            if damage(how, path, paths, older, choose):
                runs += 1
                noticed, mistakes = judge(expected, observe(directory), history, prefix=kind == "log")
                detected += noticed
                wrong += [f"{how} {path.name}: {mistake}" for mistake in mistakes]
            shutil.rmtree(directory)
    report(kind, runs, detected, wrong)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
