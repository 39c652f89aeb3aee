"""`python crash_child.py`, then a line `DIRECTORY POINT WHEN NTH SEED` for each child, which writes to DIRECTORY/db and
dies at the given step. Its exit status is printed: 0 when the step was never reached.

POINT "none" just writes, and dies with work left for the next open. Children are forked: to import everything takes
longer than what they do.
"""

from __future__ import annotations

import os
import random
import shlex
import sys
import traceback
from pathlib import Path

from crash_engine import new_ledgers, open_client, write_some
from crash_oracle import check_database, create_collections
from crash_points import POINTS, arm

import vecstore

REQUESTS = 240


def main(directory: Path, name: str, when: str, nth: int, seed: int) -> None:
    point = POINTS.get(name)
    ledgers = new_ledgers(directory)
    if point is not None and point.opening:
        arm(point, when, nth)
    built_here = {"in_place_rows": 0} if point is not None and point.worker else {}
    client = open_client(directory / "db", **built_here)
    if point is not None and point.opening:
        return
    create_collections(client)
    check_database(client, ledgers)
    choose = random.Random(seed)
    if point is None:
        write_some(client, ledgers, choose, 60)
        os._exit(0)
    write_some(client, ledgers, choose, 6)
    arm(point, when, nth)
    for turn in range(REQUESTS):
        write_some(client, ledgers[turn % 2 :], choose, 1)
        if turn % 60 == 20:
            client.collection("mixed").create_field_index("key", "integer")
        if turn % 60 == 50:
            client.collection("mixed").delete_field_index("key")
            client.collection("numbers").compact()
            passing = client.create_collection("passing", vecstore.Dense(4), exist_ok=True)
            passing.upsert([1, 2], [[1, 0, 0, 0], [0, 1, 0, 0]])
            passing.compact()
            client.delete_collection("passing")
    client.close()


if __name__ == "__main__":
    for line in sys.stdin:
        directory, name, when, nth, seed = shlex.split(line)
        child = os.fork()
        if child == 0:
            try:
                main(Path(directory), name, when, int(nth), int(seed))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
