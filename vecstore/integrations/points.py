"""What the stores of all frameworks do with their collection: write, read and search, each written once for blocking
and awaiting callers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from vecstore.client._async.client import AsyncClient
from vecstore.client._async.collection import AsyncCollection
from vecstore.client._sync.client import Client
from vecstore.client.atomic import Mode
from vecstore.client.fields import Dense, IndexKind, Text
from vecstore.client.filters import FilterLike
from vecstore.client.payloads import Payload
from vecstore.client.seqs import Seqs
from vecstore.client.stages import RRF, Prefetch, RelativeScore
from vecstore.errors import InvalidArgument, NotFound
from vecstore.index_check import IndexLike
from vecstore.integrations.connection import Connection, finished
from vecstore.query.filter import Filter
from vecstore.query.fusion import Fusion
from vecstore.schema import Metric
from vecstore.types import Hit, Mmr, Point, WriteResult

T = TypeVar("T")
SearchMode = Literal["dense", "text", "hybrid"]
NO_COLLECTION = "COLLECTION_NOT_FOUND"
CANDIDATES = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which collection, and how it is made when the first write finds none. `dense` and `text` name its vector field
    and its BM25 field; `bm25` is the language of the texts ("english", "none", ...), without which there is none.
    `dim` may be left to the first vector; `indexes` are of payload keys."""

    collection: str
    dim: int | None = None
    metric: Metric | Literal["cosine", "dot", "l2"] = "cosine"
    index: IndexLike = None
    bm25: str | None = None
    indexes: Mapping[str, IndexKind] | None = None
    dense: str = "dense"
    text: str = "text"


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search by a vector, a text, or both; `fusion` is of both, and `candidates`, how many points of each it fuses
    (at least 100 by default); `mmr` is of a vector alone. `options` are others of `Collection.query`."""

    vector: Sequence[float] | None = None
    text: str | None = None
    k: int
    filter: FilterLike | None = None
    fusion: Fusion | None = None
    candidates: tuple[int, int] | None = None
    mmr: Mmr | None = None
    with_vectors: bool = False
    options: Mapping[str, Any] | None = None


class Store:
    """A collection behind the methods of a framework. It is made by the first write; until then it is empty."""

    def __init__(self, target: str | Path | Client, plan: Plan, **options: Any) -> None:
        """`options` are those of `vecstore.connect`."""
        self.plan = plan
        self.connection = Connection(target, **options)
        self._seqs = Seqs()  # a read through either kind of client sees what was written through the other
        self._blocking = Points(self.connection.blocking(), plan, self._seqs)
        # A channel of gRPC belongs to the event loop that it was made in, so each loop has a client of its own.
        self._awaiting: dict[asyncio.AbstractEventLoop, Points] = {}

    def run(self, work: Callable[[Points], Coroutine[Any, Any, T]]) -> T:
        """Do `work` and wait for it. It may await nothing but what it is given."""
        self.connection.check()
        return finished(work(self._blocking))

    async def arun(self, work: Callable[[Points], Awaitable[T]]) -> T:
        """Do `work` on the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._awaiting:
            for closed in [one for one in self._awaiting if one.is_closed()]:
                del self._awaiting[closed]
            self._awaiting[loop] = Points(await self.connection.awaiting(), self.plan, self._seqs)
        self.connection.check()
        return await work(self._awaiting[loop])

    def close(self) -> None:
        """Close the database or the connection, unless others of this process use it."""
        self.connection.close()

    async def aclose(self) -> None:
        """`close`, and the running event loop's connection to a server too."""
        points = self._awaiting.pop(asyncio.get_running_loop(), None)
        if points is not None and self.connection.is_remote:
            await points.client.close()
        await asyncio.to_thread(self.connection.close)


class Points:
    """The points of a collection that may not be there yet."""

    def __init__(self, client: AsyncClient, plan: Plan, seqs: Seqs) -> None:
        self.client, self.plan, self._seqs = client, plan, seqs
        self.handle: AsyncCollection = client.collection(plan.collection)._sharing(seqs)

    async def write(
        self,
        ids: Sequence[str],
        vectors: Sequence[Sequence[float] | None] | None,
        texts: Sequence[str | None],
        payloads: Sequence[Payload],
        mode: Mode = "upsert",
    ) -> WriteResult:
        """Write points; their texts go to the BM25 field where the collection has one."""
        if not ids:
            return WriteResult(seq=0, changed=0)
        first = next((vector for vector in vectors or () if vector is not None), None)
        try:
            return await self._upsert(ids, None if first is None else vectors, texts, payloads, mode)
        except NotFound as error:
            if error.reason != NO_COLLECTION:
                raise
        await self._create(first)
        return await self._upsert(ids, None if first is None else vectors, texts, payloads, mode)

    async def _upsert(
        self, ids: Sequence[str], vectors: Any, texts: Sequence[str | None], payloads: Sequence[Payload], mode: Mode
    ) -> WriteResult:
        columns: dict[str, Any] = {} if vectors is None else {self.plan.dense: vectors}
        if self.plan.text in (await self.handle.schema()).vectors:
            columns[self.plan.text] = list(texts)
        return await self.handle.upsert(list(ids), columns, list(payloads), mode=mode)

    async def _create(self, vector: Sequence[float] | None) -> None:
        plan = self.plan
        dim = plan.dim or (None if vector is None else len(vector))
        if dim is None:
            message = f"collection {plan.collection!r} is not there, and no vector says how many dimensions it has"
            raise InvalidArgument(f"{message}; give them, or write points with vectors first", reason="BAD_SCHEMA")
        vectors = {plan.dense: Dense(dim, metric=plan.metric, index=plan.index)}
        text = None if plan.bm25 is None else {plan.text: Text(plan.bm25)}
        await self.client.create_collection(plan.collection, vectors, text=text, indexes=plan.indexes, exist_ok=True)
        self._seqs.made(plan.collection, (await self.handle.info()).seq)  # another may have been there before

    async def drop(self) -> None:
        """Delete the collection; the next write makes it anew."""
        await self.client.delete_collection(self.plan.collection)
        self._seqs.forget(self.plan.collection)

    async def delete(self, ids: Sequence[str] | None = None, filter: FilterLike | None = None) -> int:
        """How many there were of `ids`, or matched; with neither, all."""
        if ids is not None and not ids:
            return 0
        where = Filter() if ids is None and filter is None else filter
        work = self.handle.delete(None if ids is None else list(ids), filter=where)
        result = await _or_nothing(work, WriteResult(0, 0))
        return result.changed

    async def set_payload(self, payload: Payload, filter: FilterLike) -> int:
        """Merge keys into the payloads of the points that match, and say how many there were."""
        result = await _or_nothing(self.handle.set_payload(payload, filter=filter), WriteResult(0, 0))
        return result.changed

    async def get(self, ids: Sequence[str], *, with_vectors: bool = False) -> list[Point]:
        if not ids:
            return []
        return await _or_nothing(self.handle.get(list(ids), with_vectors=with_vectors), [])

    async def scroll(self, filter: FilterLike | None = None, *, with_vectors: bool = False) -> list[Point]:
        async def all_of_it() -> list[Point]:
            return [point async for point in self.handle.scroll(filter, with_vectors=with_vectors)]

        return await _or_nothing(all_of_it(), [])

    async def count(self, filter: FilterLike | None = None) -> int:
        return await _or_nothing(self.handle.count(filter), 0)

    async def metric(self) -> Metric:
        """How the vectors of the collection are compared."""
        schema = await _or_nothing(self.handle.schema(), None)
        return Metric(self.plan.metric) if schema is None else schema.vectors[self.plan.dense].metric

    async def search(self, search: Search) -> list[Hit]:
        return await _or_nothing(self._search(search), [])

    async def _search(self, search: Search) -> list[Hit]:
        plan, options = self.plan, dict(search.options or {})
        common: dict[str, Any] = {"filter": search.filter, "with_vectors": search.with_vectors, **options}
        if search.vector is None or search.text is None:
            query, using = (search.text, plan.text) if search.vector is None else (search.vector, plan.dense)
            return list(await self.handle.query(query, search.k, using=using, mmr=search.mmr, **common))
        dense, text = search.candidates or (max(search.k, CANDIDATES),) * 2
        legs = [
            Prefetch(vector=search.vector, using=plan.dense, k=dense),
            Prefetch(vector=search.text, using=plan.text, k=text),
        ]
        hits = await self.handle.query(None, search.k, prefetch=legs, fusion=search.fusion or RRF(), **common)
        return list(hits)


async def _or_nothing(work: Awaitable[T], nothing: T) -> T:
    """What `work` gives, or `nothing` where there is no collection yet."""
    try:
        return await work
    except NotFound as error:
        if error.reason != NO_COLLECTION:
            raise
        return nothing


def weighted(alpha: float) -> Fusion:
    """Fusion by scores scaled to 0..1, `alpha` of the vectors' and 1 - `alpha` of the texts'."""
    if not 0 <= alpha <= 1:
        message = f"alpha={alpha} must be between 0 (texts only) and 1 (vectors only)"
        raise InvalidArgument(message, reason="BAD_ARGUMENT")
    return RelativeScore(weights=(alpha, 1 - alpha))
