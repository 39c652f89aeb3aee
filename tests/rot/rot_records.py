"""`python rot_records.py PRISTINE WORK KIND SEED TIMES`: damages records inside RocksDB, where its own checksums do not
look, as a bug or an attacker would. Prints one JSON line as `rot_files.py` does."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

from rot_support import judge, observe, report

from vecstore.config import Storage as StorageSettings
from vecstore.engine import keys
from vecstore.storage.interfaces import Delete, Family, Op, Put
from vecstore.storage.open import open_storage

KINDS = {
    "collection": (Family.META, b"collection/", b"collection0"),
    "manifest": (Family.META, b"manifest/", b"manifest0"),
    "aliases": (Family.META, keys.ALIASES_LOW, keys.ALIASES_HIGH),
    "log": (Family.LOG, b"", b"\xff" * 14),
    "tombstones": (Family.TOMBSTONES, b"", b"\xff" * 20),
}
# A tombstone or an alias that is gone leaves no trace: RocksDB's block checksums cover its key.
TRACELESS = ("tombstones", "aliases")
DAMAGES = ("flip", "zero", "truncate", "append", "delete", "swap", "older")


def pairs_of(directory: Path, kind: str) -> dict[bytes, bytes]:
    storage = open_storage(directory, StorageSettings())
    try:
        return dict(storage.kv.scan(*KINDS[kind]))
    finally:
        storage.close()


def damage(
    how: str, pairs: dict[bytes, bytes], older: dict[bytes, bytes], kind: str, choose: random.Random
) -> list[Op]:
    """What to write; empty when there is nothing to change."""
    family = KINDS[kind][0]
    key = choose.choice(sorted(pairs))
    value = pairs[key]
    match how:
        case "flip":
            at = choose.randrange(len(value))
            return [Put(family, key, value[:at] + bytes([value[at] ^ 1 << choose.randrange(8)]) + value[at + 1 :])]
        case "zero":
            at = choose.randrange(len(value))
            return [Put(family, key, value[:at] + bytes(len(value[at : at + 512])) + value[at + 512 :])]
        case "truncate":
            return [Put(family, key, value[: choose.randrange(len(value))])]
        case "append":
            return [Put(family, key, value + choose.randbytes(choose.randrange(1, 100)))]
        case "delete":
            return [] if kind in TRACELESS else [Delete(family, key)]
        case "swap":
            other = choose.choice(sorted(pairs))
            return [Put(family, key, pairs[other]), Put(family, other, value)] if pairs[other] != value else []
        case _:
            return [Put(family, key, older[key])] if older.get(key, value) != value else []


def main(pristine: Path, work: Path, kind: str, seed: int, times: int) -> None:
    choose = random.Random(seed)
    history = json.loads((pristine / "history.json").read_text())
    shutil.copytree(pristine / "db", work / "whole")
    shutil.copytree(pristine / "older", work / "older")
    expected = observe(work / "whole")
    pairs, older = pairs_of(work / "whole", kind), pairs_of(work / "older", kind)
    runs, detected, wrong = 0, 0, []
    for how in DAMAGES:
        for _ in range(times):
            directory = work / "db"
            shutil.copytree(pristine / "db", directory)
            changed = damage(how, pairs, older, kind, choose)
            if changed:
                storage = open_storage(directory, StorageSettings())
                storage.kv.durable(storage.kv.write(changed))
                storage.close()
                runs += 1
                # The last log record of a collection leaves no gap.
                prefix = kind == "log" and how == "delete"
                noticed, mistakes = judge(expected, observe(directory), history, prefix=prefix)
                detected += noticed
                wrong += [f"{how} {changed[0].key!r}: {mistake}" for mistake in mistakes]
            shutil.rmtree(directory)
    report(kind, runs, detected, wrong)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
