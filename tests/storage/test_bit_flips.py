"""A flipped bit in any file is detected or harmless: a typed error or just what was written, never a wrong answer."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from faults.children import run_python

from vecstore.config import Storage as StorageSettings
from vecstore.errors import Corruption, FailedPrecondition, IoFailed, VecstoreError
from vecstore.storage.format import CHUNK_BYTES, FILE_KINDS, FileKind
from vecstore.storage.interfaces import BlobRef, Family
from vecstore.storage.open import open_storage
from vecstore.storage.rocks_framing import check_framing
from vecstore.storage.staging import load_staged, stage_blobs

PATTERNS = {
    FileKind.FORMAT: "FORMAT.json",
    FileKind.WAL: "rocksdb/*.log",
    FileKind.SST: "rocksdb/*.sst",
    FileKind.MANIFEST: "rocksdb/MANIFEST-*",
    FileKind.CURRENT: "rocksdb/CURRENT",
    FileKind.CACHE: "cache/*",
    FileKind.STAGED: "staging/*/staged.json",
}
BLOB = random.Random(5).randbytes(2 * CHUNK_BYTES + 1000)
LOG = {i.to_bytes(4, "big"): random.Random(i).randbytes(900) for i in range(300)}
ROUNDS = 12

# Leaves a log to replay, tables, a manifest, a cache file, and a staging directory, as a killed process does.
BUILD = """
import os, random, sys
from vecstore.config import Storage
from vecstore.storage.format import CHUNK_BYTES
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import open_storage
from vecstore.storage.staging import stage_blobs
blob = random.Random(5).randbytes(2 * CHUNK_BYTES + 1000)
storage = open_storage(sys.argv[1], Storage())
def put(numbers):
    for i in numbers:
        storage.kv.write([Put(Family.LOG, i.to_bytes(4, "big"), random.Random(i).randbytes(900))])
put(range(150))
storage.blobs.put_new("s/a", [blob])
storage.close()
storage = open_storage(sys.argv[1], Storage())
put(range(150, 300))
storage.kv.durable(storage.kv.write([]))
stage_blobs(storage.staging_dir / "one", [("s/b", [blob])])
os._exit(0)
"""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "db"
    run_python(BUILD, directory)
    return directory


def read_everything(directory: Path) -> tuple[dict[bytes, bytes], dict[str, bytes]]:
    """What a user of the store sees, and what it would take over from the worker. Raises typed errors only."""
    storage = open_storage(directory, StorageSettings())
    try:
        log = dict(storage.kv.scan(Family.LOG, b"", b"\xff"))
        staged = load_staged(directory / "staging" / "one")
        storage.blobs.publish(staged)
        ref = BlobRef("s/a", len(BLOB), staged.refs[0].checksum)
        return log, {name: bytes(storage.blobs.map(BlobRef(name, *ref_of(ref)))) for name in ("s/a", "s/b")}
    finally:
        storage.close()


def ref_of(ref: BlobRef) -> tuple[int, int]:
    return ref.length, ref.checksum


def test_the_pristine_directory_reads_whole(pristine: Path, tmp_path: Path) -> None:
    directory = tmp_path / "db"
    shutil.copytree(pristine, directory)
    assert all(list(directory.glob(pattern)) for pattern in PATTERNS.values())
    assert read_everything(directory) == (LOG, {"s/a": BLOB, "s/b": BLOB})


def test_every_kind_of_file_is_covered() -> None:
    assert set(PATTERNS) == set(FILE_KINDS)


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_flipped_bit_is_detected_or_harmless(pristine: Path, tmp_path: Path, kind: FileKind) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    choose = random.Random(seed)
    detected = 0
    for round_number in range(ROUNDS):
        directory = tmp_path / f"db{round_number}"
        shutil.copytree(pristine, directory)
        paths = [path for path in directory.glob(PATTERNS[kind]) if path.stat().st_size > 0]
        path = max(paths, key=lambda path: path.stat().st_size) if kind is FileKind.WAL else choose.choice(paths)
        size = path.stat().st_size
        position = choose.randrange(size)
        flip(path, position, choose.randrange(8))
        try:
            log, blobs = read_everything(directory)
        except (Corruption, FailedPrecondition, IoFailed):
            detected += 1
        else:
            assert log == LOG, f"{path.name} byte {position}"
            assert blobs == {"s/a": BLOB, "s/b": BLOB}, f"{path.name} byte {position}"
        shutil.rmtree(directory)
    # A flip in a cache file is repaired from RocksDB; one in FORMAT.json's newline is nothing.
    if kind in (FileKind.WAL, FileKind.STAGED, FileKind.CURRENT):
        assert detected == ROUNDS


def flip(path: Path, position: int, bit: int = 3) -> None:
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def open_with_blob(directory: Path) -> BlobRef:
    storage = open_storage(directory, StorageSettings())
    ref = storage.blobs.put_new("s/a", [BLOB])
    storage.close()
    return ref


@pytest.mark.parametrize("damage", ["flip", "flip in table", "truncate", "empty", "append", "delete", "zero a page"])
def test_a_damaged_cache_file_is_rebuilt(tmp_path: Path, damage: str) -> None:
    ref = open_with_blob(tmp_path / "db")
    cache = tmp_path / "db" / "cache" / "s+a"
    match damage:
        case "flip":
            flip(cache, CHUNK_BYTES + 5)
        case "flip in table":
            flip(cache, len(BLOB) + 50)
        case "truncate":
            os.truncate(cache, len(BLOB) - 1)
        case "empty":
            os.truncate(cache, 0)
        case "append":
            os.truncate(cache, cache.stat().st_size + 1)
        case "delete":
            cache.unlink()
        case "zero a page":
            cache.write_bytes(bytes(4096) + cache.read_bytes()[4096:])
    storage = open_storage(tmp_path / "db", StorageSettings())
    assert bytes(storage.blobs.map(ref)) == BLOB
    storage.close()
    assert cache.read_bytes()[: len(BLOB)] == BLOB
    assert os.listdir(cache.parent) == ["s+a"]


def damage_sst(directory: Path) -> None:
    sst = max((directory / "rocksdb").glob("*.sst"), key=lambda path: path.stat().st_size)
    flip(sst, sst.stat().st_size // 2)


def test_a_good_cache_file_serves_on_when_rocksdb_is_damaged_and_verify_says_so(tmp_path: Path) -> None:
    ref = open_with_blob(tmp_path / "db")
    damage_sst(tmp_path / "db")
    storage = open_storage(tmp_path / "db", StorageSettings())
    try:
        assert bytes(storage.blobs.map(ref)) == BLOB
        with pytest.raises(VecstoreError, match=r"s/a chunk 1") as caught:
            storage.blobs.verify(ref)
        assert caught.value.reason == "CHECKSUM_MISMATCH"
        with pytest.raises(VecstoreError, match=r"s/a chunk 1"):
            storage.blobs.read_ranges(ref, [(0, len(BLOB))])
    finally:
        storage.close()


def test_both_copies_damaged_is_corruption(tmp_path: Path) -> None:
    ref = open_with_blob(tmp_path / "db")
    damage_sst(tmp_path / "db")
    flip(tmp_path / "db" / "cache" / "s+a", 7)
    storage = open_storage(tmp_path / "db", StorageSettings())
    with pytest.raises(VecstoreError) as caught:
        storage.blobs.map(ref)
    assert caught.value.reason == "CHECKSUM_MISMATCH"
    storage.close()
    open_storage(tmp_path / "db", StorageSettings()).close()  # although somebody keeps the error


def test_without_verify_on_open_the_length_and_the_table_are_still_checked(tmp_path: Path) -> None:
    ref = open_with_blob(tmp_path / "db")
    cache = tmp_path / "db" / "cache" / "s+a"
    os.truncate(cache, 1000)
    storage = open_storage(tmp_path / "db", StorageSettings(verify_on_open=False))
    assert bytes(storage.blobs.map(ref)) == BLOB
    storage.close()


def test_a_staged_file_that_was_cut_is_not_published(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "db", StorageSettings())
    assert storage.staging_dir is not None
    staged = stage_blobs(storage.staging_dir / "one", [("s/a", [BLOB])])
    os.truncate(staged.directory / "blobs.sst", 100)
    with pytest.raises(VecstoreError):
        storage.blobs.publish(staged)
    assert list(storage.blobs.list("")) == []
    storage.close()


@pytest.mark.parametrize("pattern", ["rocksdb/MANIFEST-*", "rocksdb/*.log"])
@pytest.mark.parametrize("kind", [5, 6, 7, 8, 11, 131])
def test_a_record_type_that_makes_rocksdb_spin_is_refused_before_it_opens(
    pristine: Path, tmp_path: Path, pattern: str, kind: int
) -> None:
    directory = tmp_path / "db"
    shutil.copytree(pristine, directory)
    path = max(directory.glob(pattern), key=lambda path: path.stat().st_size)
    first = 7 + int.from_bytes(path.read_bytes()[4:6], "little")  # the second record's header starts here
    content = bytearray(path.read_bytes())
    content[first + 6] = kind
    path.write_bytes(content)
    with pytest.raises(Corruption, match=f"type {kind} at byte {first}"):
        open_storage(directory, StorageSettings())


def records(content: bytes) -> list[int]:
    """Where the records of a log file of one block or more start."""
    starts, at = [], 0
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        starts.append(at)
        at += 7 + int.from_bytes(content[at + 4 : at + 6], "little")
    return starts


def test_no_flipped_bit_in_the_lengths_of_the_last_records_passes_for_a_torn_tail(
    pristine: Path, tmp_path: Path
) -> None:
    path = max(pristine.glob("rocksdb/*.log"), key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    copy = tmp_path / path.name
    copy.write_bytes(content)
    check_framing(copy)
    looked_torn = 0
    for start in records(content)[-12:]:
        for bit in range(16):
            damaged = bytearray(content)
            damaged[start + 4 + bit // 8] ^= 1 << bit % 8
            length = int.from_bytes(damaged[start + 4 : start + 6], "little")
            if start + 7 + length <= len(content):
                continue  # RocksDB reads another checksum there and refuses
            looked_torn += 1
            copy.write_bytes(damaged)
            with pytest.raises(Corruption, match=f"damaged length at byte {start}"):
                check_framing(copy)
    assert looked_torn > 12


@pytest.mark.parametrize("cut", [1, 6, 7, 8, 500, 900, 5000])
def test_every_torn_tail_is_accepted(pristine: Path, tmp_path: Path, cut: int) -> None:
    directory = tmp_path / "db"
    shutil.copytree(pristine, directory)
    path = max(directory.glob("rocksdb/*.log"), key=lambda path: path.stat().st_size)
    os.truncate(path, path.stat().st_size - cut)
    storage = open_storage(directory, StorageSettings())
    found = list(storage.kv.scan(Family.LOG, b"", b"\xff"))
    assert found == sorted(LOG.items())[: len(found)]
    assert len(found) >= 300 - 1 - cut // 900
    storage.close()
