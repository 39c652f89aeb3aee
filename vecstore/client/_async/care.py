"""A collection as a whole: its settings, indexes, jobs and state."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import UNSET, UnsetType

from vecstore.client._async.handle import AsyncHandle
from vecstore.client.fields import IndexKind
from vecstore.client.requests import field_index, finished
from vecstore.client.updates import VectorChanges, update_request
from vecstore.client.vectors import as_queries, only_vector
from vecstore.estimating import EstimateRequest
from vecstore.index_check import IndexLike, read_index
from vecstore.schema import Schema
from vecstore.schema_update import UpdatedCollection
from vecstore.types import FieldIndexRequest, OperationInfo, TuneRequest, VectorIndexRequest


class AsyncCare(AsyncHandle):
    """What a handle on a collection can do beside writing and reading points."""

    async def create_field_index(
        self, key: str, kind: IndexKind, *, wait: bool = True, timeout_s: float | None = None
    ) -> OperationInfo:
        """Index a payload field, so that filters on it need no scan. It is built in the background."""
        operation = await self._transport.create_field_index(field_index(self.name, key, kind))
        return await self._finish(operation, wait, timeout_s)

    async def delete_field_index(self, key: str) -> bool:
        """Drop a payload index; filters on the field still work. False when there was none."""
        self._schema = None
        return await self._transport.delete_field_index(FieldIndexRequest(self.name, key))

    async def update(
        self,
        *,
        vectors: VectorChanges = MappingProxyType({}),
        metadata: Mapping[str, Any] | UnsetType | None = UNSET,
        if_version: int | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> UpdatedCollection:
        """Change settings of the collection, all that are given or none; queries and writes go on.

        `vectors` maps fields to changes: `search`, how hard to look for queries that do not say it ({"recall": 0.95},
        or `ef`, `nprobe`, `oversampling`, `block_factor`), `device`, `embedder` (by one of the same model), and
        `index`, which is built in the background: with `wait` this returns when it is. What is not named stays; None
        puts a setting back to its default. `metadata` is merged into what is there; None takes a key or all of it away.
        `if_version` is the `version` of the `info()` that the changes are made for.

        Raises FailedPrecondition (VERSION_MISMATCH), and InvalidArgument: SETTING_FIXED for what stored vectors depend
        on, such as `dim`, VECTOR_NAME_UNKNOWN, BAD_SCHEMA, BAD_INDEX_SPEC. Nothing is changed then."""
        updated = await self._transport.update_collection(update_request(self.name, vectors, metadata, if_version))
        self._schema = updated.info.schema
        if updated.operation is None:
            return updated
        operation = await self._finish(updated.operation, wait, timeout_s)
        return UpdatedCollection(updated.info, operation)

    async def update_index(
        self, vector: str, index: IndexLike, *, wait: bool = True, timeout_s: float | None = None
    ) -> OperationInfo:
        """Index a vector field by another spec: a builder, a dictionary, a line of text ("flat" is exact search), or
        None, which leaves it to the engine. Queries go on meanwhile, by the old index until the new one is there."""
        request = VectorIndexRequest(self.name, vector, read_index(index))
        return await self._finish(await self._transport.update_index(request), wait, timeout_s)

    async def tune(
        self, queries: Any, *, using: str | None = None, wait: bool = True, timeout_s: float | None = None
    ) -> OperationInfo:
        """Calibrate the index on queries of your own, a matrix with one a row (20 at least, 1,024 are used): `recall=`
        then holds for queries like these, where without it is known for queries that resemble stored vectors. Kept
        over restarts and merges."""

        async def start(schema: Schema) -> OperationInfo:
            name = only_vector(schema, using)
            rows = as_queries(queries, schema.vectors[name])
            return await self._transport.tune(TuneRequest(self.name, rows, name))

        return await self._finish(await self._by_schema(start), wait, timeout_s)

    async def compact(self, *, wait: bool = True, timeout_s: float | None = None) -> OperationInfo:
        """Seal what is growing and merge all segments, in the background. What is written meanwhile is left."""
        return await self._finish(await self._transport.compact(self.name), wait, timeout_s)

    async def _finish(self, operation: OperationInfo, wait: bool, timeout_s: float | None) -> OperationInfo:
        self._schema = None
        if wait:
            operation = await self._transport.wait_operation(operation.id, timeout_s)
        return finished(operation)

    async def stats(self) -> dict[str, Any]:
        """Rows, segments, bytes for each component, indexes, state."""
        return await self._transport.stats(self.name)

    async def estimate(
        self,
        points: int | None = None,
        *,
        entries: Mapping[str, float] | None = None,
        terms: Mapping[str, int] | None = None,
        payload_bytes: float | None = None,
        id_bytes: float | None = None,
    ) -> dict[str, Any]:
        """What the collection would take with so many points (as many as it has, if nothing is said), and `actual`,
        what it takes now; see `Client.estimate`. What is left out is as the points are that are there."""
        request = EstimateRequest(self.name, None, points, entries or {}, terms or {}, payload_bytes, id_bytes)
        return await self._transport.estimate(request)

    async def verify(self, *, timeout_s: float | None = None) -> OperationInfo:
        """Check every checksum of the collection; `state` and `error` of the answer tell what was found."""
        operation = await self._transport.verify(self.name)
        return await self._transport.wait_operation(operation.id, timeout_s)

    async def operations(self) -> list[OperationInfo]:
        """Long jobs on this collection, running and recent."""
        return await self._transport.list_operations(self.name)
