"""The tools. Their names, docstrings and annotations are what a model reads; errors reach it with their reason."""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from pydantic import Field

from vecstore.access import Action
from vecstore.client._async.client import AsyncClient
from vecstore.client.fields import Dense, Text
from vecstore.client.stages import RRF, Prefetch
from vecstore.errors import InvalidArgument, NotFound, VecstoreError
from vecstore.integrations.mcp.callers import Callers
from vecstore.integrations.mcp.shapes import Added, Collection, Collections, NewPoint, Points, candidates
from vecstore.schema import Schema, VectorKind

P = ParamSpec("P")
T = TypeVar("T")
CANDIDATES = 100  # of each leg of a search by words and by a vector
PAYLOAD_TEXT = "text"

Name = Annotated[str, Field(description="Name of the collection, as list_collections gives it.")]
Ids = Annotated[list[str | int], Field(min_length=1, max_length=1000, description="Ids of points.")]
Filter = Annotated[
    dict[str, Any] | None,
    Field(
        description='Which points may be found, by their payload: {"must": [...], "should": [...], "must_not": [...]} '
        'of conditions such as {"key": "lang", "match": {"value": "en"}}, {"key": "lang", "match": {"any": ["en", '
        '"de"]}}, {"key": "year", "range": {"gte": 2020, "lt": 2025}}, {"exists": {"key": "tag"}}.'
    ),
]


def told(tool: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Errors of ours as errors of the tool: `REASON: message`."""

    @functools.wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await tool(*args, **kwargs)
        except VecstoreError as error:
            raise ToolError(str(error)) from error

    return call


class Tools:
    """Tools over the database that `callers` give a client of."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def _client(self, ctx: Context[Any, Any], action: Action, collection: str) -> AsyncClient:
        return self._callers.client(ctx.request_context.request, action, collection)[0]

    @told
    async def list_collections(self, ctx: Context[Any, Any]) -> Collections:
        """List the collections that there are: how many points each has, which fields can be searched, and which
        payload keys have an index."""
        client, who = self._callers.client(ctx.request_context.request, Action.READ, None)
        listed = await client.list_collections()
        return Collections(collections=[Collection.of(one) for one in who.seen([(one.name, one) for one in listed])])

    @told
    async def search(
        self,
        ctx: Context[Any, Any],
        collection: Name,
        query: Annotated[str | None, Field(description="Words to look for in a text field (BM25, stemmed).")] = None,
        vector: Annotated[list[float] | None, Field(description="A vector to be near to in a dense field.")] = None,
        filter: Filter = None,
        limit: Annotated[int, Field(ge=1, le=100, description="How many points at most.")] = 10,
        text_field: Annotated[str | None, Field(description="Needed where there are several text fields.")] = None,
        vector_field: Annotated[str | None, Field(description="Needed where there are several dense fields.")] = None,
    ) -> Points:
        """Find the points that fit best, best first: by words (query), by nearness (vector), or by both, whose rankings
        are then fused. A point found by words has at least one of them in common with the query."""
        handle = self._client(ctx, Action.READ, collection).collection(collection)
        if query is None and vector is None:
            raise InvalidArgument("give query (words), vector, or both", reason="BAD_ARGUMENT")
        schema = await handle.schema()
        legs = []
        if query is not None:
            legs.append(Prefetch(vector=query, using=_field(schema, VectorKind.TEXT, text_field), k=CANDIDATES))
        if vector is not None:
            legs.append(Prefetch(vector=vector, using=_field(schema, VectorKind.DENSE, vector_field), k=CANDIDATES))
        if len(legs) == 1:
            hits = await handle.query(legs[0].vector, limit, using=legs[0].using, filter=filter)
        else:
            hits = await handle.query(None, limit, prefetch=legs, fusion=RRF(), filter=filter)
        return Points.of(hits)

    @told
    async def get(self, ctx: Context[Any, Any], collection: Name, ids: Ids) -> Points:
        """Get points by their ids, with their payloads. Ids that there are not are left out."""
        handle = self._client(ctx, Action.READ, collection).collection(collection)
        return Points.of(await handle.get([one for id in ids for one in candidates(id)]))

    @told
    async def add(
        self,
        ctx: Context[Any, Any],
        collection: Name,
        points: Annotated[list[NewPoint], Field(min_length=1, max_length=1000, description="All or none are written.")],
    ) -> Added:
        """Write points into a collection that exists. They are stored durably and found by the next search."""
        handle = self._client(ctx, Action.WRITE, collection).collection(collection)
        schema = await handle.schema()
        ids = [str(uuid.uuid4()) if point.id is None else point.id for point in points]
        vectors: dict[str, list[Any]] = {}
        for kind, column in (
            (VectorKind.TEXT, [point.text for point in points]),
            (VectorKind.DENSE, [point.vector for point in points]),
        ):
            if any(one is not None for one in column):
                vectors[_field(schema, kind, None)] = column
        payloads = [
            point.payload if point.text is None else {**point.payload, PAYLOAD_TEXT: point.text} for point in points
        ]
        await handle.upsert(ids, vectors, payloads)
        return Added(ids=ids)

    @told
    async def create_collection(
        self,
        ctx: Context[Any, Any],
        name: Annotated[str, Field(description="Letters, digits, and the signs - _ . of the new collection's name.")],
        language: Annotated[
            str | None,
            Field(
                description='Language of the texts, such as "english"; "none" for words as they are; null: no texts.'
            ),
        ] = "english",
        dim: Annotated[int | None, Field(ge=1, description="Numbers of a vector; left out: no vectors.")] = None,
    ) -> Collection:
        """Create a collection, for texts that are found by words, for vectors, or for both. It is an error if there is
        one of this name."""
        client = self._client(ctx, Action.ADMIN, name)
        made = await client.create_collection(
            name,
            None if dim is None else {"dense": Dense(dim)},
            text=None if language is None else {"text": Text(language)},
        )
        return Collection.of(await made.info())

    async def describe(self, ctx: Context[Any, Any], collection: str) -> str:
        """A collection's fields, indexes, size and state, as JSON."""
        try:
            handle = self._client(ctx, Action.READ, collection).collection(collection)
            info = Collection.of(await handle.info()).model_dump()
            return json.dumps({**info, "stats": await handle.stats()}, default=str)
        except NotFound as error:
            raise ResourceNotFoundError(str(error)) from error
        except VecstoreError as error:
            raise ResourceError(str(error)) from error


def _field(schema: Schema, kind: VectorKind, given: str | None) -> str:
    """The field of a kind that is named, or the only one. Raises InvalidArgument (VECTOR_NAME_UNKNOWN)."""
    names = sorted(name for name, field in schema.vectors.items() if field.kind is kind)
    if given in names or (given is None and len(names) == 1):
        return given or names[0]
    what = f"{kind.value} field" if given is None else f"{kind.value} field {given!r}"
    message = f"which {what}? The collection has: {', '.join(names) or 'none'}"
    raise InvalidArgument(message, reason="VECTOR_NAME_UNKNOWN")
