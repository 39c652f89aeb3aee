"""`python disk_child.py SCENARIO DIRECTORY`: the engine meets a full disk in a process of its own. Ends with 0 when all
is as promised."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from crash_engine import check_nothing_is_left_over, new_ledgers, open_client, write_some
from crash_oracle import Ledger, check_database, create_collections

from vecstore.client._sync.client import Client
from vecstore.engine.database import Database
from vecstore.errors import ResourceExhausted
from vecstore.types import OperationState


def fill(client: Client, ledgers: list[Ledger], choose: random.Random) -> None:
    """Write until three requests in a row are refused, each with nothing of it visible."""
    refused = 0
    for turn in range(20_000):
        ledger = ledgers[turn % 2]
        intent = {"op": "upsert", "keys": choose.sample(range(300), 40), "version": ledger.versions + 1}
        try:
            ledger.send(client.collection(ledger.collection), intent)
            refused = 0
        except ResourceExhausted as error:
            if error.reason != "DISK_FULL":
                raise
            ledger.settle(False)
            refused += 1
            if refused == 3:
                break
    assert refused == 3, "never full"
    check_database(client, ledgers)


def resume(directory: Path, client: Client, ledgers: list[Ledger], choose: random.Random) -> None:
    """There is room again: writes go on without a restart, and a restart finds everything."""
    write_some(client, ledgers, choose, 20)
    for name in ("numbers", "mixed"):
        client.collection(name).compact(timeout_s=60)
    check_database(client, ledgers)
    client.close()
    client = open_client(directory, maintenance=False)
    check_database(client, ledgers)
    client.close()
    check_nothing_is_left_over(directory)


def start(directory: Path, choose: random.Random, **settings: object) -> tuple[Client, list[Ledger]]:
    client = open_client(directory / "db", **settings)
    create_collections(client)
    ledgers = new_ledgers(Path(os.environ["LEDGERS"]))
    write_some(client, ledgers, choose, 20)
    return client, ledgers


def file_size_limit(directory: Path, choose: random.Random) -> None:
    client, ledgers = start(directory, choose)
    soft = 400_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
    fill(client, ledgers, choose)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    resume(directory / "db", client, ledgers, choose)


def with_reserve(directory: Path, choose: random.Random) -> None:
    """The reserve is left for deletes and for the end of a compaction, so those go on."""
    client, ledgers = start(directory, choose, disk_reserve_bytes=16 << 20, wal_bytes_max=4 << 20)
    occupy(directory, 18 << 20)
    fill(client, ledgers, choose)
    deletes = ({"op": "delete", "keys": list(range(0, 300, 3))}, {"op": "delete_where", "bucket": 1})
    for ledger in ledgers:
        for intent in deletes:
            ledger.send(client.collection(ledger.collection), intent)
    check_database(client, ledgers)
    try:
        database: Database = client._transport  # type: ignore[assignment]
        database._storage.kv.checkpoint(directory / "copy")
    except ResourceExhausted:
        assert not (directory / "copy").exists()
    vacate(directory)
    resume(directory / "db", client, ledgers, choose)


def while_sealing(directory: Path, choose: random.Random) -> None:
    """Rows wait to be sealed and there is no room for the segment: everything stays readable."""
    client, ledgers = start(directory, choose, maintenance=False)
    occupy(directory, 16 << 10)
    database: Database = client._transport  # type: ignore[assignment]
    for name in ("numbers", "mixed"):
        operation = database.wait_operation(database.compact(name).id, 60)
        assert operation.state is OperationState.FAILED, operation
        assert "DISK_FULL" in (operation.error or ""), operation
    assert list((directory / "db" / "staging").iterdir()) == []
    check_database(client, ledgers)
    vacate(directory)
    resume(directory / "db", client, ledgers, choose)


def occupy(directory: Path, leave_bytes: int) -> None:
    status = os.statvfs(directory)
    with open(directory / "ballast", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - leave_bytes)


def vacate(directory: Path) -> None:
    (directory / "ballast").unlink()
    subprocess.run(["sync", "-f", str(directory)], check=True)


SCENARIOS: dict[str, Callable[[Path, random.Random], None]] = {
    "file size limit": file_size_limit,
    "reserve": with_reserve,
    "sealing": while_sealing,
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]), random.Random(int(sys.argv[3])))
