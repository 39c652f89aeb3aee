"""Idempotency keys: the newest are known, the same ones before and after a restart, and no others stay stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_support import SCHEMA, batch_of

from vecstore.config import Limits, Settings
from vecstore.engine import keys
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.storage.interfaces import Family
from vecstore.types import UpsertRequest

SETTINGS = Settings(limits=Limits(idempotency_keys_max=2))


def write(db: Database, id: int, key: str) -> int:
    return db.write(UpsertRequest("c", batch_of([id]), idempotency_key=key)).seq


def stored(db: Database) -> list[int]:
    number = db.collection("c").number
    return [int(key.rsplit(b"/", 1)[1], 16) for key, _ in db._storage.kv.scan(Family.META, *keys.receipts(number))]


@pytest.mark.parametrize("restart", [False, True])
def test_a_key_that_has_fallen_out_names_a_new_write(tmp_path: Path, restart: bool) -> None:
    db = Database.open(tmp_path, SETTINGS)
    db.create_collection("c", SCHEMA)
    assert [write(db, 1, "a"), write(db, 2, "b"), write(db, 3, "c")] == [1, 2, 3]
    if restart:
        db.close()
        db = Database.open(tmp_path, SETTINGS)
    with db:
        with pytest.raises(InvalidArgument, match="'c' was used for another write, seq 3"):
            write(db, 4, "c")
        assert write(db, 2, "b") == 2
        assert write(db, 4, "a") == 4  # another write than the first time, under a key that is free again
        assert write(db, 3, "c") == 3
        assert write(db, 5, "b") == 5
        assert write(db, 6, "d") == 6
        assert stored(db) == [4, 5, 6]  # 4 fell out with the last one, and goes with the next
        assert write(db, 7, "e") == 7
        assert stored(db) == [5, 6, 7]


def test_what_falls_out_together_is_removed(tmp_path: Path) -> None:
    with Database.open(tmp_path, SETTINGS) as db:
        db.create_collection("c", SCHEMA)
        for round in range(5):
            futures = [db.submit(UpsertRequest("c", batch_of([n]), idempotency_key=f"{round} {n}")) for n in range(20)]
            for future in futures:
                future.result()
        write(db, 1, "last")
        write(db, 2, "and one")
        assert len(stored(db)) == 3
