"""What `vecstore query` prints: points, groups, counts, and why a point is not among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vecstore.cli.render import as_payload, show_json, show_table
from vecstore.cli.trees import show_explained, show_planned, show_reasons
from vecstore.client.vectors import only_vector
from vecstore.grouping import Groups
from vecstore.hits import Hits
from vecstore.io.jsonl import write_id
from vecstore.query.filter import PointId, Scalar
from vecstore.ranking import Discover, Formula, OrderBy, Recommend, Sample, Strategy
from vecstore.schema import Schema, larger_is_nearer
from vecstore.types import Hit, QueryRequest


def score_name(request: QueryRequest, schema: Schema) -> str:
    """What the scores of its answers are."""
    ranking = request.ranking
    if request.fusion is not None:
        return f"{request.fusion.method} score"
    if isinstance(ranking, OrderBy):
        return ranking.key
    if isinstance(ranking, Formula | Sample | Discover):
        return type(ranking).__name__.lower()
    if isinstance(ranking, Recommend) and ranking.strategy is not Strategy.AVERAGE_VECTOR:
        return f"{ranking.strategy} score"
    metric = schema.vectors[only_vector(schema, request.using)].metric
    return f"{metric} {'similarity' if larger_is_nearer(metric) else 'distance'}"


def show_hits(hits: Hits, score: str, as_json: bool) -> None:
    if as_json:
        found = [_plain(hit) for hit in hits]
        show_json(found if hits.explain is None else {"hits": found, **_how(hits)})
        return
    show_table(("", "id", score, "payload"), [(place, *_row(hit)) for place, hit in enumerate(hits, 1)])
    if hits.explain is not None:
        show_explained(hits.explain, hits.quality)


def show_groups(groups: Groups, score: str, as_json: bool) -> None:
    if as_json:
        found = [{"value": one.value, "hits": [_plain(hit) for hit in one.hits]} for one in groups.groups]
        show_json(found if groups.explain is None else {"groups": found, **_how(groups)})
        return
    rows = [
        (str(one.value) if place == 0 else "", *_row(hit))
        for one in groups.groups
        for place, hit in enumerate(one.hits)
    ]
    show_table(("group", "id", score, "payload"), rows)
    if groups.explain is not None:
        show_explained(groups.explain, groups.quality)


def show_facet(key: str, counts: Sequence[tuple[Scalar, int]], as_json: bool) -> None:
    if as_json:
        show_json([{"value": value, "count": count} for value, count in counts])
    else:
        show_table((key, "points"), [(str(value), count) for value, count in counts])


def show_plan(explained: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(explained)
        return
    show_planned(explained["plan"])


def show_why_not(id: PointId, report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(report)
    else:
        show_reasons(str(id), report)


def _row(hit: Hit) -> tuple[str, float, str]:
    return str(hit.id), round(hit.score, 4), as_payload(hit.payload)


def _plain(hit: Hit) -> dict[str, Any]:
    found = {"id": write_id(hit.id), "score": hit.score, "payload": hit.payload}
    return found if hit.legs is None else {**found, "legs": {str(leg): part for leg, part in hit.legs.items()}}


def _how(answer: Hits | Groups) -> dict[str, Any]:
    found = {"quality": answer.quality, "usage": answer.usage}
    told = {name: None if one is None else asdict(one) for name, one in found.items()}
    return {**told, "explain": answer.explain}
