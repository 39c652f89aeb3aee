"""`Database`: the engine's whole interface. Embedded use and the server are thin shells around one of these."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from vecstore.config import Settings
from vecstore.embed.embedders import EmbedderLike, Embedders
from vecstore.embed.requests import Embedding
from vecstore.engine import aliases, keys
from vecstore.engine.builder import Builder
from vecstore.engine.collecting import Collecting
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Change, Committer
from vecstore.engine.describing import Describing
from vecstore.engine.ended import Ended
from vecstore.engine.filtering import Filtering
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
from vecstore.engine.upkeep import Upkeep
from vecstore.engine.writing import Writing
from vecstore.errors import Corruption
from vecstore.kernels.select import get_kernels
from vecstore.memory.budget import planned
from vecstore.schema import Schema
from vecstore.storage.interfaces import BlobRef, Family
from vecstore.storage.open import Storage, open_storage


class Database(Reading, Writing, Collecting, Upkeep, Keeping, Describing):
    """A directory of collections, or one in memory. Threads may share one object; one process owns a directory.

    Every method raises errors of `vecstore.errors` and nothing else on purpose."""

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

    def _list(self) -> list[Collection]:
        return list(self._collections.values())

    def _committed(self) -> None:
        self._maintenance.wake()
