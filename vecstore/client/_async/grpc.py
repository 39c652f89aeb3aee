"""A server over gRPC. One deadline spans a call and its retries."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from vecstore.aliases import Alias, AliasAction, CreateAlias
from vecstore.client.channel import channel_options, credentials, metadata, rpc_deadline_s, stubs
from vecstore.client.retry import Attempts, RetryPolicy, is_idempotent
from vecstore.client.tls import Tls
from vecstore.config import Settings
from vecstore.errors import RETRY_AFTER, DeadlineExceeded, FailedPrecondition
from vecstore.estimating import EstimateRequest
from vecstore.facets import FacetRequest, Facets, Matrix, MatrixRequest
from vecstore.grouping import Groups, GroupsRequest
from vecstore.hits import Hits
from vecstore.pb.v1 import aliases_pb2, collections_pb2, operations_pb2, points_pb2, snapshots_pb2
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.schema_update import UpdateCollectionRequest, UpdatedCollection
from vecstore.types import (
    CollectionInfo,
    CountRequest,
    FieldIndexRequest,
    GetRequest,
    OperationInfo,
    OperationState,
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
from vecstore.wire.aliases import actions_to_pb, aliases_from_pb
from vecstore.wire.answers import get_result_from_pb, hits_from_pb, scroll_result_from_pb
from vecstore.wire.errors import error_from_rpc
from vecstore.wire.estimates import estimate_to_pb
from vecstore.wire.facets import facet_to_pb, facets_from_pb, matrix_from_pb, matrix_request_to_pb
from vecstore.wire.groups import groups_from_pb, groups_request_to_pb
from vecstore.wire.ids import id_to_pb
from vecstore.wire.reads import count_to_pb, get_to_pb, query_many_to_pb, query_to_pb, scroll_to_pb
from vecstore.wire.schema_updates import update_to_pb, updated_from_pb
from vecstore.wire.schemas import (
    collection_from_pb,
    field_index_to_pb,
    operation_from_pb,
    schema_to_pb,
    tune_to_pb,
    vector_index_to_pb,
)
from vecstore.wire.snapshots import snapshot_from_pb
from vecstore.wire.values import fields_from_pb
from vecstore.wire.writes import write_result_from_pb, write_to_pb


class AsyncGrpcTransport:
    """An `AsyncTransport` over a channel to `address` (host:port), in clear text where `tls` is None."""

    def __init__(
        self,
        address: str,
        tls: Tls | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float,
        settings: Settings,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (frozen)
    ) -> None:
        self.settings = settings
        self._timeout_s = timeout_s
        self._retry = retry
        self._metadata = metadata(api_key)
        self._closed = False
        options = channel_options(settings.limits)
        self._channel: Any
        if tls is not None:
            self._channel = grpc.aio.secure_channel(address, credentials(tls), options=options)
        else:
            self._channel = grpc.aio.insecure_channel(address, options=options)
        self._collections, self._points, self._operations, self._snapshots = stubs(self._channel)

    def with_key(self, api_key: str) -> AsyncGrpcTransport:
        """The same channel, for a caller with another key."""
        other = copy.copy(self)
        other._metadata = metadata(api_key)
        return other

    async def _call(self, method: Any, message: Any, *, idempotent: bool = True, timeout_s: float | None = None) -> Any:
        """Send, and send again where that is safe; raises the error that the server named."""
        if self._closed:
            raise FailedPrecondition("the client is closed", reason="CLOSED")
        attempts = Attempts(self._retry, self._timeout_s if timeout_s is None else timeout_s, idempotent)
        while True:
            try:
                return await method(message, timeout=attempts.remaining_s(), metadata=self._metadata)
            except grpc.RpcError as rpc:
                error = error_from_rpc(rpc)
            hint = error.metadata.get(RETRY_AFTER)
            delay = attempts.delay_s(error, None if hint is None else float(hint))
            if delay is None:
                raise error
            await asyncio.sleep(delay)

    async def create_collection(self, name: str, schema: Schema, *, exist_ok: bool = False) -> CollectionInfo:
        message = collections_pb2.CreateCollectionRequest(name=name, schema=schema_to_pb(schema), exist_ok=exist_ok)
        return collection_from_pb(await self._call(self._collections.Create, message, idempotent=exist_ok))

    async def collection_info(self, name: str) -> CollectionInfo:
        message = collections_pb2.GetCollectionRequest(name=name)
        return collection_from_pb(await self._call(self._collections.Get, message))

    async def list_collections(self) -> list[CollectionInfo]:
        answer = await self._call(self._collections.List, collections_pb2.ListCollectionsRequest())
        return [collection_from_pb(one) for one in answer.collections]

    async def has_collection(self, name: str) -> bool:
        message = collections_pb2.CollectionExistsRequest(name=name)
        return bool((await self._call(self._collections.Exists, message)).exists)

    async def delete_collection(self, name: str) -> bool:
        message = collections_pb2.DeleteCollectionRequest(name=name)
        return bool((await self._call(self._collections.Delete, message, idempotent=False)).deleted)

    async def update_aliases(self, actions: Sequence[AliasAction]) -> list[Alias]:
        again = all(isinstance(action, CreateAlias) for action in actions)
        answer = await self._call(self._collections.UpdateAliases, actions_to_pb(actions), idempotent=again)
        return aliases_from_pb(answer.aliases)

    async def list_aliases(self, collection: str | None = None) -> list[Alias]:
        message = aliases_pb2.ListAliasesRequest(collection=collection or "")
        return aliases_from_pb((await self._call(self._collections.ListAliases, message)).aliases)

    async def write(self, request: WriteRequest) -> WriteResult:
        method, message = write_to_pb(request)
        call, wait_s = getattr(self._points, method), None if request.wait is None else request.wait.timeout_s
        answer = await self._call(call, message, idempotent=is_idempotent(request), timeout_s=wait_s)
        return write_result_from_pb(answer)

    async def get(self, request: GetRequest) -> tuple[list[Point], int]:
        return get_result_from_pb(await self._call(self._points.Get, get_to_pb(request)), request.select)

    async def scroll(self, request: ScrollRequest) -> ScrollResult:
        return scroll_result_from_pb(await self._call(self._points.Scroll, scroll_to_pb(request)), request.select)

    async def count(self, request: CountRequest) -> tuple[int, int]:
        answer = await self._call(self._points.Count, count_to_pb(request))
        return answer.count, answer.seq

    async def query(self, request: QueryRequest) -> Hits:
        timeout_s = rpc_deadline_s(request.timeout_s)
        answer = await self._call(self._points.Query, query_to_pb(request), timeout_s=timeout_s)
        return hits_from_pb(answer, request.select)

    async def facet(self, request: FacetRequest) -> Facets:
        return facets_from_pb(await self._call(self._points.Facet, facet_to_pb(request)))

    async def matrix(self, request: MatrixRequest) -> Matrix:
        timeout_s = rpc_deadline_s(request.timeout_s)
        message = matrix_request_to_pb(request)
        return matrix_from_pb(await self._call(self._points.DistanceMatrix, message, timeout_s=timeout_s))

    async def explain(self, request: QueryRequest, *, analyze: bool = False) -> dict[str, Any]:
        timeout_s = rpc_deadline_s(request.timeout_s)
        message = points_pb2.ExplainRequest(query=query_to_pb(request), analyze=analyze)
        return fields_from_pb((await self._call(self._points.Explain, message, timeout_s=timeout_s)).explained.fields)

    async def why_not(self, request: QueryRequest, id: PointId) -> tuple[dict[str, Any], int]:
        timeout_s = rpc_deadline_s(request.timeout_s)
        message = points_pb2.WhyNotRequest(query=query_to_pb(request), id=id_to_pb(id))
        answer = await self._call(self._points.WhyNot, message, timeout_s=timeout_s)
        return fields_from_pb(answer.report.fields), answer.seq

    async def query_groups(self, request: GroupsRequest) -> Groups:
        timeout_s = rpc_deadline_s(request.query.timeout_s)
        message = groups_request_to_pb(request)
        answer = await self._call(self._points.QueryGroups, message, timeout_s=timeout_s)
        return groups_from_pb(answer, request.query.select)

    async def query_many(self, request: QueryRequest) -> list[Hits]:
        timeout_s = rpc_deadline_s(request.timeout_s)
        answer = await self._call(self._points.QueryBatch, query_many_to_pb(request), timeout_s=timeout_s)
        return [hits_from_pb(one, request.select) for one in answer.results]

    async def query_batch(self, requests: Sequence[QueryRequest]) -> list[Hits]:
        given = [request.timeout_s for request in requests if request.timeout_s is not None]
        message = points_pb2.QueryBatchRequest(queries=map(query_to_pb, requests))
        answer = await self._call(self._points.QueryBatch, message, timeout_s=rpc_deadline_s(max(given, default=None)))
        return [hits_from_pb(one, asked.select) for one, asked in zip(answer.results, requests, strict=True)]

    async def update_collection(self, request: UpdateCollectionRequest) -> UpdatedCollection:
        message = update_to_pb(request)
        return updated_from_pb(await self._call(self._collections.Update, message, idempotent=False))

    async def create_field_index(self, request: FieldIndexRequest) -> OperationInfo:
        answer = await self._call(self._collections.CreateFieldIndex, field_index_to_pb(request), idempotent=False)
        return operation_from_pb(answer)

    async def update_index(self, request: VectorIndexRequest) -> OperationInfo:
        message = vector_index_to_pb(request)
        return operation_from_pb(await self._call(self._collections.UpdateIndex, message, idempotent=False))

    async def tune(self, request: TuneRequest) -> OperationInfo:
        return operation_from_pb(await self._call(self._collections.Tune, tune_to_pb(request), idempotent=False))

    async def delete_field_index(self, request: FieldIndexRequest) -> bool:
        message = collections_pb2.DeleteFieldIndexRequest(collection=request.collection, key=request.key)
        return bool((await self._call(self._collections.DeleteFieldIndex, message, idempotent=False)).deleted)

    async def compact(self, collection: str) -> OperationInfo:
        message = collections_pb2.CompactCollectionRequest(collection=collection)
        return operation_from_pb(await self._call(self._collections.Compact, message, idempotent=False))

    async def stats(self, collection: str) -> dict[str, Any]:
        message = collections_pb2.CollectionStatsRequest(collection=collection)
        return fields_from_pb((await self._call(self._collections.Stats, message)).stats)

    async def estimate(self, request: EstimateRequest) -> dict[str, Any]:
        return fields_from_pb((await self._call(self._collections.Estimate, estimate_to_pb(request))).estimate)

    async def verify(self, collection: str | None = None) -> OperationInfo:
        message = collections_pb2.VerifyRequest(collection=collection or "")
        return operation_from_pb(await self._call(self._collections.Verify, message, idempotent=False))

    async def snapshot(self, dest: str | Path) -> OperationInfo:
        """`dest` is a name, under which the server keeps it."""
        return await self.create_snapshot(str(dest))

    async def create_snapshot(self, name: str = "") -> OperationInfo:
        message = snapshots_pb2.CreateSnapshotRequest(name=name)
        return operation_from_pb(await self._call(self._snapshots.Create, message, idempotent=False))

    async def list_snapshots(self) -> list[SnapshotInfo]:
        answer = await self._call(self._snapshots.List, snapshots_pb2.ListSnapshotsRequest())
        return [snapshot_from_pb(one) for one in answer.snapshots]

    async def delete_snapshot(self, name: str) -> bool:
        message = snapshots_pb2.DeleteSnapshotRequest(name=name)
        return bool((await self._call(self._snapshots.Delete, message, idempotent=False)).deleted)

    async def restore_snapshot(self, name: str, into: str) -> OperationInfo:
        message = snapshots_pb2.RestoreSnapshotRequest(name=name, into=into)
        return operation_from_pb(await self._call(self._snapshots.Restore, message, idempotent=False))

    async def operation(self, id: str) -> OperationInfo:
        return operation_from_pb(await self._call(self._operations.Get, operations_pb2.GetOperationRequest(id=id)))

    async def list_operations(self, collection: str | None = None) -> list[OperationInfo]:
        message = operations_pb2.ListOperationsRequest(collection=collection or "")
        return [operation_from_pb(one) for one in (await self._call(self._operations.List, message)).operations]

    async def cancel_operation(self, id: str) -> OperationInfo:
        message = operations_pb2.CancelOperationRequest(id=id)
        return operation_from_pb(await self._call(self._operations.Cancel, message))

    async def wait_operation(self, id: str, timeout_s: float | None = None) -> OperationInfo:
        """Follow the operation's stream until it has ended. Raises DeadlineExceeded after `timeout_s` (None: never)."""
        message = operations_pb2.WatchOperationRequest(id=id)
        operation = await self.operation(id)
        try:
            async for answer in self._operations.Watch(message, timeout=timeout_s, metadata=self._metadata):
                operation = operation_from_pb(answer)
        except grpc.RpcError as rpc:
            error = error_from_rpc(rpc)
            if isinstance(error, DeadlineExceeded):
                error = DeadlineExceeded(f"operation {id} is still running after timeout_s={timeout_s}")
            raise error from None
        if operation.state is OperationState.RUNNING:
            raise DeadlineExceeded(f"the server stopped reporting on operation {id} while it was running")
        return operation

    async def info(self) -> dict[str, Any]:
        return fields_from_pb((await self._call(self._collections.Info, collections_pb2.InfoRequest())).info)

    async def close(self) -> None:
        self._closed = True
        await self._channel.close()
