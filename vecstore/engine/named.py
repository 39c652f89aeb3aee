"""The part of a `Database` that knows collections by name, and the other names that they have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from vecstore import validate
from vecstore.aliases import Alias, AliasAction
from vecstore.config import Settings
from vecstore.engine import aliases
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Change, Committer
from vecstore.engine.read_path import Reader, stop_after
from vecstore.errors import Unavailable
from vecstore.types import QueryRequest

R = TypeVar("R")


class Named:
    settings: Settings
    reader: Reader
    _committer: Committer
    _lock: threading.Lock  # one change of the set of collections, of their names or of a schema at a time
    _collections: dict[str, Collection]  # by their own names; replaced whole
    _aliases: dict[str, str]  # what each stands for; replaced whole
    _closed: bool

    def check_open(self) -> None:
        """Raises Unavailable once the database is closed: what is still in memory may be somebody else's past."""
        if self._closed:
            raise Unavailable("the database is closed")

    def has_collection(self, name: str) -> bool:
        self.check_open()
        validate.check_name(name, self.settings.limits)
        return name in self._collections or name in self._aliases

    def collection(self, name: str) -> Collection:
        """The live collection of a name or an alias. Raises NotFound (COLLECTION_NOT_FOUND), Corruption when it is
        damaged, or Unavailable when the database is closed."""
        self.check_open()
        collection = self._collections.get(name)
        while collection is None:
            own = self._aliases.get(name)
            if own is None:
                validate.check_name(name, self.settings.limits)
                raise aliases.no_collection(name)
            collection = self._collections.get(own)  # none once the alias has been switched and `own` dropped
        if collection.failed is not None:
            raise collection.failed
        return collection

    def update_aliases(
        self, actions: Sequence[AliasAction], *, may_see: Callable[[str], bool] = lambda collection: True
    ) -> list[Alias]:
        """Do all of `actions`, in order, or none, as one durable write between others; returns all aliases then.
        `may_see` says of which collections the caller may see aliases.

        Raises NotFound (COLLECTION_NOT_FOUND, ALIAS_NOT_FOUND), AlreadyExists (COLLECTION_EXISTS, ALIAS_EXISTS),
        InvalidArgument (ALIAS_OF_ALIAS, BAD_NAME, EMPTY_BATCH, LIMIT_EXCEEDED) with `actions[i]`, and does nothing."""
        with self._lock:
            before = self._aliases
            after = aliases.changed(before, actions, self._collections, self.settings.limits, may_see)
            ops = aliases.table_ops(before, after, self._collections)

            def apply() -> None:
                self._aliases = after

            self._committer.exclusive(lambda: Change(ops, apply))
        return [one for one in self.list_aliases() if may_see(one.collection)]

    def list_aliases(self, collection: str | None = None) -> list[Alias]:
        """By name; of one collection, where that is given. Raises NotFound (COLLECTION_NOT_FOUND)."""
        self.check_open()
        table = self._aliases
        own = None if collection is None else self.collection(collection).record.name
        return [Alias(alias, name) for alias, name in sorted(table.items()) if own is None or name == own]

    @property
    def aliases(self) -> Mapping[str, str]:
        """What each alias stands for; never changed, but replaced."""
        return self._aliases

    def named(self, request: R) -> R:
        """The request, naming its collection as that is called itself; for a read, once this process shows the writes
        in `min_seqs`. Raises DeadlineExceeded."""
        if self._aliases or not isinstance(request, QueryRequest):
            return self.named_all((request,))[0]
        if request.min_seqs is None or not self.unseen(request.min_seqs):
            return request  # as most queries are
        return self.named_all((request,))[0]

    def named_all(self, requests: Sequence[R]) -> list[R]:
        """The same for requests of one call: no alias is switched between them."""
        for request in requests:
            waited: Any = getattr(request, "query", request)
            for collection, seq in self.unseen(getattr(waited, "min_seqs", None)):
                with stop_after(getattr(waited, "timeout_s", None), self.settings):
                    self.reader.view_at(collection, seq)
        table = self._aliases
        return [aliases.by_own_name(request, table) for request in requests]

    def unseen(self, seqs: Mapping[str, int] | None) -> list[tuple[Collection, int]]:
        """What is still to be shown of the writes given by collection. What is no collection's own name is passed over:
        the collection is gone, and nobody could wait for it."""
        return [
            (one, seq)
            for name, seq in (seqs or {}).items()
            if (one := self._collections.get(name)) is not None and one.view.seq < seq
        ]
