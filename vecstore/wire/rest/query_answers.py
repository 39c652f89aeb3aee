"""Answers to queries as bodies, and from them. Writing one is the gateway's hottest code."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from vecstore.grouping import Group, Groups
from vecstore.hits import Answers, Hits, PointColumns, id_array
from vecstore.quality import Quality
from vecstore.usage import Usage
from vecstore.wire.rest.base import payload_bytes
from vecstore.wire.rest.ids import id_from_json, id_to_json
from vecstore.wire.rest.points import (
    stored_vectors,
    vectors_to_json,
)
from vecstore.wire.rest.queries import (
    AnswerQuality,
    AnswerUsage,
    LegScore,
    PointGroup,
    QueryAnswer,
    QueryGroupsAnswer,
    ScoredPoint,
)
from vecstore.wire.rest.vectors import VectorEncoding


def scored_to_json(hits: Hits, packed: bool) -> list[ScoredPoint]:
    points = []
    legs = hits.legs
    for place, (value, seq, payload, vectors, score) in enumerate(hits.values()):
        points.append(
            ScoredPoint(
                id=value if type(value) is int else id_to_json(value),
                score=score,
                seq=seq,
                payload=msgspec.UNSET if payload is None else msgspec.Raw(payload),
                vectors=None if vectors is None else vectors_to_json(vectors, packed),
                legs=None if legs is None else [LegScore(leg, part) for leg, part in legs[place].items()],
            )
        )
    return points


def hits_to_json(hits: Hits, encoding: VectorEncoding) -> QueryAnswer:
    points = scored_to_json(hits, encoding is VectorEncoding.BASE64)
    return QueryAnswer(points=points, seq=hits.seq, **_how(hits))


def groups_to_json(groups: Groups, encoding: VectorEncoding) -> QueryGroupsAnswer:
    packed = encoding is VectorEncoding.BASE64
    listed = [PointGroup(value=one.value, points=scored_to_json(one.hits, packed)) for one in groups.groups]
    return QueryGroupsAnswer(groups=listed, seq=groups.seq, **_how(groups))


def _how(answer: Hits | Groups) -> dict[str, Any]:
    quality, usage = quality_to_json(answer.quality), usage_to_json(answer.usage)
    return {"explain": answer.explain, "quality": quality, "usage": usage}


def usage_to_json(usage: Usage | None) -> AnswerUsage | None:
    if usage is None:
        return None
    return AnswerUsage(
        time_us=usage.time_us, queries=usage.queries, segments=usage.segments, rows_scored=usage.rows_scored
    )


def quality_to_json(quality: Quality | None) -> AnswerQuality | None:
    if quality is None:
        return None
    return AnswerQuality(
        est_recall=quality.est_recall, complete=quality.complete, strategy=quality.strategy, basis=quality.basis,
        skipped_segments=quality.skipped_segments, skipped_points=quality.skipped_points, timed_out=quality.timed_out,
    )  # fmt: skip


def usage_from_json(given: AnswerUsage | None) -> Usage | None:
    return None if given is None else Usage(**msgspec.structs.asdict(given))


def quality_from_json(given: AnswerQuality | None) -> Quality | None:
    return None if given is None else Quality(**msgspec.structs.asdict(given))


def scored_from_json(
    points: list[ScoredPoint],
    seq: int,
    explain: dict[str, Any] | None = None,
    quality: Quality | None = None,
    usage: Usage | None = None,
) -> Hits:
    columns = PointColumns(
        id_array([id_from_json(point.id) for point in points]),
        np.array([point.seq for point in points], dtype=np.uint64),
        [payload_bytes(point.payload) for point in points],
        [stored_vectors(point.vectors) for point in points],
    )
    scores = np.array([point.score for point in points], dtype=np.float32)
    legs = None
    if any(point.legs is not None for point in points):
        legs = [{leg.prefetch: leg.score for leg in point.legs or ()} for point in points]
    return Hits(Answers(columns, scores, seq, explain, legs, quality, usage), 0, len(points))


def hits_from_json(answer: QueryAnswer) -> Hits:
    how = answer.explain, quality_from_json(answer.quality), usage_from_json(answer.usage)
    return scored_from_json(answer.points, answer.seq, *how)


def groups_from_json(answer: QueryGroupsAnswer) -> Groups:
    groups = [Group(one.value, scored_from_json(one.points, answer.seq)) for one in answer.groups]
    how = answer.explain, quality_from_json(answer.quality), usage_from_json(answer.usage)
    return Groups(groups, answer.seq, *how)
