"""`verify`: read every stored byte of collections and compare it with its checksum."""

from __future__ import annotations

from collections.abc import Sequence

from vecstore.engine import keys
from vecstore.engine.collection import Collection
from vecstore.engine.header import Manifest, decode_meta
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
    headers = collection.manifest.segments
    columns = [(header, column) for header in headers for column in header.columns]
    for done, (header, column) in enumerate(columns):
        operation.progress(f"columns of {name}", done, len(columns))
        if collection.manifest.segments is not headers and header not in collection.manifest.segments:
            continue  # merged away meanwhile
        try:
            storage.blobs.verify(column.ref)
        except Corruption as error:
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
