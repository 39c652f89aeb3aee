"""`python rot_hostile.py PRISTINE WORK KIND SEED TIMES`: T10, bytes that lie under checksums that are right.

Fields of manifests, collection records, log records, tombstones and columns are changed and written back the way the
engine writes them. Then: open, ask everything, compact, ask again. Answers may differ; what must not happen is an
exception that is not of the error tree, a signal, a hang or an allocation out of proportion.
"""

from __future__ import annotations

import random
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from crash_engine import open_client
from rot_support import questions, report

from vecstore.client._sync.client import Client
from vecstore.config import Storage as StorageSettings
from vecstore.engine import keys
from vecstore.engine.header import CollectionRecord, Manifest, SegmentHeader, decode_meta, encode_meta
from vecstore.engine.records import join_parts, log_puts
from vecstore.errors import VecstoreError
from vecstore.storage.arrays import pack, unpack
from vecstore.storage.interfaces import Family, Op, Put
from vecstore.storage.open import Storage, open_storage

NUMBERS = (-1, 0, 1, 2, 7, 255, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
WORDS = (
    "", "x", "../../x", "ids.num", "seqs", "vector.a", "vector.s.offsets", "|u1", "<u8", "<f4", "l2", "cosine",
    "binary", "sparse", "\0",
)  # fmt: skip


def twist(tree: Any, choose: random.Random) -> Any:
    """The same tree with one leaf, item or list changed."""
    if isinstance(tree, dict) and tree:
        key = choose.choice(sorted(tree))
        if choose.random() < 0.08:
            return {name: value for name, value in tree.items() if name != key}
        return {**tree, key: twist(tree[key], choose)}
    if isinstance(tree, list) and tree:
        place = choose.randrange(len(tree))
        how = choose.random()
        if how < 0.06:
            return tree[:place] + tree[place + 1 :]
        if how < 0.12:
            return [*tree, tree[place]]
        return [*tree[:place], twist(tree[place], choose), *tree[place + 1 :]]
    if not isinstance(tree, int | str) or isinstance(tree, bool) or choose.random() < 0.05:
        return choose.choice([None, True, [], {}, 1.5, "x"])
    if isinstance(tree, int):
        return choose.choice([*NUMBERS, tree + 1, tree - 1, tree * 2])
    return choose.choice([*WORDS, tree + "x", tree[:-1]])


def encode(kind: str, value: Any) -> bytes:
    return b"".join(pack({"kind": kind, "value": value}, {}))


def manifest(storage: Storage, choose: random.Random) -> list[Op]:
    number = choose.choice([1, 2])
    value = decode_meta(stored(storage, keys.manifest(number)), Manifest)
    return [Put(Family.META, keys.manifest(number), encode("Manifest", twist(json_of(value), choose)))]


def record(storage: Storage, choose: random.Random) -> list[Op]:
    number = choose.choice([1, 2])
    value = decode_meta(stored(storage, keys.collection(number)), CollectionRecord)
    return [Put(Family.META, keys.collection(number), encode("CollectionRecord", twist(json_of(value), choose)))]


def log(storage: Storage, choose: random.Random) -> list[Op]:
    number = choose.choice([1, 2])
    low, high = keys.before_collection(number), keys.after_collection(number)
    seq, data = choose.choice(list(join_parts(storage.kv.scan(Family.LOG, low, high))))
    header, arrays = unpack(data, copy=True)
    if choose.random() < 0.3:
        header = twist(header, choose)
    else:
        twist_array(arrays, choose)
    return list(log_puts(number, seq, b"".join(pack(header, arrays))))


def tombstones(storage: Storage, choose: random.Random) -> list[Op]:
    key, value = choose.choice(list(storage.kv.scan(Family.TOMBSTONES, b"", b"\xff" * 20)))
    header, arrays = unpack(value, copy=True)
    if choose.random() < 0.2:
        header = twist(header, choose)
    else:
        twist_array(arrays, choose)
    return [Put(Family.TOMBSTONES, key, b"".join(pack(header, arrays)))]


def column(storage: Storage, choose: random.Random) -> list[Op]:
    """Another blob in the place of a column's, and the manifest that names it."""
    number = choose.choice([1, 2])
    value = decode_meta(stored(storage, keys.manifest(number)), Manifest)
    place = choose.randrange(len(value.segments))
    header = value.segments[place]
    at = choose.randrange(len(header.columns))
    old = header.columns[at]
    content = np.frombuffer(bytes(storage.blobs.map(old.ref)), np.dtype(old.dtype)).copy()
    arrays = {"column": content}
    twist_array(arrays, choose)
    changed = arrays.get("column", content[:0])
    name = keys.segment_prefix(number, header.id) + "ffff/0000"
    ref = storage.blobs.put_new(name, [changed.tobytes()])
    shape = (len(changed) if len(old.shape) == 1 else old.shape[0], *old.shape[1:])
    made = msgspec.structs.replace(old, ref=ref, shape=choose.choice([shape, old.shape]))
    columns = (*header.columns[:at], made, *header.columns[at + 1 :])
    headers = [*value.segments]
    headers[place] = msgspec.structs.replace(header, columns=columns)
    return [Put(Family.META, keys.manifest(number), encode_meta(with_segments(value, headers)))]


def with_segments(manifest: Manifest, headers: list[SegmentHeader]) -> Manifest:
    return msgspec.structs.replace(manifest, segments=tuple(headers))


def twist_array(arrays: dict[str, np.ndarray], choose: random.Random) -> None:
    if not arrays:
        return
    name = choose.choice(sorted(arrays))
    array = arrays[name]
    how = choose.randrange(8)
    if how == 0:
        del arrays[name]
    elif how == 1:
        arrays[name] = array[: choose.randrange(len(array) + 1)]
    elif how == 2:
        arrays[name] = np.concatenate([array, array[:3]])
    elif how == 3:
        arrays[name] = array.reshape(1, *array.shape)
    elif how == 4:
        arrays[name] = array[::-1].copy()
    elif len(array):
        flat = array.reshape(-1).view(np.uint8)
        for _ in range(choose.choice([1, 3, 50])):
            flat[choose.randrange(len(flat))] = choose.choice([0, 1, 127, 255, choose.randrange(256)])


def stored(storage: Storage, key: bytes) -> bytes:
    value = storage.kv.get(Family.META, key)
    assert value is not None
    return value


def json_of(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


KINDS: dict[str, Callable[[Storage, random.Random], list[Op]]] = {
    "manifest": manifest, "record": record, "log": log, "tombstones": tombstones, "column": column,
}  # fmt: skip


def use(path: Path) -> tuple[bool, list[str]]:
    """Whether a typed error came, and what came that must not."""
    try:
        client = open_client(path, maintenance=False)
    except VecstoreError as error:
        return True, [] if error.reason != "INTERNAL" else [f"open: {error}"]
    except Exception as error:
        return True, [f"open: {type(error).__name__}: {error}"]
    try:
        detected, wrong = ask(client)
        for name in ("numbers", "mixed"):
            try:
                operation = client._transport.compact(name)
            except VecstoreError:
                continue
            ended = client._transport.wait_operation(operation.id, 60)
            if ended.finished_at is None or (ended.error and not ended.error.split(":")[0].isupper()):
                wrong.append(f"compact: {ended}")
        again, more = ask(client)
        return detected or again, wrong + more
    finally:
        client.close()


def ask(client: Client) -> tuple[bool, list[str]]:
    detected, wrong = False, []
    for question, function in questions(client).items():
        if question.endswith("versions"):  # looks into payloads, which may be anything now
            continue
        try:
            function()
        except VecstoreError as error:
            detected = True
            if error.reason == "INTERNAL":
                wrong.append(f"{question}: {error}")
        except Exception as error:
            wrong.append(f"{question}: {type(error).__name__}: {error}")
    operation = client.verify(timeout_s=60)
    if operation.finished_at is None or (operation.error and not operation.error.split(":")[0].isupper()):
        wrong.append(f"verify: {operation}")
    return detected or operation.error is not None, wrong


def main(pristine: Path, work: Path, kind: str, seed: int, times: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    choose = random.Random(seed)
    runs, detected, wrong = 0, 0, []
    for _ in range(times):
        directory = work / "db"
        shutil.copytree(pristine / "db", directory)
        storage = open_storage(directory, StorageSettings())
        ops = KINDS[kind](storage, choose)
        storage.kv.durable(storage.kv.write(ops))
        storage.close()
        noticed, mistakes = use(directory)
        runs += 1
        detected += noticed
        wrong += mistakes
        shutil.rmtree(directory)
    report(kind, runs, detected, wrong)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
