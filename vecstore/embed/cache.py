"""Vectors of recent texts, so that a text that is met again is not embedded again."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import xxhash
from cachetools import LRUCache

from vecstore.embed.base import Embedder, Role
from vecstore.rows import Rows, concat
from vecstore.schema import VectorKind

ENTRY_BYTES = 256  # of one entry beside its vector: key, objects, the list it stands in


class Cached:
    """An embedder in front of `inner` that keeps `bytes_max` bytes of its answers, the least recently used ones go.
    A text is known by its 128-bit hash (XXH3)."""

    def __init__(self, inner: Embedder, bytes_max: int) -> None:
        self._inner = inner
        self._rows: LRUCache[tuple[Role, bytes], Rows] = LRUCache(bytes_max, lambda rows: rows.nbytes + ENTRY_BYTES)
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    @property
    def gives(self) -> VectorKind:
        return self._inner.gives

    @property
    def dim(self) -> int:
        return self._inner.dim

    @property
    def fingerprint(self) -> str:
        return self._inner.fingerprint

    @property
    def cached_bytes(self) -> int:
        return int(self._rows.currsize)

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> Rows:
        keys = [(role, xxhash.xxh3_128_digest(text.encode())) for text in texts]
        with self._lock:
            known = {key: self._rows[key] for key in keys if key in self._rows}
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        self.hits += len(texts) - len(fresh)
        self.misses += len(fresh)
        if len(fresh) == len(texts):
            rows = self._inner.embed(texts, role, deadline)
            self._keep(keys, rows)
            return rows
        if fresh:
            rows = self._inner.embed(list(fresh.values()), role, deadline)
            self._keep(list(fresh), rows)
            known |= {key: rows[place : place + 1] for place, key in enumerate(fresh)}
        return concat([known[key] for key in keys])

    def _keep(self, keys: Sequence[tuple[Role, bytes]], rows: Rows) -> None:
        with self._lock:
            for place, key in enumerate(keys):
                row = rows[np.array([place])]  # a copy
                if row.nbytes + ENTRY_BYTES <= self._rows.maxsize:
                    self._rows[key] = row

    def close(self) -> None:
        with self._lock:
            self._rows.clear()
        self._inner.close()
