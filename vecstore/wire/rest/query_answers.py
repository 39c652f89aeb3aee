"""Answers to queries as bodies, and from them. Writing one is the gateway's hottest code."""

from __future__ import annotations

from typing import Any

import msgspec

from vecstore.grouping import Group, Groups
from vecstore.hits import Hits
from vecstore.quality import Quality
from vecstore.types import Hit
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


def _scored_from_json(points: list[ScoredPoint]) -> list[Hit]:
    return [
        Hit(
            id_from_json(p.id), p.seq, payload_bytes(p.payload), stored_vectors(p.vectors), p.score,
            None if p.legs is None else {leg.prefetch: leg.score for leg in p.legs},
        )
        for p in points
    ]  # fmt: skip


def hits_from_json(answer: QueryAnswer) -> Hits:
    return Hits.of(_scored_from_json(answer.points), answer.seq, *_how_from(answer))


def groups_from_json(answer: QueryGroupsAnswer) -> Groups:
    groups = [Group(one.value, Hits.of(_scored_from_json(one.points), answer.seq)) for one in answer.groups]
    return Groups(groups, answer.seq, *_how_from(answer))


def _how_from(answer: QueryAnswer | QueryGroupsAnswer) -> tuple[Any, Quality | None, Usage | None]:
    quality = None if answer.quality is None else Quality(**msgspec.structs.asdict(answer.quality))
    usage = None if answer.usage is None else Usage(**msgspec.structs.asdict(answer.usage))
    return answer.explain, quality, usage
