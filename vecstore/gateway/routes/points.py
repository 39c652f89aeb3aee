"""Points and their payloads: writing, reading, counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from vecstore.access import Action
from vecstore.errors import InvalidArgument, NotFound
from vecstore.gateway import bulk
from vecstore.gateway.bulk_query import BulkQuery, check_in_body, conditions_of
from vecstore.gateway.call import Call
from vecstore.gateway.placing import by_point
from vecstore.gateway.route import Example, Route
from vecstore.gateway.routes.collections import COLLECTION
from vecstore.types import GetRequest, PayloadOp, Selection, UpsertRequest, WriteRequest
from vecstore.wire.rest import batches as b
from vecstore.wire.rest import points as p
from vecstore.wire.rest import reads as r
from vecstore.wire.rest.conditions import conditioned
from vecstore.wire.rest.ids import Unsigned, id_from_json
from vecstore.wire.rest.query_requests import seq_from_json
from vecstore.wire.rest.vectors import VectorEncoding

POINTS = f"{COLLECTION}/points"
READ, WRITE = Action.READ, Action.WRITE
ON_LOOP = 100  # points: to convert more would hold up the event loop


async def upsert(call: Call) -> p.Written:
    if not isinstance(call.body, bytes):
        check_in_body(call.query)
        return await _write_points(call, p.upsert_from_json)
    conditions = conditions_of(call.query)
    schema = (await call.transport.collection_info(call.collection)).schema
    batch = await bulk.whole_batch(call, schema)
    request = UpsertRequest(call.collection, batch, call.query.mode, call.query.durability)
    try:
        return p.written_to_json(await call.write(conditioned(request, conditions, call.limits)))
    except InvalidArgument as error:
        raise by_point(error) from None


async def update_vectors(call: Call) -> p.Written:
    return await _write_points(call, b.update_vectors_from_json)


async def update_batch(call: Call) -> p.Written:
    schema = (await call.transport.collection_info(call.collection)).schema
    request = await call.in_thread(b.update_batch_from_json, call.collection, call.body, call.limits, schema)
    return p.written_to_json(await call.write(request))


async def delete_vectors(call: Call) -> p.Written:
    request = await call.in_thread(b.delete_vectors_from_json, call.collection, call.body, call.limits)
    return p.written_to_json(await call.write(request))


async def _write_points(call: Call, read: Callable[..., WriteRequest]) -> p.Written:
    body = call.body
    schema = (await call.transport.collection_info(call.collection)).schema
    given: Any = (call.collection, body, call.limits, schema)
    few = len(body.batch.ids if body.batch is not None else body.points or ()) <= ON_LOOP
    request = read(*given) if few else await call.in_thread(read, *given)
    try:
        return p.written_to_json(await call.write(request))
    except InvalidArgument as error:
        raise error if body.points is None else by_point(error) from None


async def delete(call: Call) -> p.Written:
    request = await call.in_thread(p.delete_from_json, call.collection, call.body, call.limits)
    return p.written_to_json(await call.write(request))


async def set_payload(call: Call) -> p.Written:
    return await _payload(call, PayloadOp.SET)


async def overwrite_payload(call: Call) -> p.Written:
    return await _payload(call, PayloadOp.OVERWRITE)


async def delete_payload(call: Call) -> p.Written:
    return await _payload(call, PayloadOp.DELETE_KEYS)


async def clear_payload(call: Call) -> p.Written:
    return await _payload(call, PayloadOp.CLEAR)


async def _payload(call: Call, op: PayloadOp) -> p.Written:
    request = p.payload_from_json(call.collection, op, call.body, call.limits)
    return p.written_to_json(await call.write(request))


class PointQuery(msgspec.Struct):
    with_payload: bool = True
    with_vectors: bool = False
    vector_encoding: VectorEncoding = VectorEncoding.LIST
    min_seq: Unsigned = 0


async def get_one(call: Call) -> p.StoredPoint:
    """An id of digits is a number."""
    text, query = call.params["id"], call.query
    id = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else id_from_json(text)
    select = Selection(query.with_payload, query.with_vectors)
    request = GetRequest(call.collection, [id], select, seq_from_json(query.min_seq))
    points, _ = await call.transport.get(request)
    if not points:
        raise NotFound(f"point {text[:200]} does not exist", reason="POINT_NOT_FOUND")
    return p.points_to_json(points, query.vector_encoding is VectorEncoding.BASE64)[0]


async def get(call: Call) -> r.GetAnswer:
    points, seq = await call.transport.get(r.get_from_json(call.collection, call.body))
    given: Any = (points, seq, call.body.vector_encoding)
    return r.get_to_answer(*given) if len(points) <= ON_LOOP else await call.in_thread(r.get_to_answer, *given)


async def scroll(call: Call) -> r.ScrollAnswer:
    result = await call.transport.scroll(r.scroll_from_json(call.collection, call.body, call.limits))
    given: Any = (result, call.body.vector_encoding)
    few = len(result.points) <= ON_LOOP
    return r.scroll_to_answer(*given) if few else await call.in_thread(r.scroll_to_answer, *given)


async def count(call: Call) -> r.CountAnswer:
    found, seq = await call.transport.count(r.count_from_json(call.collection, call.body, call.limits))
    return r.CountAnswer(count=found, seq=seq)


async def facet(call: Call) -> r.FacetAnswer:
    return r.facets_to_answer(await call.transport.facet(r.facet_from_json(call.collection, call.body, call.limits)))


async def matrix(call: Call) -> r.MatrixAnswer:
    request = r.matrix_request_from_json(call.collection, call.body, call.limits)
    request.timeout_s = call.bound_time(request.timeout_s)
    return await call.in_thread(r.matrix_to_answer, await call.transport.matrix(request))


DOCS = {"collection": "docs"}
POINT = {"id": 1, "vectors": {"text": [0.1, 0.2, 0.3, 0.4], "body": "a whale and a captain"},
         "payload": {"lang": "en", "year": 1851}}  # fmt: skip
PACKED = {
    "id": "6f6e6c79-2061-4e20-8578-616d706c6500",
    "vectors": {"text": {"data": "zczMPc3MTD6amZk+zczMPg==", "dtype": "float32"}},
    "payload": {"lang": "de"},
}
WHERE = {"must": [{"key": "lang", "match": {"value": "en"}}, {"key": "year", "range": {"gte": 1850}}]}

ROUTES = (
    Route("PUT", POINTS, "upsert_points", "Write points, all or none of them.", WRITE, upsert, body=p.UpsertBody,
          query=BulkQuery, answer=p.Written, reads=bulk.MEDIA, examples={
              "one by one": Example({"points": [POINT, PACKED]}, DOCS),
              "by column": Example({"batch": {
                  "ids": [7, 8],
                  "vectors": {"text": {"data": "zczMPc3MTD6amZk+zczMPs3MzD3NzEw+mpmZPs3MzD4=", "dim": 4}},
                  "payloads": [{"lang": "en", "year": 1900}, None]}, "mode": "upsert", "durability": "fsync"}, DOCS)}),
    Route("GET", POINTS + "/{id}", "get_point", "One point. An id of digits is a number.", READ, get_one,
          query=PointQuery, answer=p.StoredPoint,
          examples={"one": Example(params={**DOCS, "id": "1"}, query={"with_vectors": "true"})}),
    Route("POST", f"{POINTS}/get", "get_points", "Points by id.", READ, get, body=r.GetBody, answer=r.GetAnswer,
          examples={"two": Example({"ids": [1, 2], "with_payload": ["lang"], "with_vectors": ["text"]}, DOCS)}),
    Route("POST", f"{POINTS}/delete", "delete_points", "Delete points by id or by filter.", WRITE, delete,
          body=p.DeleteBody, answer=p.Written, examples={
              "by id": Example({"ids": [9]}, DOCS),
              "by filter": Example({"filter": {"key": "year", "range": {"lt": 1000}}}, DOCS)}),
    Route("POST", f"{POINTS}/scroll", "scroll_points", "Points in the order of their ids, page by page.", READ, scroll,
          body=r.ScrollBody, answer=r.ScrollAnswer, body_optional=True, examples={
              "the first": Example({"limit": 2}, DOCS),
              "go on": Example({"limit": 2, "after": 1, "filter": WHERE, "vector_encoding": "base64",
                                "with_vectors": True}, DOCS)}),
    Route("POST", f"{POINTS}/count", "count_points", "How many points match.", READ, count, body=r.CountBody,
          answer=r.CountAnswer, body_optional=True, examples={"some": Example({"filter": WHERE}, DOCS)}),
    Route("POST", f"{POINTS}/facet", "facet_points", "The most frequent values of a payload key.", READ, facet,
          body=r.FacetBody, answer=r.FacetAnswer, examples={"languages": Example({"key": "lang", "limit": 3}, DOCS)}),
    Route("POST", f"{POINTS}/matrix", "distance_matrix", "The scores of points with each other.", READ, matrix,
          body=r.MatrixBody, answer=r.MatrixAnswer,
          examples={"a sample": Example({"using": "text", "sample": 2, "seed": 7}, DOCS)}),
    Route("POST", f"{POINTS}/batch", "update_batch", "Several writes as one, all or none of them.", WRITE, update_batch,
          body=b.UpdateBatchBody, answer=p.Written, examples={"replace": Example({"operations": [
              {"delete": {"filter": {"key": "lang", "match": {"value": "xx"}}}},
              {"upsert": {"points": [POINT]}},
              {"set_payload": {"ids": [1], "payload": {"read": False}}}]}, DOCS)}),
    Route("PUT", f"{POINTS}/vectors", "update_vectors", "Replace vectors of points that exist.", WRITE, update_vectors,
          body=b.UpdateVectorsBody, answer=p.Written,
          examples={"one": Example({"points": [{"id": 1, "vectors": {"text": [0.4, 0.3, 0.2, 0.1]}}]}, DOCS)}),
    Route("POST", f"{POINTS}/vectors/delete", "delete_vectors", "Take vectors from points.", WRITE, delete_vectors,
          body=b.DeleteVectorsBody, answer=p.Written,
          examples={"of one": Example({"ids": [8], "names": ["text"]}, DOCS)}),
    Route("POST", f"{POINTS}/payload", "set_payload", "Merge keys into payloads.", WRITE, set_payload,
          body=p.PayloadBody, answer=p.Written,
          examples={"one key": Example({"ids": [1], "payload": {"read": True}}, DOCS)}),
    Route("PUT", f"{POINTS}/payload", "overwrite_payload", "Replace payloads.", WRITE, overwrite_payload,
          body=p.PayloadBody, answer=p.Written,
          examples={"all of it": Example({"ids": [2], "payload": {"lang": "fr"}}, DOCS)}),
    Route("POST", f"{POINTS}/payload/delete", "delete_payload", "Remove top-level keys from payloads.", WRITE,
          delete_payload, body=p.PayloadKeysBody, answer=p.Written,
          examples={"one key": Example({"ids": [1], "keys": ["read"]}, DOCS)}),
    Route("POST", f"{POINTS}/payload/clear", "clear_payload", "Remove payloads.", WRITE, clear_payload,
          body=p.DeleteBody, answer=p.Written, examples={"of one": Example({"ids": [2]}, DOCS)}),
)  # fmt: skip
