"""Requests that read points, and what they answer. Building answers is the server's hottest code: it writes into
messages that exist and touches no value twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from vecstore.config import Limits
from vecstore.hits import Answers, Hits, PointColumns, id_array
from vecstore.index.base import DEFAULT_PARAMS
from vecstore.pb.v1 import common_pb2
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.quality import Quality
from vecstore.rows import StoredVector
from vecstore.sparse_check import bad_vector
from vecstore.types import (
    CountRequest,
    GetRequest,
    Point,
    QueryRequest,
    ScrollRequest,
    ScrollResult,
    Selection,
)
from vecstore.usage import Usage
from vecstore.wire.filters import filter_from_pb, filter_to_pb
from vecstore.wire.given import OneVector, given_rows, given_vectors, only, widen
from vecstore.wire.ids import column_to_pb, id_from_pb, id_to_pb, set_id
from vecstore.wire.query_parts import query_vector, set_int
from vecstore.wire.stages import (
    legs_from_pb,
    legs_to_pb,
    params_from_pb,
    params_to_pb,
    stages_from_pb,
    stages_to_pb,
)
from vecstore.wire.values import fields_from_pb, set_fields, set_payload
from vecstore.wire.vectors import set_vector, vector_from_pb
from vecstore.wire.writes import selected_ids

K_DEFAULT = 10
JSON = common_pb2.PAYLOAD_ENCODING_JSON

_encode = msgspec.json.Encoder().encode


# ---- requests to the wire; they ask for payloads as JSON


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


# ---- requests from the wire


def get_from_pb(message: pb.GetPointsRequest) -> GetRequest:
    ids = selected_ids(message) or []
    return GetRequest(message.collection, ids, select_from_pb(message), message.min_seq, seqs_from_pb(message))


def scroll_from_pb(message: pb.ScrollRequest, limits: Limits) -> ScrollRequest:
    return ScrollRequest(
        message.collection,
        filter_from_pb(message.filter, limits) if message.HasField("filter") else None,
        message.limit if message.HasField("limit") else K_DEFAULT,
        id_from_pb(message.after, "after") if message.HasField("after") else None,
        select_from_pb(message),
        message.min_seq,
        seqs_from_pb(message),
    )


def count_from_pb(message: pb.CountRequest, limits: Limits) -> CountRequest:
    chosen = filter_from_pb(message.filter, limits) if message.HasField("filter") else None
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
        filter_from_pb(message.filter, limits, f"{path}filter") if has("filter") else None,
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


# ---- answers to the wire


def points_to_pb(points: Sequence[Point], target: Any, encoding: int) -> None:
    """Append `points` to a repeated field of Point; payloads as `encoding` asks."""
    add = target.add
    as_json = encoding == JSON
    for point in points:
        message = add(seq=point.seq)
        set_id(message.id, point.id)
        if point.payload_json is not None:
            _payload_to_pb(point.payload_json, message, as_json)
        if point.vectors is not None:
            _vectors_to_pb(point.vectors, message)


def hits_to_pb(hits: Hits, encoding: int, message: pb.QueryResponse | None = None) -> pb.QueryResponse:
    """Write an answer into `message` (a new one when None)."""
    if message is None:
        message = pb.QueryResponse()
    message.seq = hits.seq
    scored_to_pb(hits, encoding, message.points)
    explain_to_pb(hits.explain, message)
    quality_to_pb(hits.quality, message)
    usage_to_pb(hits.usage, message)
    return message


def scored_to_pb(hits: Hits, encoding: int, points: Any) -> None:
    """Append to a repeated field of ScoredPoint."""
    add = points.add
    as_json = encoding == JSON
    legs = hits.legs
    for place, (value, seq, payload, vectors, score) in enumerate(hits.values()):
        point = add(score=score, seq=seq)
        if legs is not None:
            legs_to_pb(legs[place], point)
        if type(value) is str:
            point.id.str = value
        elif type(value) is int:
            point.id.num = value
        else:
            set_id(point.id, value)
        if payload is not None:
            if as_json:
                point.payload_json = payload
            else:
                set_payload(point.payload, payload)
        if vectors is not None:
            _vectors_to_pb(vectors, point)


def explain_to_pb(explain: dict[str, Any] | None, message: Any) -> None:
    if explain is not None:
        message.explain.SetInParent()
        set_fields(message.explain.fields, explain)


def quality_to_pb(quality: Quality | None, message: Any) -> None:
    if quality is not None:
        written = message.quality
        written.complete, written.strategy, written.basis = quality.complete, quality.strategy, quality.basis
        written.skipped_segments, written.skipped_points = quality.skipped_segments, quality.skipped_points
        written.timed_out = quality.timed_out
        if quality.est_recall is not None:
            written.est_recall = quality.est_recall


def usage_to_pb(usage: Usage | None, message: Any) -> None:
    if usage is not None:
        written = message.usage
        written.time_us, written.queries = usage.time_us, usage.queries
        written.segments, written.rows_scored = usage.segments, usage.rows_scored


def scroll_result_to_pb(result: ScrollResult, encoding: int) -> pb.ScrollResponse:
    message = pb.ScrollResponse(seq=result.seq, collection=result.collection)
    points_to_pb(result.points, message.points, encoding)
    if result.next_after is not None:
        set_id(message.next_after, result.next_after)
    return message


def _payload_to_pb(payload: bytes, message: Any, as_json: bool) -> None:
    if as_json:
        message.payload_json = payload
    else:
        set_payload(message.payload, payload)


def _vectors_to_pb(vectors: Mapping[str, StoredVector], message: Any) -> None:
    for name, vector in vectors.items():
        set_vector(message.vectors[name], vector)


# ---- answers from the wire


# `select` is what was asked for: a message does not say whether a point has no vectors or none were wanted.


def points_from_answer(messages: Sequence[pb.Point], select: Selection | None = None) -> list[Point]:
    return [Point(id_from_pb(m.id), m.seq, _payload_json(m), _vectors(m, select)) for m in messages]


def get_result_from_pb(message: pb.GetPointsResponse, select: Selection | None = None) -> tuple[list[Point], int]:
    return points_from_answer(message.points, select), message.seq


def scroll_result_from_pb(message: pb.ScrollResponse, select: Selection | None = None) -> ScrollResult:
    after = id_from_pb(message.next_after) if message.HasField("next_after") else None
    return ScrollResult(points_from_answer(message.points, select), after, message.seq, message.collection)


def hits_from_pb(message: pb.QueryResponse, select: Selection | None = None) -> Hits:
    how = explain_from_pb(message), quality_from_pb(message), usage_from_pb(message)
    return scored_from_pb(message.points, message.seq, *how, select=select)


def scored_from_pb(
    points: Sequence[pb.ScoredPoint],
    seq: int,
    explain: dict[str, Any] | None = None,
    quality: Quality | None = None,
    usage: Usage | None = None,
    *,
    select: Selection | None = None,
) -> Hits:
    columns = PointColumns(
        id_array([id_from_pb(point.id) for point in points]),
        np.array([point.seq for point in points], dtype=np.uint64),
        [_payload_json(point) for point in points],
        [_vectors(point, select) for point in points],
    )
    scores = np.array([point.score for point in points], dtype=np.float32)
    legs = [legs_from_pb(point) for point in points] if any(point.legs for point in points) else None
    return Hits(Answers(columns, scores, seq, explain, legs, quality, usage), 0, len(points))


def quality_from_pb(message: Any) -> Quality | None:
    if not message.HasField("quality"):
        return None
    quality = message.quality
    recall = quality.est_recall if quality.HasField("est_recall") else None
    return Quality(
        recall, quality.complete, quality.strategy, quality.basis, quality.skipped_segments, quality.skipped_points,
        quality.timed_out,
    )  # fmt: skip


def usage_from_pb(message: Any) -> Usage | None:
    if not message.HasField("usage"):
        return None
    usage = message.usage
    return Usage(usage.time_us, usage.queries, usage.segments, usage.rows_scored)


def explain_from_pb(message: Any) -> dict[str, Any] | None:
    return fields_from_pb(message.explain.fields) if message.HasField("explain") else None


def _payload_json(message: pb.Point | pb.ScoredPoint) -> bytes | None:
    if message.HasField("payload_json"):
        return message.payload_json
    return _encode(fields_from_pb(message.payload)) if message.payload else None


def _vectors(message: pb.Point | pb.ScoredPoint, select: Selection | None) -> dict[str, StoredVector] | None:
    vectors: Mapping[str, common_pb2.Vector] = message.vectors
    if not vectors:
        return {} if select is not None and select.vectors else None
    return {name: _stored_vector(vector_from_pb(vector, name), name) for name, vector in vectors.items()}


def _stored_vector(vector: OneVector, path: str) -> StoredVector:
    """Answers hold float32, float16, packed bits or sparse vectors."""
    if isinstance(vector, str):
        raise bad_vector(path, "is a text, which no answer holds")
    if isinstance(vector, np.ndarray) and vector.dtype == np.uint16:
        return widen(vector)
    return vector
