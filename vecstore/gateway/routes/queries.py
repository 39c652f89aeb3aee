"""Queries."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.access import Action
from vecstore.errors import invalid, limit_exceeded
from vecstore.gateway.call import Call
from vecstore.gateway.route import Example, Route
from vecstore.gateway.routes.points import DOCS, POINTS, WHERE
from vecstore.types import QueryRequest
from vecstore.wire.given import check_kind
from vecstore.wire.rest import queries as q
from vecstore.wire.rest.ids import id_from_json
from vecstore.wire.rest.query_answers import groups_to_json, hits_to_json
from vecstore.wire.rest.query_requests import groups_request_from_json, query_from_json

READ = Action.READ
HITS_ON_LOOP = 200  # an answer with more is built in a thread: it would hold up the event loop


async def query(call: Call) -> q.QueryAnswer:
    body: q.QueryBody = call.body
    request = query_from_json(call.collection, body, call.limits)
    request.explain = body.explain
    await _check(call, request, "nearest")
    hits = await call.transport.query(request)
    if len(hits) <= HITS_ON_LOOP:
        return hits_to_json(hits, body.vector_encoding)
    return await call.in_thread(hits_to_json, hits, body.vector_encoding)


async def query_batch(call: Call) -> q.QueryBatchAnswer:
    given: list[q.QueryBody] = call.body.queries
    bound = call.limits.queries_per_request_max
    if not given:
        raise invalid("EMPTY_BATCH", "queries is empty", "queries")
    if len(given) > bound:
        raise limit_exceeded("queries_per_request_max", len(given), bound, path="queries count")

    def read() -> list[QueryRequest]:
        return [
            query_from_json(call.collection, one, call.limits, f"queries[{place}].") for place, one in enumerate(given)
        ]

    requests = await call.in_thread(read)
    for place, request in enumerate(requests):
        await _check(call, request, f"queries[{place}].nearest")
    answers = await call.transport.query_batch(requests)

    def write() -> list[q.QueryAnswer]:
        return [hits_to_json(hits, one.vector_encoding) for hits, one in zip(answers, given, strict=True)]

    return q.QueryBatchAnswer(results=await call.in_thread(write))


async def query_groups(call: Call) -> q.QueryGroupsAnswer:
    request = groups_request_from_json(call.collection, call.body, call.limits)
    await _check(call, request.query, "nearest")
    groups = await call.transport.query_groups(request)
    return await call.in_thread(groups_to_json, groups, call.body.query.vector_encoding)


async def explain(call: Call) -> q.ExplainAnswer:
    request = query_from_json(call.collection, call.body.query, call.limits)
    await _check(call, request, "nearest")
    return q.ExplainAnswer(explained=await call.transport.explain(request, analyze=call.body.analyze))


async def why_not(call: Call) -> q.WhyNotAnswer:
    request = query_from_json(call.collection, call.body.query, call.limits)
    await _check(call, request, "nearest")
    report, seq = await call.transport.why_not(request, id_from_json(call.body.id))
    return q.WhyNotAnswer(report=report, seq=seq)


async def _check(call: Call, request: QueryRequest, path: str) -> None:
    """The call's deadline holds for the engine too; bits are no numbers for a dense field."""
    request.timeout_s = call.bound_time(request.timeout_s)
    vector = request.vector
    if isinstance(vector, np.ndarray) and vector.dtype == np.uint8:
        vectors = (await call.transport.collection_info(call.collection)).schema.vectors
        field = vectors.get(request.using) if request.using else next(iter(vectors.values()))
        if field is not None:
            check_kind(vector, field, path)


NEAREST: dict[str, Any] = {"nearest": [0.1, 0.2, 0.3, 0.4], "using": "text", "limit": 3}
HYBRID: dict[str, Any] = {
    "prefetch": [
        {"nearest": [0.1, 0.2, 0.3, 0.4], "using": "text", "limit": 20},
        {"nearest": "a captain", "using": "body", "limit": 20},
    ],
    "fusion": {"rrf": {"k": 60}},
    "limit": 3,
}

ROUTES = (
    Route("POST", f"{POINTS}/query", "query_points", "The points nearest to a vector, or ranked in another way.", READ,
          query, body=q.QueryBody, answer=q.QueryAnswer, examples={
              "near a vector": Example({**NEAREST, "filter": WHERE, "with_payload": ["lang"]}, DOCS),
              "packed": Example({**NEAREST, "nearest": {"data": "zczMPc3MTD6amZk+zczMPg=="}}, DOCS),
              "by words and meaning": Example(HYBRID, DOCS),
              "like a point": Example({"nearest_id": 1, "using": "text", "params": {"exact": True}}, DOCS),
              "by a formula": Example({**HYBRID, "fusion": None, "formula": {"add": [
                  {"score": 0}, {"mul": [0.1, {"field": "year", "default": 0}]}]}}, DOCS),
              "by a formula in text": Example({**HYBRID, "fusion": None,
                                               "formula": "score(0) + 0.1 * field('year', 0)"}, DOCS)}),
    Route("POST", f"{POINTS}/query/batch", "query_batch", "Several queries at once; the first bad one fails them all.",
          READ, query_batch, body=q.QueryBatchBody, answer=q.QueryBatchAnswer,
          examples={"two": Example({"queries": [NEAREST, HYBRID]}, DOCS)}),
    Route("POST", f"{POINTS}/query/groups", "query_groups", "Answers grouped by the value of a payload key.", READ,
          query_groups, body=q.QueryGroupsBody, answer=q.QueryGroupsAnswer,
          examples={"by language": Example({"query": NEAREST, "group_by": "lang", "group_size": 2}, DOCS)}),
    Route("POST", f"{POINTS}/query/explain", "explain_query",
          "What a query would do and is expected to cost; with `analyze`, what it did.", READ, explain,
          body=q.ExplainBody, answer=q.ExplainAnswer,
          examples={"a plan": Example({"query": {**NEAREST, "filter": WHERE}}, DOCS),
                    "measured": Example({"query": HYBRID, "analyze": True}, DOCS)}),
    Route("POST", f"{POINTS}/query/why_not", "why_not", "Why a point is not among the answers to a query.", READ,
          why_not, body=q.WhyNotBody, answer=q.WhyNotAnswer,
          examples={"point 2": Example({"query": {**NEAREST, "limit": 1}, "id": 2}, DOCS)}),
)  # fmt: skip
