"""An embedded database for asyncio: writes await the engine's future, queries meet in the coalescer, the rest runs in
threads, so that nothing holds the event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from vecstore.aliases import Alias, AliasAction
from vecstore.config import Settings
from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.engine.in_thread import in_thread
from vecstore.engine.reached import named, named_all
from vecstore.estimating import EstimateRequest
from vecstore.facets import FacetRequest, Facets, Matrix, MatrixRequest
from vecstore.grouping import Groups, GroupsRequest
from vecstore.hits import Hits
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.schema_update import UpdateCollectionRequest, UpdatedCollection
from vecstore.types import (
    CollectionInfo,
    CountRequest,
    FieldIndexRequest,
    GetRequest,
    OperationInfo,
    Point,
    QueryRequest,
    ScrollRequest,
    ScrollResult,
    SnapshotInfo,
    TuneRequest,
    VectorIndexRequest,
    WriteRequest,
    WriteResult,
)

P = ParamSpec("P")
T = TypeVar("T")
Args = TypeVarTuple("Args")


class AsyncLocal:
    """An `AsyncTransport` over a `Database` of this process."""

    def __init__(
        self,
        database: Database,
        coalescer: Coalescer | None = None,
        reads: Executor | None = None,
        writes: Executor | None = None,
    ) -> None:
        """With a coalescer and threads that others use too, as in a server; with its own where they are left out."""
        self.settings: Settings = database.settings
        self._database = database
        self._executor = reads or ThreadPoolExecutor(thread_name_prefix="vecstore-client")
        self._writes = writes or self._executor
        self._coalescer = coalescer or Coalescer(database, self._executor)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, functools.partial(call, *args, **kwargs))

    async def _read(self, call: Callable[[*Args], T], *args: *Args) -> T:
        """A caller who gives up ends it."""
        return await in_thread(self._executor, call, *args)

    async def create_collection(self, name: str, schema: Schema, *, exist_ok: bool = False) -> CollectionInfo:
        return await self._run(self._database.create_collection, name, schema, exist_ok=exist_ok)

    async def collection_info(self, name: str) -> CollectionInfo:
        return self._database.collection_info(name)  # in memory

    async def list_collections(self) -> list[CollectionInfo]:
        return await self._run(self._database.list_collections)

    async def has_collection(self, name: str) -> bool:
        return await self._run(self._database.has_collection, name)

    async def delete_collection(self, name: str) -> bool:
        return await self._run(self._database.delete_collection, name)

    async def update_collection(self, request: UpdateCollectionRequest) -> UpdatedCollection:
        return await self._run(self._database.update_collection, request)

    @property
    def aliases(self) -> Mapping[str, str]:
        """What each alias stands for now."""
        return self._database.aliases

    async def update_aliases(
        self, actions: Sequence[AliasAction], *, may_see: Callable[[str], bool] = lambda collection: True
    ) -> list[Alias]:
        return await self._run(self._database.update_aliases, actions, may_see=may_see)

    async def list_aliases(self, collection: str | None = None) -> list[Alias]:
        return await self._run(self._database.list_aliases, collection)

    async def write(self, request: WriteRequest) -> WriteResult:
        loop = asyncio.get_running_loop()
        (request,) = await self._database.embedding.resolved_async([self._database.named(request)])
        pending = await loop.run_in_executor(self._writes, self._database.submit, request)
        return await self._database.finished(request, pending)

    async def get(self, request: GetRequest) -> tuple[list[Point], int]:
        return await self._read(self._database.get, request)

    async def scroll(self, request: ScrollRequest) -> ScrollResult:
        return await self._read(self._database.scroll, request)

    async def count(self, request: CountRequest) -> tuple[int, int]:
        return await self._read(self._database.count, request)

    async def query(self, request: QueryRequest) -> Hits:
        return await self._coalescer.query(request)

    async def facet(self, request: FacetRequest) -> Facets:
        return await self._read(self._database.facet, request)

    async def matrix(self, request: MatrixRequest) -> Matrix:
        return await self._read(self._database.matrix, request)

    async def explain(self, request: QueryRequest, *, analyze: bool = False) -> dict[str, Any]:
        (request,) = await self._database.embedding.resolved_async([await named(self._database, request)])
        return await self._read(functools.partial(self._database.explain, analyze=analyze), request)

    async def why_not(self, request: QueryRequest, id: PointId) -> tuple[dict[str, Any], int]:
        (request,) = await self._database.embedding.resolved_async([await named(self._database, request)])
        return await self._read(self._database.why_not, request, id)

    async def query_groups(self, request: GroupsRequest) -> Groups:
        (request,) = await self._database.embedding.resolved_async([await named(self._database, request)])
        return await self._read(self._database.query_groups, request)

    async def query_many(self, request: QueryRequest) -> list[Hits]:
        (request,) = await self._database.embedding.resolved_async([await named(self._database, request)], many=True)
        return await self._read(self._database.query_many, request)

    async def query_batch(self, requests: Sequence[QueryRequest]) -> list[Hits]:
        requests = await self._database.embedding.resolved_async(await named_all(self._database, requests))
        return await self._read(self._database.query_batch, requests)

    async def create_field_index(self, request: FieldIndexRequest) -> OperationInfo:
        return await self._run(self._database.create_field_index, request)

    async def update_index(self, request: VectorIndexRequest) -> OperationInfo:
        return await self._run(self._database.update_index, request)

    async def tune(self, request: TuneRequest) -> OperationInfo:
        (request,) = await self._database.embedding.resolved_async([self._database.named(request)])
        return await self._run(self._database.tune, request)

    async def delete_field_index(self, request: FieldIndexRequest) -> bool:
        return await self._run(self._database.delete_field_index, request)

    async def compact(self, collection: str) -> OperationInfo:
        return await self._run(self._database.compact, collection)

    async def stats(self, collection: str) -> dict[str, Any]:
        return await self._run(self._database.stats, collection)

    async def estimate(self, request: EstimateRequest) -> dict[str, Any]:
        return await self._run(self._database.estimate, request)

    async def verify(self, collection: str | None = None) -> OperationInfo:
        return await self._run(self._database.verify, collection)

    async def snapshot(self, dest: str | Path) -> OperationInfo:
        return await self._run(self._database.snapshot, dest)

    async def create_snapshot(self, name: str = "") -> OperationInfo:
        return await self._run(self._database.create_snapshot, name)

    async def list_snapshots(self) -> list[SnapshotInfo]:
        return await self._run(self._database.list_snapshots)

    async def delete_snapshot(self, name: str) -> bool:
        return await self._run(self._database.delete_snapshot, name)

    async def restore_snapshot(self, name: str, into: str) -> OperationInfo:
        return await self._run(self._database.restore_snapshot, name, into)

    async def operation(self, id: str) -> OperationInfo:
        return await self._run(self._database.operation, id)

    async def list_operations(self, collection: str | None = None) -> list[OperationInfo]:
        return await self._run(self._database.list_operations, collection)

    async def cancel_operation(self, id: str) -> OperationInfo:
        return await self._run(self._database.cancel_operation, id)

    async def wait_operation(self, id: str, timeout_s: float | None = None) -> OperationInfo:
        return await self._run(self._database.wait_operation, id, timeout_s)

    async def info(self) -> dict[str, Any]:
        return await self._run(self._database.info)

    async def close(self) -> None:
        await self._run(self._database.close)
        self._executor.shutdown(wait=False)
