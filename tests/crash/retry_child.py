"""`python retry_child.py DIRECTORY POINT WHEN NTH`: the writes of that test, by a process that dies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from crash_engine import open_client
from crash_points import POINTS, arm

import vecstore
from vecstore import Batch, F
from vecstore.client._sync.client import Client
from vecstore.types import WriteResult


def writes(client: Client) -> list[WriteResult]:
    """Writes that give another answer when they are done twice, each under a name."""
    docs = client.create_collection("docs", {"v": vecstore.Dense(2, metric="l2")}, exist_ok=True)
    rows: Any = [[1, 0], [0, 1], [1, 1]]
    payloads = [{"n": n} for n in range(3)]
    return [
        docs.upsert([1, 2, 3], rows, payloads, mode="insert_only", idempotency_key="a"),
        docs.delete(filter=F("n").eq(1), idempotency_key="b"),
        docs.set_payload({"n": 7}, filter=F("n").eq(2), idempotency_key="c"),
        docs.update_batch(
            Batch().delete(filter=F("n").eq(7)).upsert([4, 1], rows[:2], mode="insert_only"), idempotency_key="d"
        ),
        docs.upsert([4], rows[:1], expected_seqs=4, idempotency_key="e"),
    ]


def main(directory: Path, name: str, when: str, nth: int) -> None:
    client = open_client(directory, maintenance=False)
    client.create_collection("docs", {"v": vecstore.Dense(2, metric="l2")}, exist_ok=True)
    arm(POINTS[name], when, nth)
    writes(client)
    client.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
