"""T10: fields that lie under right checksums end in typed errors or in an answer, never in a crash."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rot_hostile import KINDS, encode, twist
from rot_process import TIMES, run_damage

from vecstore.engine import keys
from vecstore.engine.aliases import read_table
from vecstore.errors import Corruption
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.memory import MemoryKV


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_bytes_under_right_checksums(pristine: Path, tmp_path: Path, kind: str) -> None:
    told = run_damage("rot_hostile.py", pristine, tmp_path, kind, 8 * TIMES)
    assert told["wrong"] == []
    assert told["detected"] > 0


def test_hostile_aliases_stand_for_a_collection_or_are_damage() -> None:
    seed = random.randrange(1 << 32)
    print(f"SEED={seed}")
    choose = random.Random(seed)
    collections: Any = [
        SimpleNamespace(number=number, record=SimpleNamespace(name=name, dropping=name == "gone"))
        for number, name in enumerate(("docs", "live", "gone"), 1)
    ]
    refused = 0
    for _ in range(400):
        kv = MemoryKV()
        record = twist({"alias": "x", "collection": choose.choice([1, 2, 3])}, choose)
        name = record.get("alias") if choose.random() < 0.5 else "x"
        key = keys.alias(name if isinstance(name, str) else "x")
        kv.write([Put(Family.META, key, encode("AliasRecord", record))])
        try:
            table = read_table(kv, collections)
        except Corruption:
            refused += 1
            continue
        assert set(table) <= {record["alias"]} - {"docs", "live"}
        assert set(table.values()) <= {"docs", "live"}
    assert 100 < refused < 400
