"""What requests that read points answer. Building answers is the server's hottest code: it writes into messages that
exist and touches no value twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from vecstore.grouping import Groups
from vecstore.hits import Hits
from vecstore.pb.v1 import common_pb2
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.quality import Quality
from vecstore.rows import StoredVector
from vecstore.sparse_check import bad_vector
from vecstore.types import Hit, Point, ScrollResult, Selection
from vecstore.usage import Usage
from vecstore.wire.given import OneVector, widen
from vecstore.wire.ids import id_from_pb, set_id
from vecstore.wire.stages import legs_from_pb, legs_to_pb
from vecstore.wire.values import JSON, fields_from_pb, set_fields, set_payload
from vecstore.wire.vectors import set_vector, vector_from_pb

_encode = msgspec.json.Encoder().encode


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
    how_to_pb(hits, message)
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


def how_to_pb(answer: Hits | Groups, message: pb.QueryResponse | pb.QueryGroupsResponse) -> None:
    """How it was found, as far as that is known: a plan, its quality, what it took."""
    if answer.explain is not None:
        message.explain.SetInParent()
        set_fields(message.explain.fields, answer.explain)
    if (quality := answer.quality) is not None:
        written = message.quality
        written.complete, written.strategy, written.basis = quality.complete, quality.strategy, quality.basis
        written.skipped_segments, written.skipped_points = quality.skipped_segments, quality.skipped_points
        written.timed_out = quality.timed_out
        if quality.est_recall is not None:
            written.est_recall = quality.est_recall
    if (usage := answer.usage) is not None:
        spent = message.usage
        spent.time_us, spent.queries = usage.time_us, usage.queries
        spent.segments, spent.rows_scored = usage.segments, usage.rows_scored


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


# `select` is what was asked for: a message does not say whether a point has no vectors or none were wanted.


def points_from_answer(messages: Sequence[pb.Point], select: Selection | None = None) -> list[Point]:
    return [Point(id_from_pb(m.id), m.seq, _payload_json(m), _vectors(m, select)) for m in messages]


def get_result_from_pb(message: pb.GetPointsResponse, select: Selection | None = None) -> tuple[list[Point], int]:
    return points_from_answer(message.points, select), message.seq


def scroll_result_from_pb(message: pb.ScrollResponse, select: Selection | None = None) -> ScrollResult:
    after = id_from_pb(message.next_after) if message.HasField("next_after") else None
    return ScrollResult(points_from_answer(message.points, select), after, message.seq, message.collection)


def hits_from_pb(message: pb.QueryResponse, select: Selection | None = None) -> Hits:
    return Hits.of(scored_from_pb(message.points, select), message.seq, *how_from_pb(message))


def scored_from_pb(points: Iterable[pb.ScoredPoint], select: Selection | None = None) -> list[Hit]:
    return [
        Hit(
            id_from_pb(p.id), p.seq, _payload_json(p), _vectors(p, select), p.score, legs_from_pb(p) if p.legs else None
        )
        for p in points
    ]


def how_from_pb(
    message: pb.QueryResponse | pb.QueryGroupsResponse,
) -> tuple[dict[str, Any] | None, Quality | None, Usage | None]:
    explain = fields_from_pb(message.explain.fields) if message.HasField("explain") else None
    return explain, _quality_from_pb(message), _usage_from_pb(message)


def _quality_from_pb(message: Any) -> Quality | None:
    if not message.HasField("quality"):
        return None
    quality = message.quality
    recall = quality.est_recall if quality.HasField("est_recall") else None
    return Quality(
        recall, quality.complete, quality.strategy, quality.basis, quality.skipped_segments, quality.skipped_points,
        quality.timed_out,
    )  # fmt: skip


def _usage_from_pb(message: Any) -> Usage | None:
    if not message.HasField("usage"):
        return None
    usage = message.usage
    return Usage(usage.time_us, usage.queries, usage.segments, usage.rows_scored)


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
