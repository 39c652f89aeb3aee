"""kill -9 at random moments: everything acknowledged is there, whole and in order, and a batch is never torn."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from faults.children import start_python

from vecstore.config import Storage as StorageSettings
from vecstore.errors import AlreadyExists
from vecstore.storage.interfaces import Family
from vecstore.storage.open import open_storage

# Writes batches over three families, blobs and trims; prints what is acknowledged.
WRITER = """
import sys
from vecstore.config import Storage
from vecstore.storage.interfaces import DeleteRange, Family, Put
from vecstore.storage.open import open_storage
storage = open_storage(sys.argv[1], Storage(wal_bytes_max=1 << 20))
kv = storage.kv
i = int.from_bytes(kv.get(Family.META, b"next") or b"", "big")
print("ready", flush=True)
while True:
    key = i.to_bytes(8, "big")
    position = kv.write([
        Put(Family.LOG, key, key * 4000), Put(Family.TOMBSTONES, key, key),
        Put(Family.META, b"next", (i + 1).to_bytes(8, "big")),
    ])
    if i % 3 == 0:
        kv.durable(position)
        print("acked", i, flush=True)
    if i % 50 == 49:
        ref = storage.blobs.put_new(f"s/{i}", [key * 1000])
        kv.durable(kv.write([Put(Family.META, b"blob" + key, ref.name.encode()),
                             DeleteRange(Family.LOG, b"", (i - 40).to_bytes(8, "big")),
                             Put(Family.META, b"first", (i - 40).to_bytes(8, "big"))]))
        print("blob", i, flush=True)
    i += 1
"""


@pytest.mark.parametrize("rounds", [6])
def test_acknowledged_batches_survive_kill_9(tmp_path: Path, rounds: int) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    choose = random.Random(seed)
    acked, blobs = -1, set()
    for number in range(10 * rounds):
        if number >= rounds and acked > 0:
            break  # where little happens in a round, more of them
        child = start_python(WRITER, tmp_path / "db")
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(choose.uniform(0.02, 0.5))
        child.kill()
        for line in child.communicate()[0].splitlines(keepends=True):
            if line.endswith("\n"):
                kind, number = line.split()
                acked = max(acked, int(number))
                if kind == "blob":
                    blobs.add(int(number))
        storage = open_storage(tmp_path / "db", StorageSettings())
        check(storage.kv, acked)
        named = {}
        for key, name in storage.kv.scan(Family.META, b"blob", b"bloc"):
            named[name.decode()] = key[4:] * 1000
        assert {f"s/{i}" for i in blobs} <= set(named)
        storage.blobs.sweep(set(named))
        refs = {ref.name: ref for ref in storage.blobs.list("")}
        assert {name: bytes(storage.blobs.map(refs[name])) for name in named} == named
        for name in named:
            with pytest.raises(AlreadyExists):
                storage.blobs.put_new(name, [b""])
        storage.close()
    assert acked > 0


def check(kv, acked: int) -> None:
    """All of 0..n-1 for one n beyond what was acknowledged, in each family."""
    count = int.from_bytes(kv.get(Family.META, b"next") or b"", "big")
    first = int.from_bytes(kv.get(Family.META, b"first") or b"", "big")
    assert count > acked
    log = list(kv.scan(Family.LOG, b"", b"\xff" * 9))
    assert [key for key, _ in log] == [i.to_bytes(8, "big") for i in range(first, count)]
    assert all(value == key * 4000 for key, value in log)
    assert [key for key, _ in kv.scan(Family.TOMBSTONES, b"", b"\xff" * 9)] == [
        i.to_bytes(8, "big") for i in range(count)
    ]
