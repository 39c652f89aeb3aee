"""The embedded engine with thresholds so small that sealing and merging go on all the time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
from crash_oracle import COLLECTIONS, Ledger
from faults.leftovers import orphans

from vecstore.client._sync.client import Client
from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.storage.open import Storage as OpenStorage

TINY = Storage(seal_rows=120, merge_factor=3, in_place_rows=250, disk_reserve_bytes=0)


def client_of(database: Database) -> Client:
    return Client(database, target="embedded", timeout_s=60)


def open_client(path: Path, **storage: object) -> Client:
    """The database in `path`; `storage` replaces settings of TINY."""
    return client_of(Database.open(path, Settings(storage=msgspec.structs.replace(TINY, **storage))))


def client_over(storage: OpenStorage, **settings: object) -> Client:
    """A database over a storage that the test made."""
    return client_of(Database(storage, Settings(storage=msgspec.structs.replace(TINY, **settings))))


def new_ledgers(directory: Path) -> list[Ledger]:
    """One for each collection."""
    return [Ledger(directory / f"ledger-{name}", number, name) for number, name in enumerate(COLLECTIONS)]


def write_some(client: Client, ledgers: Sequence[Ledger], choose: random.Random, count: int) -> None:
    """`count` requests, of the writers in turn."""
    for turn in range(count):
        ledger = ledgers[turn % len(ledgers)]
        ledger.send(client.collection(ledger.collection), ledger.choose(choose))


def check_nothing_is_left_over(path: Path) -> None:
    """Opening sweeps; afterwards the directory holds what its manifests name and nothing else."""
    open_client(path, maintenance=False).close()
    assert orphans(path) == []
