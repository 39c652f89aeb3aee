"""A failed fsync is final: the store turns read-only, and after reopening everything acknowledged is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.children import run_python
from faults.preload import build_preload, preload_environment

from vecstore.config import Storage as StorageSettings
from vecstore.storage.interfaces import Family
from vecstore.storage.open import open_storage

# The fault passes after COUNT calls, so that a store which tries again would believe it.
SCRIPT = """
import sys
from pathlib import Path
from vecstore.config import Storage
from vecstore.errors import IoFailed
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import open_storage

plan = Path(sys.argv[2])
storage = open_storage(sys.argv[1], Storage())
kv = storage.kv
for i in range(20):
    kv.durable(kv.write([Put(Family.LOG, bytes([i]), b"acked")]))
ref = storage.blobs.put_new("s/a", [b"blob"])
position = kv.write([Put(Family.LOG, b"\\xf0", b"not acked")])
plan.write_text(sys.argv[3])

def refuses(call):
    try:
        call()
    except IoFailed as error:
        assert error.reason == "IO_FAILED", error
        return
    raise AssertionError(f"{call} was believed")

refuses(lambda: kv.durable(position))
assert plan.read_text().split()[2] == "0", "the fault did not fire"
refuses(lambda: kv.durable(position))
refuses(lambda: kv.write([Put(Family.LOG, b"\\xf1", b"after")]))
refuses(lambda: storage.blobs.put_new("s/b", [b"after"]))
refuses(lambda: storage.blobs.delete("s/a"))
kv.durable(position - 1)  # was durable before
assert kv.get(Family.LOG, b"\\x00") == b"acked"
assert len(list(kv.scan(Family.LOG, b"", b"\\xff"))) == 21
assert bytes(storage.blobs.map(ref)) == b"blob"
storage.close()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_preload(tmp_path_factory.mktemp("preload"))


def test_after_a_failed_fsync_writes_are_refused_reads_go_on_and_acked_data_is_there_after_reopening(
    tmp_path: Path, library: Path
) -> None:
    plan = tmp_path / "plan"
    run_python(SCRIPT, tmp_path / "db", plan, "fsync 5 1 .log", environment=preload_environment(library, plan))
    storage = open_storage(tmp_path / "db", StorageSettings())
    acked = [key for key, value in storage.kv.scan(Family.LOG, b"", b"\xff") if value == b"acked"]
    assert acked == [bytes([i]) for i in range(20)]
    storage.kv.durable(storage.kv.write([]))
    storage.close()


def test_the_fault_library_is_needed_for_the_failure(tmp_path: Path, library: Path) -> None:
    """The same script without a fault that matches: the store is not refusing for another reason."""
    plan = tmp_path / "plan"
    with pytest.raises(AssertionError, match="was believed"):
        run_python(SCRIPT, tmp_path / "db", plan, "fsync 5 0 .log", environment=preload_environment(library, plan))


def test_a_failed_write_of_the_log_is_final_too(tmp_path: Path, library: Path) -> None:
    plan = tmp_path / "plan"
    first = "refuses(lambda: kv.durable(position))\nassert plan"
    assert first in SCRIPT
    source = SCRIPT.replace(first, "refuses(lambda: kv.write([Put(Family.LOG, b'\\xf2', b'x')]))\nassert plan")
    run_python(source, tmp_path / "db", plan, "write 5 1 .log", environment=preload_environment(library, plan))


@pytest.mark.parametrize("fault", ["fsync 5 1 MANIFEST", "fsync 5 1 .sst"])
def test_a_failed_fsync_while_ingesting_is_final(tmp_path: Path, library: Path, fault: str) -> None:
    source = """
import sys
from pathlib import Path
from vecstore.config import Storage
from vecstore.errors import IoFailed
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import open_storage
from vecstore.storage.staging import stage_blobs
plan = Path(sys.argv[2])
storage = open_storage(sys.argv[1], Storage())
staged = stage_blobs(storage.new_staging(), [("s/a", [b"blob"])])
plan.write_text(sys.argv[3])
for call in (lambda: storage.blobs.publish(staged), lambda: storage.kv.write([Put(Family.LOG, b"a", b"b")])):
    try:
        call()
    except IoFailed:
        continue
    raise AssertionError("was believed")
storage.close()
"""
    plan = tmp_path / "plan"
    run_python(source, tmp_path / "db", plan, fault, environment=preload_environment(library, plan))
    storage = open_storage(tmp_path / "db", StorageSettings())
    for ref in storage.blobs.list(""):
        assert bytes(storage.blobs.map(ref)) == b"blob"
    storage.close()
