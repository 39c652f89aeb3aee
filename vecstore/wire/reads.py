"""Requests that read points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vecstore.config import Limits
from vecstore.index.base import DEFAULT_PARAMS
from vecstore.pb.v1 import common_pb2
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.sparse_check import bad_vector
from vecstore.types import (
    CountRequest,
    GetRequest,
    QueryRequest,
    ScrollRequest,
    Selection,
)
from vecstore.wire.conditions import selected_ids
from vecstore.wire.filters import filter_to_pb, given_filter
from vecstore.wire.given import given_rows, given_vectors, only
from vecstore.wire.ids import column_to_pb, id_from_pb, id_to_pb
from vecstore.wire.parts import query_vector, set_int
from vecstore.wire.stages import (
    params_from_pb,
    params_to_pb,
    stages_from_pb,
    stages_to_pb,
)
from vecstore.wire.values import JSON
from vecstore.wire.vectors import set_vector

K_DEFAULT = 10


# ---- to the wire; requests ask for payloads as JSON


def get_to_pb(request: GetRequest) -> pb.GetPointsRequest:
    message = pb.GetPointsRequest(
        collection=request.collection,
        id_column=column_to_pb(request.ids),
        payload_encoding=JSON,
        min_seq=request.min_seq,
        min_seqs=request.min_seqs,
    )
    _select_to_pb(message, request.select)
    return message


def scroll_to_pb(request: ScrollRequest) -> pb.ScrollRequest:
    message = pb.ScrollRequest(
        collection=request.collection, payload_encoding=JSON, min_seq=request.min_seq, min_seqs=request.min_seqs
    )
    set_int(message, "limit", request.limit)
    if request.filter is not None:
        message.filter.CopyFrom(filter_to_pb(request.filter))
    if request.after is not None:
        message.after.CopyFrom(id_to_pb(request.after, "after"))
    _select_to_pb(message, request.select)
    return message


def count_to_pb(request: CountRequest) -> pb.CountRequest:
    message = pb.CountRequest(collection=request.collection, min_seq=request.min_seq, min_seqs=request.min_seqs)
    if request.filter is not None:
        message.filter.CopyFrom(filter_to_pb(request.filter))
    return message


def query_to_pb(request: QueryRequest) -> pb.QueryRequest:
    message = pb.QueryRequest(
        collection=request.collection,
        using=request.using or "",
        payload_encoding=JSON,
        min_seq=request.min_seq,
        min_seqs=request.min_seqs,
        explain=request.explain,
        score_threshold=request.score_threshold,
    )
    if request.vector is not None:
        set_vector(message.nearest, only(request.vector))
    if request.is_staged:
        stages_to_pb(request, message)
    set_int(message, "limit", request.k)
    set_int(message, "offset", request.offset)
    if request.timeout_s is not None:
        message.timeout_ms = max(1, round(request.timeout_s * 1000))
    if request.filter is not None:
        message.filter.CopyFrom(filter_to_pb(request.filter))
    _select_to_pb(message, request.select)
    if request.params != DEFAULT_PARAMS:
        params_to_pb(message.params, request.params)
    return message


def query_many_to_pb(request: QueryRequest) -> pb.QueryBatchRequest:
    """A query for each row of `request.vector`."""
    batch = pb.QueryBatchRequest()
    if request.vector is None or not len(request.vector):
        return batch
    vectors = given_vectors(request.vector)
    one = request.vector[0] if isinstance(request.vector, np.ndarray) else given_rows(vectors[:1])
    first = query_to_pb(replace(request, vector=one))
    for vector in vectors:
        query = batch.queries.add()
        query.CopyFrom(first)
        set_vector(query.nearest, vector)
    return batch


def _select_to_pb(message: Any, select: Selection) -> None:
    """Defaults stay off the wire."""
    if select.payload is not True:
        _selector_to_pb(message.with_payload, select.payload)
    if select.vectors is not False:
        _selector_to_pb(message.with_vectors, select.vectors)


def _selector_to_pb(selector: common_pb2.Selector, choice: bool | Sequence[str]) -> None:
    if isinstance(choice, bool):
        selector.all = choice
    else:
        selector.include.SetInParent()
        selector.include.names.extend(choice)


# ---- from the wire


def get_from_pb(message: pb.GetPointsRequest) -> GetRequest:
    ids = selected_ids(message) or []
    return GetRequest(message.collection, ids, select_from_pb(message), message.min_seq, seqs_from_pb(message))


def scroll_from_pb(message: pb.ScrollRequest, limits: Limits) -> ScrollRequest:
    return ScrollRequest(
        message.collection,
        given_filter(message, limits),
        message.limit if message.HasField("limit") else K_DEFAULT,
        id_from_pb(message.after, "after") if message.HasField("after") else None,
        select_from_pb(message),
        message.min_seq,
        seqs_from_pb(message),
    )


def count_from_pb(message: pb.CountRequest, limits: Limits) -> CountRequest:
    chosen = given_filter(message, limits)
    return CountRequest(message.collection, chosen, message.min_seq, seqs_from_pb(message))


def query_from_pb(message: pb.QueryRequest, limits: Limits, path: str = "") -> QueryRequest:
    """`path` is put before the names of fields in errors, such as `queries[3].`.

    Raises InvalidArgument: BAD_VECTOR, BAD_FILTER, LIMIT_EXCEEDED.
    """
    has = message.HasField
    query = message.WhichOneof("query")
    if query is None:
        raise bad_vector(f"{path}nearest", "is missing: a query needs a vector or a fusion")
    request = QueryRequest(
        message.collection,
        query_vector(message.nearest, f"{path}nearest") if query == "nearest" else None,
        message.using or None,
        given_filter(message, limits, f"{path}filter"),
        message.limit if has("limit") else K_DEFAULT,
        message.offset,
        message.score_threshold if has("score_threshold") else None,
        select_from_pb(message),
        message.min_seq,
        message.timeout_ms / 1000 if has("timeout_ms") else None,
        message.explain,
        params_from_pb(message.params) if has("params") else DEFAULT_PARAMS,
        min_seqs=seqs_from_pb(message),
    )
    if query != "nearest" or message.prefetch or has("mmr"):
        stages_from_pb(message, request, limits, path)
    return request


def seqs_from_pb(message: Any) -> dict[str, int] | None:
    return dict(message.min_seqs) or None


_DEFAULT_SELECTION = Selection()


def select_from_pb(message: Any) -> Selection:
    has_payload, has_vectors = message.HasField("with_payload"), message.HasField("with_vectors")
    if not (has_payload or has_vectors):
        return _DEFAULT_SELECTION
    return Selection(
        _selector_from_pb(message.with_payload) if has_payload else True,
        _selector_from_pb(message.with_vectors) if has_vectors else False,
    )


def _selector_from_pb(selector: common_pb2.Selector) -> bool | Sequence[str]:
    if selector.WhichOneof("selector") == "include":
        return tuple(selector.include.names)
    return selector.all
