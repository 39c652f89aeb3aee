"""`Database`: the engine's whole interface. Embedded use and the server are thin shells around one of these."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from vecstore import validate
from vecstore.config import Settings
from vecstore.embed.embedders import EmbedderLike, Embedders
from vecstore.embed.requests import Embedding
from vecstore.engine import aliases, changes, keys
from vecstore.engine.builder import Builder
from vecstore.engine.collection import Collection, View
from vecstore.engine.committer import Change, Committer
from vecstore.engine.ended import Ended
from vecstore.engine.estimates import check_subject, estimated
from vecstore.engine.filtering import Filtering
from vecstore.engine.gauges import Gauges, collection_gauges
from vecstore.engine.header import CollectionRecord, Manifest
from vecstore.engine.indexing import Indexing
from vecstore.engine.keeping import Keeping
from vecstore.engine.leap import leap_where_restored
from vecstore.engine.maintenance import Maintenance
from vecstore.engine.observed import decoded
from vecstore.engine.operations import Operations
from vecstore.engine.overviews import Overviews
from vecstore.engine.placement import Placement, with_devices
from vecstore.engine.probes import Probes
from vecstore.engine.read_path import Reader
from vecstore.engine.reading import Reading
from vecstore.engine.recovery import recover
from vecstore.engine.snapshots import Snapshots
from vecstore.engine.staged_reads import StagedReader
from vecstore.engine.stats import collection_stats
from vecstore.engine.updating import Updating, check_settings, is_like
from vecstore.engine.upkeep import Upkeep
from vecstore.engine.writing import Writing
from vecstore.errors import AlreadyExists, Corruption, FailedPrecondition, limit_exceeded
from vecstore.estimating import EstimateRequest
from vecstore.index_spec import Auto
from vecstore.kernels.select import describe, get_kernels
from vecstore.memory.budget import budget, described, planned
from vecstore.memory.machine import held_bytes
from vecstore.schema import Schema, with_defaults
from vecstore.schema_update import UpdateCollectionRequest, UpdatedCollection
from vecstore.storage.feed import Feeds
from vecstore.storage.interfaces import BlobRef, Family, Put
from vecstore.storage.open import Storage, open_storage
from vecstore.types import (
    CollectionInfo,
)
from vecstore.version import __version__

SHOWN_S = 10.0  # what a change of a schema waits at most for processes that follow: as long as they may stay silent
R = TypeVar("R")


class Database(Reading, Writing, Upkeep, Keeping):
    """A directory of collections, or one in memory. Threads may share one object; one process owns a directory.

    Every method raises errors of `vecstore.errors` and nothing else on purpose."""

    _feeds: Feeds | None = None

    def __init__(self, storage: Storage, settings: Settings, embedders: Embedders | None = None) -> None:
        settings = planned(settings)
        self._begin(storage, settings, embedders)
        recovered = recover(storage, settings.storage)
        leap_where_restored(storage, recovered, self._ended)
        self._collections.update((c.record.name, c) for c in recovered if not c.record.dropping)
        self._aliases.update(aliases.read_table(storage.kv, recovered))
        self._next_number = max((c.number for c in recovered), default=0) + 1
        stored = storage.kv.get(Family.META, keys.NEXT_COLLECTION)
        if stored is not None:
            self._next_number = max(self._next_number, int(stored))
        self._committer = Committer(storage.kv, settings, self._filtering, self._committed, self.probes)
        builder = Builder(storage, settings.storage.in_place_rows)
        self._maintenance = Maintenance(
            settings.storage, self._committer, builder, storage.blobs, self._operations, self._indexing, self._list
        )
        self._snapshots = Snapshots(storage, settings.server, self._committer, self._operations, self._list)
        if self.reader.shadow is not None:
            self.reader.shadow.observed.on_short = self._tune_on
        for collection in recovered:
            collection.on_damage = self._maintenance.wake
            if collection.record.dropping:
                self._maintenance.drop(collection, was_served=False)
        if settings.storage.feed:
            self._feed()
        self._maintenance.wake()

    def _feed(self) -> None:
        try:
            self._feeds = self._storage.open_feeds(
                lambda enter: self._committer.exclusive(lambda: Change([], enter)), self._lost, self._told
            )
        except BaseException:
            self.close()
            raise
        self._committer.publish = self._feeds.publish

    def _lost(self, ref: BlobRef, why: Corruption) -> None:
        """A follower found a blob damaged that has no good copy. One that no segment has any more is none."""
        for collection in self._list():
            for segment in list(collection.sealed.values()):
                for column in segment.header.columns:
                    if column.ref == ref:
                        segment.lose(column.name, why)

    def _told(self, note: bytes) -> None:
        """A follower checked a query that it answered."""
        if self.reader.shadow is not None and (checked := decoded(note, self._schema_of)) is not None:
            self.reader.shadow.observed.keep(checked)

    def _schema_of(self, name: str) -> Schema | None:
        collection = self._collections.get(name)
        return None if collection is None else collection.schema

    def _begin(self, storage: Storage, settings: Settings, embedders: Embedders | None) -> None:
        """What reading takes."""
        self.settings = settings
        named = Embedders(settings.embedders) if embedders is None else embedders
        self.embedding = Embedding(named, settings.limits, lambda name: self.collection(name).schema)
        self.probes = Probes()
        self._storage = storage
        self._kernels = with_devices(get_kernels(), settings.search)
        self._kernels.set_threads(settings.search.threads)
        self._filtering = Filtering(settings.search)
        self.reader = Reader(self._kernels, settings, self._filtering)
        if self.reader.shadow is not None:
            self.reader.shadow.observed.on_recall = lambda *seen: self.probes.on_recall(*seen)
        self._staged = StagedReader(self.reader)
        self._overviews = Overviews(self.reader)
        self._operations = Operations()
        self._indexing = Indexing(settings.storage, self._list)
        self._collections: dict[str, Collection] = {}
        self._aliases: dict[str, str] = {}  # what each stands for; replaced whole
        self._ended = Ended(storage.kv)
        self._next_number = 0
        self._lock = threading.Lock()  # one change of the set of collections or of a schema at a time
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | Path | None,
        settings: Settings = Settings(),  # noqa: B008
        *,
        embedders: Mapping[str, EmbedderLike] | None = None,
    ) -> Self:
        """Open or create the database in directory `path`; None keeps everything in memory. `embedders` are taken
        beside those of the settings, before one of the same name.

        Raises FailedPrecondition (DIRECTORY_LOCKED, FORMAT_TOO_NEW, EXTRA_MISSING), InvalidArgument (BAD_CONFIG),
        Corruption, ResourceExhausted, IoFailed."""
        named = Embedders({**settings.embedders, **(embedders or {})})
        settings = planned(settings)
        storage = open_storage(path, settings.storage)
        try:
            return cls(storage, settings, named)
        except BaseException:
            storage.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish queued writes, stop background work, release the directory. Further calls do nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._committer.forked:
            return  # files and threads are the other process's
        if self._feeds is not None:
            self._feeds.close()  # first: maintenance may wait for followers
        self._maintenance.close()
        self.reader.close()
        self._committer.close()
        self._storage.close()
        if isinstance(self._kernels, Placement):
            self._kernels.close()
        self.embedding.embedders.close()

    # --- collections ---

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
        collection = self.collection(name)
        view = collection.view
        return _info(collection, view)

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
        return [_info(collection, collection.view) for _, collection in sorted(self._collections.items())]

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

    # --- what there is ---

    def stats(self, collection: str) -> dict[str, Any]:
        """Rows, segments, bytes by component, index state. JSON-able."""
        found = self.collection(collection)
        return {**collection_stats(found, self._indexing), "observed_recall": self.observed_recall(found.record.name)}

    def estimate(self, request: EstimateRequest) -> dict[str, Any]:
        """What a schema would take with so many points, or a collection, which is described beside it as it is
        (`actual`). JSON-able; nothing is made.

        Raises BAD_ARGUMENT, LIMIT_EXCEEDED, VECTOR_NAME_UNKNOWN, and what creating the collection would."""
        named = check_subject(request)
        collection = None if named is None else self.collection(named)
        schema = self.embedding.embedders.filled(request.schema) if request.schema is not None else None
        return estimated(request, collection, schema, self._indexing, self.settings)

    def observed_recall(self, collection: str | None = None) -> list[dict[str, Any]]:
        """What recall live queries got, of one collection or of all, as far as `search.shadow_sample` had them checked:
        for each field and strategy the mean of the last 1,000, its 95 % interval, and what calibration promised."""
        shadow = self.reader.shadow
        return [] if shadow is None else shadow.observed.described(collection)

    def gauges(self) -> dict[str, Gauges]:
        """Every collection's state in numbers, of damaged ones too."""
        return {name: collection_gauges(one, self._indexing) for name, one in sorted(self._collections.items())}

    def memory(self) -> dict[str, tuple[int, int]]:
        """Bytes used and the bound, by what they are for."""
        return {
            "indexes": (self._indexing.used(), self._indexing.budget),
            "resident_vectors": (self._storage.blobs.resident_bytes(), self.settings.storage.resident_vectors_bytes),
            "filter_cache": (self._filtering.cached_bytes, self.settings.search.filter_cache_bytes),
            "number_cache": (self._staged.cached_bytes, self.settings.search.number_cache_bytes),
            "process": (held_bytes(), budget(self.settings)),
        }

    @property
    def path(self) -> Path | None:
        """The directory; None in memory."""
        return self._storage.path

    def info(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "kernels": describe(),
            **({"devices": self._kernels.report()} if isinstance(self._kernels, Placement) else {}),
            "path": None if self._storage.path is None else str(self._storage.path),
            "collections": len(self._collections),
            "epoch": self._storage.kv.epoch,
            "memory": {"held": held_bytes(), **described(self.settings)},
            "processes": self.processes(),
        }

    def processes(self) -> list[dict[str, Any]]:
        """This process, and those that follow it with what they have not shown yet. JSON-able."""
        followers = [] if self._feeds is None else self._feeds.describe()
        return [{"name": "writer", "pid": os.getpid()}, *followers]

    def shown(self, timeout_s: float = SHOWN_S) -> None:
        """Returns once every follower shows what was committed before, or after a while without that."""
        if self._feeds is not None:
            self._feeds.settle(timeout_s)

    def _list(self) -> list[Collection]:
        return list(self._collections.values())

    def _committed(self) -> None:
        self._maintenance.wake()


def _info(collection: Collection, view: View) -> CollectionInfo:
    return CollectionInfo(collection.record.name, collection.schema, view.seq, view.points, collection.record.version)
