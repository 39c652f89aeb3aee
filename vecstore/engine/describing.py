"""What is there: state, sizes and memory, in values that are JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from vecstore.embed.requests import Embedding
from vecstore.engine.estimates import check_subject, estimated
from vecstore.engine.filtering import Filtering
from vecstore.engine.gauges import Gauges, collection_gauges
from vecstore.engine.indexing import Indexing
from vecstore.engine.named import Named
from vecstore.engine.placement import Placement
from vecstore.engine.staged_reads import StagedReader
from vecstore.engine.stats import collection_stats
from vecstore.estimating import EstimateRequest
from vecstore.kernels.base import Kernels
from vecstore.kernels.select import describe
from vecstore.memory.budget import budget, described
from vecstore.memory.machine import held_bytes
from vecstore.storage.feed import Feeds
from vecstore.storage.open import Storage
from vecstore.version import __version__

SHOWN_S = 10.0  # what a change of a schema waits at most for processes that follow: as long as they may stay silent


class Describing(Named):
    embedding: Embedding
    _storage: Storage
    _kernels: Kernels
    _filtering: Filtering
    _indexing: Indexing
    _staged: StagedReader
    _feeds: Feeds | None = None

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
            "exact_cache": (self.reader.exact.cached_bytes, self.settings.search.exact_cache_bytes),
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
