# Made from ../_async by `python -m vecstore.client.unasync`; edit there.
"""One collection: points in, answers out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vecstore.client._sync.asking import Asking
from vecstore.client._sync.care import Care
from vecstore.client._sync.writing import Writing
from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.query import Asked
from vecstore.client.requests import select
from vecstore.client.seqs import Seqs
from vecstore.client.transport import Transport
from vecstore.client.vectors import Ids, as_ids
from vecstore.errors import ResourceExhausted
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.types import CountRequest, GetRequest, Point, ScrollRequest


class Collection(Care, Writing, Asking):
    """A handle on one collection, by its name or by an alias, which stands for what it does at the time of each call.
    Reads see the client's last write to the collection, through whichever handle that went."""

    def __init__(
        self,
        transport: Transport,
        name: str,
        *,
        timeout_s: float,
        schema: Schema | None = None,
        seqs: Seqs | None = None,
    ) -> None:
        super().__init__(transport, name, timeout_s, schema, seqs)
        self._queries = Asked()

    def __repr__(self) -> str:
        return f"Collection({self.name!r})"

    def get(
        self,
        ids: Ids | PointId,
        *,
        with_payload: bool | Sequence[str] = True,
        with_vectors: bool | Sequence[str] = False,
    ) -> list[Point]:
        """The points that exist of `ids`, in that order."""
        selection = select(with_payload, with_vectors)
        request = GetRequest(self.name, as_ids(ids), selection, self._asked, self._seen)
        return (self._transport.get(request))[0]

    def scroll(
        self,
        filter: FilterLike | None = None,
        *,
        after: PointId | None = None,
        page: int = 256,
        with_payload: bool | Sequence[str] = True,
        with_vectors: bool | Sequence[str] = False,
    ) -> Iterator[Point]:
        """Every point that matches, in id order (numbers, UUIDs, strings), `page` points to a request, or fewer where
        these are large; from the first id after `after` when given."""
        tree, selection = as_filter(filter, self._limits), select(with_payload, with_vectors)
        name = self.name  # all of it is of the collection that an alias stands for at the first page
        while True:
            request = ScrollRequest(name, tree, page, after, selection, self._asked, self._seen)
            try:
                result = self._transport.scroll(request)
            except ResourceExhausted as error:
                if page <= 1 or error.metadata.get("limit") != "message_bytes_max":
                    raise
                page //= 2
                continue
            yield from result.points
            if result.next_after is None:
                return
            after, name = result.next_after, result.collection or name

    def count(self, filter: FilterLike | None = None) -> int:
        """How many points there are, or match."""
        request = CountRequest(self.name, as_filter(filter, self._limits), self._asked, self._seen)
        return (self._transport.count(request))[0]
