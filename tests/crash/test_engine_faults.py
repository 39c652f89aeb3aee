"""The engine over a KV that refuses, fails or forgets at its Nth step: typed errors, nothing visible, no false ack."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from crash_engine import client_over, new_ledgers, write_some
from crash_oracle import COLLECTIONS, check_database, create_collections
from faults.faulty_kv import Fault, FaultyKV, PowerLossKV

from vecstore.config import Storage as StorageSettings
from vecstore.errors import IoFailed, ResourceExhausted, VecstoreError
from vecstore.storage.memory import MemoryBlobs, MemoryKV
from vecstore.storage.open import Storage, open_storage

REQUESTS = 60


def new_seed() -> int:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    return seed


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 13, 21, 34, 55, 70])
def test_a_refused_write_leaves_no_trace_and_later_ones_work(tmp_path: Path, at: int) -> None:
    choose = random.Random(new_seed())
    kv = MemoryKV()
    blobs = MemoryBlobs()
    client = client_over(Storage(kv, blobs, None, None))
    create_collections(client)
    ledgers = new_ledgers(tmp_path)
    write_some(client, ledgers, choose, 10)
    client.close()
    kv._closed = False
    faulty = FaultyKV(kv, Fault.REFUSE_WRITE, at, times=3)
    client = client_over(Storage(faulty, blobs, None, None))
    reasons = []
    for turn in range(REQUESTS):
        try:
            write_some(client, ledgers[turn % 2 :], choose, 1)
        except ResourceExhausted as error:
            reasons.append(error.reason)
            ledgers[turn % 2].settle(False)
            check_database(client, ledgers)
    assert set(reasons) <= {"DISK_FULL"}
    check_database(client, ledgers)
    client.close()
    kv._closed = False
    client = client_over(Storage(kv, blobs, None, None))
    check_database(client, ledgers)
    client.close()
    assert faulty.fired == 3


@pytest.mark.parametrize("fault", [Fault.FAIL_DURABLE, Fault.FAIL_WRITE])
@pytest.mark.parametrize("at", [1, 2, 4, 9, 17, 33, 60])
def test_after_a_failed_fsync_reads_go_on_and_writes_do_not(tmp_path: Path, at: int, fault: Fault) -> None:
    choose = random.Random(new_seed())
    ledgers = new_ledgers(tmp_path)
    storage = open_storage(tmp_path / "db", StorageSettings(disk_reserve_bytes=0))
    client = client_over(storage)
    create_collections(client)
    write_some(client, ledgers, choose, 10)
    client.close()
    storage = open_storage(tmp_path / "db", StorageSettings(disk_reserve_bytes=0))
    faulty = FaultyKV(storage.kv, fault, at)
    client = client_over(Storage(faulty, storage.blobs, storage.staging_dir, storage.path))
    with pytest.raises(IoFailed) as caught:
        write_some(client, ledgers, choose, 200)
    assert caught.value.reason == "IO_FAILED"
    assert sum(ledger.pending is not None for ledger in ledgers) == 1
    check_database(client, ledgers, settle=False)
    for name in COLLECTIONS:
        with pytest.raises(IoFailed):
            client.collection(name).delete([1])
    with pytest.raises(IoFailed):
        client.delete_collection("mixed")
    check_database(client, ledgers, settle=False)
    client.close()
    client = client_over(open_storage(tmp_path / "db", StorageSettings(disk_reserve_bytes=0)))
    check_database(client, ledgers)
    write_some(client, ledgers, choose, 4)
    check_database(client, ledgers)
    client.close()


@pytest.mark.parametrize("surviving", [0, 1, 3])
def test_power_loss_keeps_everything_acknowledged(tmp_path: Path, surviving: int) -> None:
    """Unsynced batches vanish, all of them or but the first few, at random moments, with seals and merges on."""
    choose = random.Random(new_seed())
    ledgers = new_ledgers(tmp_path)
    kv, blobs = PowerLossKV(), MemoryBlobs()
    client = client_over(Storage(kv, blobs, None, None))
    create_collections(client)
    for _ in range(12):
        faulty = FaultyKV(kv, Fault.FAIL_DURABLE, choose.randrange(2, 40))
        client = client_over(Storage(faulty, blobs, None, None))
        with pytest.raises(IoFailed):
            write_some(client, ledgers, choose, 200)
        kept = kv.lose_power(surviving)
        with pytest.raises(VecstoreError):
            client.collection("numbers").delete([1])
        client.close()
        kv = PowerLossKV()
        kv._families, kv._disk._families = kept._families, {family: dict(r) for family, r in kept._families.items()}
        client = client_over(Storage(kv, blobs, None, None))
        check_database(client, ledgers)
        client.close()
        kv._closed = False


def test_a_write_that_asks_for_less_durability_may_be_lost_but_never_torn(tmp_path: Path) -> None:
    choose = random.Random(new_seed())
    ledgers = new_ledgers(tmp_path)
    kv, blobs = PowerLossKV(), MemoryBlobs()
    client = client_over(Storage(kv, blobs, None, None), maintenance=False)
    create_collections(client)
    write_some(client, ledgers, choose, 6)
    check_database(client, ledgers)
    before = {point.id for point in client.collection("numbers").scroll()}
    fresh = list(range(5_000_000, 5_000_040))
    vectors = [[float(number % 100)] * 8 for number in fresh]
    client.collection("numbers").upsert(fresh, vectors, durability="os")
    client.collection("numbers").delete(fresh[:10], durability="os")
    disk = kv.lose_power(choose.randrange(3))
    client.close()
    client = client_over(Storage(disk, blobs, None, None), maintenance=False)
    new = {point.id for point in client.collection("numbers").scroll()} - before
    assert new in (set(), set(fresh), set(fresh[10:]))
    client.close()
