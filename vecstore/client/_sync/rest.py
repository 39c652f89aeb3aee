# Made from ../_async by `python -m vecstore.client.unasync`; edit there.
"""A server over HTTP. One deadline spans a call and its retries."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from vecstore.aliases import Alias, AliasAction, CreateAlias
from vecstore.client import http
from vecstore.client.http import Target, collection_path, segment
from vecstore.client.retry import Attempts, RetryPolicy, is_idempotent
from vecstore.client.tls import Tls
from vecstore.config import Settings
from vecstore.errors import RETRY_AFTER, DeadlineExceeded, FailedPrecondition, VecstoreError
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
from vecstore.wire.rest import aliases as a
from vecstore.wire.rest import estimates as e
from vecstore.wire.rest import points as p
from vecstore.wire.rest import queries as q
from vecstore.wire.rest import reads as r
from vecstore.wire.rest import schema_updates as u
from vecstore.wire.rest import schemas as s
from vecstore.wire.rest import snapshots as w
from vecstore.wire.rest.ids import id_to_json
from vecstore.wire.rest.query_answers import groups_from_json, hits_from_json
from vecstore.wire.rest.query_requests import groups_request_to_json, query_many_to_json, query_to_json

FOREVER_S = 1e9


class RestTransport:
    """An `Transport` over connections to `address` (host:port)."""

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
        self.settings = http.packed_settings(settings)
        self._timeout_s = timeout_s
        self._retry = retry
        self._closed = False
        self._headers: dict[str, str] = {}  # of this caller, over those of the connection
        self._http = httpx.Client(
            base_url=http.base_url(address, tls),
            headers=http.headers(api_key),
            verify=http.ssl_context(tls),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
        )

    def with_key(self, api_key: str) -> RestTransport:
        """The same connection, for a caller with another key."""
        other = copy.copy(self)
        other._headers = {"authorization": f"Bearer {api_key}"}
        return other

    def _call(
        self,
        target: Target,
        body: msgspec.Struct | None,
        answer: Any,
        *,
        idempotent: bool = True,
        timeout_s: float | None = None,
    ) -> Any:
        """Send, and send again where that is safe; raises the error that the server named."""
        if self._closed:
            raise FailedPrecondition("the client is closed", reason="CLOSED")
        budget_s = self._timeout_s if timeout_s is None else timeout_s
        attempts = Attempts(self._retry, budget_s, idempotent)
        content = http.encode(body)
        while True:
            left_s = attempts.remaining_s()
            try:
                response = self._http.request(
                    target.method,
                    target.path,
                    content=content,
                    headers={**http.timeout_header(left_s), **self._headers},
                    timeout=left_s + http.MARGIN_S,
                )
                return http.decode(response, answer)
            except httpx.HTTPError as failed:
                error = http.error_of_http(failed, budget_s)
            except VecstoreError as refused:
                error = refused
            hint = error.metadata.get(RETRY_AFTER)
            delay = attempts.delay_s(error, None if hint is None else float(hint))
            if delay is None:
                raise error
            time.sleep(delay)

    def create_collection(self, name: str, schema: Schema, *, exist_ok: bool = False) -> CollectionInfo:
        body = s.CreateCollectionRequest(schema=s.schema_to_json(schema), exist_ok=exist_ok)
        target = Target("PUT", collection_path(name))
        return s.collection_from_json(self._call(target, body, s.Collection, idempotent=exist_ok))

    def collection_info(self, name: str) -> CollectionInfo:
        return s.collection_from_json(self._call(Target("GET", collection_path(name)), None, s.Collection))

    def list_collections(self) -> list[CollectionInfo]:
        answer = self._call(Target("GET", "/v1/collections"), None, s.Collections)
        return [s.collection_from_json(one) for one in answer.collections]

    def has_collection(self, name: str) -> bool:
        return bool((self._call(Target("GET", collection_path(name, "exists")), None, s.Exists)).exists)

    def delete_collection(self, name: str) -> bool:
        target = Target("DELETE", collection_path(name))
        return bool((self._call(target, None, s.Deleted, idempotent=False)).deleted)

    def update_aliases(self, actions: Sequence[AliasAction]) -> list[Alias]:
        again = all(isinstance(action, CreateAlias) for action in actions)
        body = a.actions_to_json(actions)
        return a.aliases_from_json(self._call(Target("POST", "/v1/aliases"), body, a.Aliases, idempotent=again))

    def list_aliases(self, collection: str | None = None) -> list[Alias]:
        path = "/v1/aliases" if collection is None else collection_path(collection, "aliases")
        return a.aliases_from_json(self._call(Target("GET", path), None, a.Aliases))

    def write(self, request: WriteRequest) -> WriteResult:
        target, body = http.write_call(request)
        wait_s = None if request.wait is None else request.wait.timeout_s
        idempotent = is_idempotent(request)
        return p.written_from_json(self._call(target, body, p.Written, idempotent=idempotent, timeout_s=wait_s))

    def get(self, request: GetRequest) -> tuple[list[Point], int]:
        target = Target("POST", collection_path(request.collection, "points", "get"))
        return r.get_from_answer(self._call(target, r.get_to_json(request), r.GetAnswer))

    def scroll(self, request: ScrollRequest) -> ScrollResult:
        target = Target("POST", collection_path(request.collection, "points", "scroll"))
        return r.scroll_from_answer(self._call(target, r.scroll_to_json(request), r.ScrollAnswer))

    def count(self, request: CountRequest) -> tuple[int, int]:
        target = Target("POST", collection_path(request.collection, "points", "count"))
        answer = self._call(target, r.count_to_json(request), r.CountAnswer)
        return answer.count, answer.seq

    def query(self, request: QueryRequest) -> Hits:
        target = Target("POST", collection_path(request.collection, "points", "query"))
        body = query_to_json(request)
        return hits_from_json(self._call(target, body, q.QueryAnswer, timeout_s=request.timeout_s))

    def facet(self, request: FacetRequest) -> Facets:
        target = Target("POST", collection_path(request.collection, "points", "facet"))
        return r.facets_from_answer(self._call(target, r.facet_to_json(request), r.FacetAnswer))

    def matrix(self, request: MatrixRequest) -> Matrix:
        target = Target("POST", collection_path(request.collection, "points", "matrix"))
        body = r.matrix_to_json(request)
        return r.matrix_from_answer(self._call(target, body, r.MatrixAnswer, timeout_s=request.timeout_s))

    def explain(self, request: QueryRequest, *, analyze: bool = False) -> dict[str, Any]:
        target = Target("POST", collection_path(request.collection, "points", "query", "explain"))
        body = q.ExplainBody(query=query_to_json(request), analyze=analyze)
        return dict((self._call(target, body, q.ExplainAnswer, timeout_s=request.timeout_s)).explained)

    def why_not(self, request: QueryRequest, id: PointId) -> tuple[dict[str, Any], int]:
        target = Target("POST", collection_path(request.collection, "points", "query", "why_not"))
        body = q.WhyNotBody(query=query_to_json(request), id=id_to_json(id))
        answer = self._call(target, body, q.WhyNotAnswer, timeout_s=request.timeout_s)
        return answer.report, answer.seq

    def query_groups(self, request: GroupsRequest) -> Groups:
        target = Target("POST", collection_path(request.query.collection, "points", "query", "groups"))
        body = groups_request_to_json(request)
        answer = self._call(target, body, q.QueryGroupsAnswer, timeout_s=request.query.timeout_s)
        return groups_from_json(answer)

    def query_many(self, request: QueryRequest) -> list[Hits]:
        return self._batch(request.collection, query_many_to_json(request), request.timeout_s)

    def query_batch(self, requests: Sequence[QueryRequest]) -> list[Hits]:
        """All of one collection."""
        given = [request.timeout_s for request in requests if request.timeout_s is not None]
        body = q.QueryBatchBody(queries=[query_to_json(request) for request in requests])
        collection = requests[0].collection if requests else ""
        return self._batch(collection, body, max(given, default=None))

    def _batch(self, collection: str, body: q.QueryBatchBody, timeout_s: float | None) -> list[Hits]:
        target = Target("POST", collection_path(collection, "points", "query", "batch"))
        answer = self._call(target, body, q.QueryBatchAnswer, timeout_s=timeout_s)
        return [hits_from_json(one) for one in answer.results]

    def update_collection(self, request: UpdateCollectionRequest) -> UpdatedCollection:
        target, body = Target("PATCH", collection_path(request.collection)), u.update_to_json(request)
        return u.updated_from_json(self._call(target, body, u.UpdatedCollection, idempotent=False))

    def create_field_index(self, request: FieldIndexRequest) -> OperationInfo:
        target = Target("PUT", collection_path(request.collection, "indexes", segment(request.key)))
        return self._start(target, s.field_index_to_json(request))

    def update_index(self, request: VectorIndexRequest) -> OperationInfo:
        target = Target("PUT", collection_path(request.collection, "vectors", segment(request.vector), "index"))
        return self._start(target, s.vector_index_to_json(request))

    def tune(self, request: TuneRequest) -> OperationInfo:
        return self._start(Target("POST", collection_path(request.collection, "tune")), s.tune_to_json(request))

    def delete_field_index(self, request: FieldIndexRequest) -> bool:
        target = Target("DELETE", collection_path(request.collection, "indexes", segment(request.key)))
        return bool((self._call(target, None, s.Deleted, idempotent=False)).deleted)

    def compact(self, collection: str) -> OperationInfo:
        return self._start(Target("POST", collection_path(collection, "compact")))

    def stats(self, collection: str) -> dict[str, Any]:
        answer = self._call(Target("GET", collection_path(collection, "stats")), None, s.Stats)
        return dict(answer.stats)

    def estimate(self, request: EstimateRequest) -> dict[str, Any]:
        path = "/v1/estimate" if request.collection is None else collection_path(request.collection, "estimate")
        body = e.estimate_to_json(request)
        return dict((self._call(Target("POST", path), body, e.Estimate)).estimate)

    def verify(self, collection: str | None = None) -> OperationInfo:
        path = "/v1/verify" if collection is None else collection_path(collection, "verify")
        return self._start(Target("POST", path))

    def _start(self, target: Target, body: msgspec.Struct | None = None) -> OperationInfo:
        return s.operation_from_json(self._call(target, body, s.Operation, idempotent=False))

    def snapshot(self, dest: str | Path) -> OperationInfo:
        """`dest` is a name, under which the server keeps it."""
        return self.create_snapshot(str(dest))

    def create_snapshot(self, name: str = "") -> OperationInfo:
        return self._start(Target("POST", "/v1/snapshots"), w.CreateSnapshotBody(name=name))

    def list_snapshots(self) -> list[SnapshotInfo]:
        answer = self._call(Target("GET", "/v1/snapshots"), None, w.Snapshots)
        return [w.snapshot_from_json(one) for one in answer.snapshots]

    def delete_snapshot(self, name: str) -> bool:
        target = Target("DELETE", f"/v1/snapshots/{segment(name)}")
        return bool((self._call(target, None, s.Deleted, idempotent=False)).deleted)

    def restore_snapshot(self, name: str, into: str) -> OperationInfo:
        target = Target("POST", f"/v1/snapshots/{segment(name)}/restore")
        return self._start(target, w.RestoreSnapshotBody(into=into))

    def operation(self, id: str) -> OperationInfo:
        target = Target("GET", f"/v1/operations/{segment(id)}")
        return s.operation_from_json(self._call(target, None, s.Operation))

    def list_operations(self, collection: str | None = None) -> list[OperationInfo]:
        query = "" if collection is None else f"?collection={segment(collection)}"
        answer = self._call(Target("GET", f"/v1/operations{query}"), None, s.Operations)
        return [s.operation_from_json(one) for one in answer.operations]

    def cancel_operation(self, id: str) -> OperationInfo:
        target = Target("POST", f"/v1/operations/{segment(id)}/cancel")
        return s.operation_from_json(self._call(target, None, s.Operation))

    def wait_operation(self, id: str, timeout_s: float | None = None) -> OperationInfo:
        """Follow the operation's events until it has ended. Raises DeadlineExceeded after `timeout_s` (None: never)."""
        operation = self.operation(id)
        late = DeadlineExceeded(f"operation {id} is still running after timeout_s={timeout_s}")
        attempts = Attempts(self._retry, FOREVER_S if timeout_s is None else timeout_s, True)
        try:
            with self._http.stream("GET", f"/v1/operations/{segment(id)}/events", timeout=timeout_s) as events:
                if not events.is_success:
                    events.read()
                    raise http.error_from(events)
                for line in events.iter_lines():
                    if line.startswith("data: "):
                        operation = s.operation_from_json(msgspec.json.decode(line[6:], type=s.Operation))
                    if operation.state is not OperationState.RUNNING:
                        return operation
                    attempts.remaining_s()
        except httpx.TimeoutException:
            raise late from None
        except httpx.HTTPError as failed:
            raise http.error_of_http(failed, timeout_s or 0.0) from None
        except DeadlineExceeded:
            raise late from None
        raise DeadlineExceeded(f"the server stopped reporting on operation {id} while it was running")

    def info(self) -> dict[str, Any]:
        return dict((self._call(Target("GET", "/v1/info"), None, s.Info)).info)

    def close(self) -> None:
        self._closed = True
        self._http.close()
