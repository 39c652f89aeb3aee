"""RocksDB's families as of one moment."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from rocksdict import RdictIter

from vecstore.storage.interfaces import Family
from vecstore.storage.rocks_database import RocksDatabase, pairs_from
from vecstore.storage.rocks_errors import closed

_PAGE_PAIRS = 4_096
_PAGE_BYTES = 4 << 20


class RocksSnapshot:
    """Families as of one moment. Let go by the database when it is closed or reopened.

    Made of iterators, each of which sees the state it was made in: the binding's own snapshots scan the latest state.
    """

    def __init__(self, database: RocksDatabase, families: Iterable[Family]) -> None:
        self._database = database
        self._lock = threading.Lock()  # an iterator has one place at a time
        self._iterators: dict[Family, RdictIter] | None = {f: database.family(f).iter() for f in families}
        database.track(self)

    def release(self) -> None:
        self._iterators = None

    def get(self, family: Family, key: bytes) -> bytes | None:
        page, _ = self._page(family, key, key + b"\x00")
        return page[0][1] if page else None

    def scan(self, family: Family, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """In pages, so that a slow reader does not keep the database from being closed."""
        at: bytes | None = low
        while at is not None and at < high:
            page, at = self._page(family, at, high)
            yield from page

    def _page(self, family: Family, at: bytes, high: bytes) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        """Pairs from `at` on, below `high`, and the key to go on from, None at the end."""
        page: list[tuple[bytes, bytes]] = []
        size = 0
        with self._database.using(), self._lock:
            if self._iterators is None:
                raise closed()
            for key, value in pairs_from(self._iterators[family], at):
                if key >= high:
                    break
                page.append((key, value))
                size += len(value)
                if len(page) == _PAGE_PAIRS or size >= _PAGE_BYTES:
                    return page, key + b"\x00"
        return page, None
