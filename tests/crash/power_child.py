"""`python power_child.py DIRECTORY SEED`: writes to DIRECTORY/db while it is recorded, see test_power_cuts.py."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from crash_engine import TINY, client_of, new_ledgers, write_some
from crash_oracle import create_collections

import vecstore
from vecstore.config import Settings
from vecstore.engine.database import Database


def main(directory: Path, seed: int) -> None:
    database = Database.open(directory / "db", Settings(storage=TINY))
    client, ledgers, choose = client_of(database), new_ledgers(directory), random.Random(seed)
    create_collections(client)
    (directory / "created").touch()
    for turn in range(4):
        write_some(client, ledgers, choose, 14)
        if turn == 1:
            client.collection("numbers").compact()
            passing = client.create_collection("passing", vecstore.Dense(4))
            passing.upsert([1, 2], [[1, 0, 0, 0], [0, 1, 0, 0]])
            client.delete_collection("passing")
        if turn == 2:
            assert database.wait_operation(database.create_snapshot("a").id, 60).error is None
            (directory / "snapshot").write_text(json.dumps(database.list_snapshots()[0].points))
    client.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
