"""`verify`: read every stored byte of collections and compare it with its checksum."""

from __future__ import annotations

from collections.abc import Sequence

from vecstore.engine import keys
from vecstore.engine.collection import Collection
from vecstore.engine.header import Column, Manifest, decode_meta
from vecstore.engine.operations import Operation
from vecstore.engine.records import decode_record, join_parts
from vecstore.engine.recovery import read_tombstones
from vecstore.engine.structure import check_manifest
from vecstore.errors import Corruption
from vecstore.storage.interfaces import Family
from vecstore.storage.open import Storage

SHOWN = 20  # problems named in the operation's error


def run_verify(collections: Sequence[Collection], storage: Storage, operation: Operation) -> None:
    """Checks go on past damage, so that one run names all of it."""
    try:
        problems = [problem for one in collections for problem in _verify(one, storage, operation)]
    except Exception as error:  # whatever it is, somebody may be waiting for the operation
        operation.finish(error)
        return
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        operation.finish(Corruption("; ".join(problems[:SHOWN]) + more))
    else:
        operation.finish()


def _verify(collection: Collection, storage: Storage, operation: Operation) -> list[str]:
    name, number = collection.record.name, collection.number
    problems = [] if collection.failed is None else [collection.failed.message]
    columns = [(header, column) for header in collection.manifest.segments for column in header.columns]
    for done, (header, column) in enumerate(columns):
        operation.progress(f"columns of {name}", done, len(columns))
        try:
            storage.blobs.verify(column.ref)
        except Corruption as error:
            if not _is_gone(collection, column):  # asked now: a blob goes only once no manifest names it
                problems.append(f"{name}: segment {header.id} column {column.name}: {error.message}")
    operation.progress(f"log of {name}", 0, 1)
    try:
        manifest = storage.kv.get(Family.META, keys.manifest(number))
        if manifest is not None:
            check_manifest(decode_meta(manifest, Manifest), collection.record)
        for _, data in join_parts(storage.kv.scan(Family.LOG, keys.log(number, 0), keys.after_collection(number))):
            decode_record(data, collection.schema)
        low, high = keys.before_collection(number), keys.after_collection(number)
        for key, value in storage.kv.scan(Family.TOMBSTONES, low, high):
            read_tombstones(key, value)
    except Corruption as error:
        problems.append(f"{name}: {error.message}")
    return problems


def _is_gone(collection: Collection, column: Column) -> bool:
    """Whether the column was merged away, replaced or dropped."""
    live = collection.manifest.segments
    return collection.record.dropping or not any(column in header.columns for header in live)
