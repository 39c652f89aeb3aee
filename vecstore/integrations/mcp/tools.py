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
from vecstore.client._async.collection import AsyncCollection
from vecstore.client.fields import Dense, Text
from vecstore.client.stages import RRF, Prefetch
from vecstore.documents.layout import INDEXES
from vecstore.errors import InvalidArgument, NotFound, VecstoreError
from vecstore.integrations.mcp.callers import Callers
from vecstore.integrations.mcp.shapes import Added, Collection, Collections, NewPoint, Points, candidates
from vecstore.schema import Schema, VectorField, VectorKind

Kind = Callable[[VectorField], bool]
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

    async def _handle(self, ctx: Context[Any, Any], action: Action, collection: str) -> AsyncCollection:
        client, name = await self._callers.reach(ctx.request_context.request, action, collection)
        return client.collection(name)

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
        query: Annotated[
            str | None,
            Field(
                description="A text: text fields are searched for its words, fields with an embedder for its meaning."
            ),
        ] = None,
        vector: Annotated[list[float] | None, Field(description="A vector to be near to in a dense field.")] = None,
        filter: Filter = None,
        limit: Annotated[int, Field(ge=1, le=100, description="How many points at most.")] = 10,
        query_fields: Annotated[
            list[str] | None, Field(min_length=1, description="Fields for query; left out: all that take texts.")
        ] = None,
        vector_field: Annotated[
            str | None, Field(description="The field for vector; needed where there are several dense ones.")
        ] = None,
    ) -> Points:
        """Find the points that fit best, best first: by a text (query), by nearness (vector), or by both. With several
        fields their rankings are fused. A text field finds points that have a word in common with the query."""
        handle = await self._handle(ctx, Action.READ, collection)
        if query is None and vector is None:
            raise InvalidArgument("give query (a text), vector, or both", reason="BAD_ARGUMENT")
        schema = await handle.schema()
        legs: list[tuple[Any, str]] = []
        if query is not None:
            fields = [_named(schema, takes_text, name) for name in query_fields or _fields(schema, takes_text)]
            legs += [(query, name) for name in fields or [_named(schema, takes_text, None)]]
        if vector is not None:
            legs.append((vector, _named(schema, is_dense, vector_field)))
        if len(legs) == 1:
            hits = await handle.query(legs[0][0], limit, using=legs[0][1], filter=filter)
        else:
            prefetch = [Prefetch(vector=given, using=name, k=CANDIDATES) for given, name in legs]
            hits = await handle.query(None, limit, prefetch=prefetch, fusion=RRF(), filter=filter)
        return Points.of(hits)

    @told
    async def get(self, ctx: Context[Any, Any], collection: Name, ids: Ids) -> Points:
        """Get points by their ids, with their payloads. Ids that there are not are left out."""
        handle = await self._handle(ctx, Action.READ, collection)
        return Points.of(await handle.get([one for id in ids for one in candidates(id)]))

    @told
    async def add(
        self,
        ctx: Context[Any, Any],
        collection: Name,
        points: Annotated[list[NewPoint], Field(min_length=1, max_length=1000, description="All or none are written.")],
    ) -> Added:
        """Write points into a collection that exists. They are stored durably and found by the next search."""
        handle = await self._handle(ctx, Action.WRITE, collection)
        schema = await handle.schema()
        ids = [str(uuid.uuid4()) if point.id is None else point.id for point in points]
        vectors: dict[str, list[Any]] = {}
        if any(point.text is not None for point in points):
            texts = [name for name in _fields(schema, takes_text) if schema.vectors[name].embedder is not None]
            if _fields(schema, is_text) or not texts:
                texts.append(_named(schema, is_text, None))
            vectors |= {name: [point.text for point in points] for name in texts}
        if any(point.vector is not None for point in points):
            name = _named(schema, is_dense, None)
            embedded = vectors.get(name) or [None] * len(points)
            if any(point.vector is not None and text is not None for point, text in zip(points, embedded, strict=True)):
                message = f"points with a text get their vector in {name!r} from its embedder; leave theirs out"
                raise InvalidArgument(message, reason="BAD_VECTOR")
            vectors[name] = [point.vector for point in points]
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
        dim: Annotated[int | None, Field(ge=1, description="Numbers of a vector that points bring with them.")] = None,
        embedder: Annotated[
            str | None, Field(description="Name of the database's embedder, which makes the vectors of the texts.")
        ] = None,
    ) -> Collection:
        """Create a collection, for texts that are found by words, for vectors (with dim or embedder), or for both. It
        is an error if there is one of this name."""
        client, _ = self._callers.client(ctx.request_context.request, Action.ADMIN, name)
        made = await client.create_collection(
            name,
            None if dim is None and embedder is None else {"dense": Dense(dim or 0, embedder=embedder)},
            text=None if language is None else {"text": Text(language)},
            indexes=None if language is None and embedder is None else INDEXES,  # of documents, should there be some
        )
        return Collection.of(await made.info())

    async def describe(self, ctx: Context[Any, Any], collection: str) -> str:
        """A collection's fields, indexes, size and state, as JSON."""
        try:
            handle = await self._handle(ctx, Action.READ, collection)
            info = Collection.of(await handle.info()).model_dump()
            return json.dumps({**info, "stats": await handle.stats()}, default=str)
        except NotFound as error:
            raise ResourceNotFoundError(str(error)) from error
        except VecstoreError as error:
            raise ResourceError(str(error)) from error


def is_text(field: VectorField) -> bool:
    return field.kind is VectorKind.TEXT


def is_dense(field: VectorField) -> bool:
    return field.kind is VectorKind.DENSE


def takes_text(field: VectorField) -> bool:
    return is_text(field) or field.embedder is not None


WHAT: dict[Kind, str] = {is_text: "text field", is_dense: "dense field", takes_text: "field that takes texts"}


def _fields(schema: Schema, kind: Kind) -> list[str]:
    return sorted(name for name, field in schema.vectors.items() if kind(field))


def _named(schema: Schema, kind: Kind, given: str | None) -> str:
    """The field of a kind that is named, or the only one. Raises InvalidArgument (VECTOR_NAME_UNKNOWN)."""
    names = _fields(schema, kind)
    if given in names or (given is None and len(names) == 1):
        return given or names[0]
    what = WHAT[kind] if given is None else f"{WHAT[kind]} {given!r}"
    message = f"which {what}? The collection has: {', '.join(names) or 'none'}"
    raise InvalidArgument(message, reason="VECTOR_NAME_UNKNOWN")
