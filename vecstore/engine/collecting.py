"""The set of collections: made, changed, listed, dropped."""

from __future__ import annotations

import time

import msgspec

from vecstore import validate
from vecstore.embed.requests import Embedding
from vecstore.engine import aliases, changes, keys
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Change
from vecstore.engine.ended import Ended
from vecstore.engine.header import CollectionRecord, Manifest
from vecstore.engine.maintenance import Maintenance
from vecstore.engine.named import Named
from vecstore.engine.updating import Updating, check_settings, is_like
from vecstore.errors import AlreadyExists, FailedPrecondition, limit_exceeded
from vecstore.index_spec import Auto
from vecstore.schema import Schema, with_defaults
from vecstore.schema_update import UpdateCollectionRequest, UpdatedCollection
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import Storage
from vecstore.types import CollectionInfo


class Collecting(Named):
    embedding: Embedding
    _storage: Storage
    _maintenance: Maintenance
    _ended: Ended
    _next_number: int

    def create_collection(self, name: str, schema: Schema, *, exist_ok: bool = False) -> CollectionInfo:
        """Raises COLLECTION_EXISTS, unless `exist_ok` and the schema is the same; ALIAS_EXISTS, BAD_NAME,
        BAD_SCHEMA."""
        limits = self.settings.limits
        validate.check_name(name, limits)
        schema = self.embedding.embedders.filled(schema)
        validate.check_schema(schema, limits)
        check_settings(schema, limits)
        with self._lock:
            there = self._collections.get(name)
            if there is not None:
                if exist_ok and is_like(there.schema, schema):
                    return self.collection_info(name)
                why = "exists with another schema" if exist_ok else "exists"
                raise AlreadyExists(f"collection {name!r} {why}", reason="COLLECTION_EXISTS")
            if name in self._aliases:
                message = f"{name!r} is an alias of collection {self._aliases[name]!r}"
                raise AlreadyExists(message, reason="ALIAS_EXISTS")
            if len(self._collections) >= limits.collections_max:
                raise limit_exceeded("collections_max", len(self._collections) + 1, limits.collections_max)
            number = self._next_number
            self._next_number += 1
            record = CollectionRecord(number, name, with_defaults(schema, Auto()), time.time())
            collection = Collection(record, Manifest(sealed_seq=self._ended.seq(name)), self._storage.blobs)
            ops = [
                changes.put_collection(collection.record),
                changes.put_manifest(number, collection.manifest),
                Put(Family.META, keys.NEXT_COLLECTION, b"%d" % self._next_number),
            ]
            collection.on_damage = self._maintenance.wake
            self._committer.exclusive(lambda: Change(ops, lambda: None))
            self._collections = {**self._collections, name: collection}
        return self.collection_info(name)

    def collection_info(self, name: str) -> CollectionInfo:
        return _info(self.collection(name))

    def update_collection(self, request: UpdateCollectionRequest) -> UpdatedCollection:
        """Change settings of a collection (`schema_update`), all that are given or none; queries and writes go on.
        The operation, where an index is to be built, ends when every sealed segment has it; it fails when one cannot.

        Raises FailedPrecondition (VERSION_MISMATCH, EMBEDDER_UNKNOWN, EMBEDDER_MISMATCH), InvalidArgument
        (SETTING_FIXED, VECTOR_NAME_UNKNOWN, BAD_SCHEMA, BAD_INDEX_SPEC)."""
        with self._lock:
            updating = Updating(self._committer, self._maintenance, self.embedding.embedders, self.settings.limits)
            operation = updating.update(self.collection(request.collection), request)
            info = self.collection_info(request.collection)
        return UpdatedCollection(info, None if operation is None else operation.info())

    def list_collections(self) -> list[CollectionInfo]:
        """By name; damaged ones too, with the points that can be counted."""
        self.check_open()
        return [_info(collection) for _, collection in sorted(self._collections.items())]

    def delete_collection(self, name: str) -> bool:
        """False when there is none. The space comes back in the background. Raises FailedPrecondition
        (COLLECTION_HAS_ALIASES, NAME_IS_ALIAS): what is asked for by an alias is not lost by one call."""
        validate.check_name(name, self.settings.limits)
        with self._lock:
            collection = self._collections.get(name)
            if collection is None:
                if name in self._aliases:
                    message = f"{name!r} is an alias: delete it as one, or its collection by its own name"
                    raise FailedPrecondition(message, reason="NAME_IS_ALIAS")
                return False
            named = sorted(alias for alias, own in self._aliases.items() if own == name)
            if named:
                message = f"collection {name!r} has the aliases {', '.join(named):.200}: let them go or point elsewhere"
                raise FailedPrecondition(message, reason="COLLECTION_HAS_ALIASES")
            record = msgspec.structs.replace(collection.record, dropping=True)

            def apply() -> None:
                collection.record = record
                collection.failed = aliases.no_collection(name)

            def decide() -> Change:
                ended = self._ended.dropped(record, collection.view.seq)
                return Change([changes.put_collection(record), *ended], apply)

            self._committer.exclusive(decide)
            self._collections = {key: value for key, value in self._collections.items() if key != name}
            if self.reader.shadow is not None:
                self.reader.shadow.forget(name)
        self._maintenance.drop(collection, was_served=True)
        return True


def _info(collection: Collection) -> CollectionInfo:
    view = collection.view
    return CollectionInfo(collection.record.name, collection.schema, view.seq, view.points, collection.record.version)
