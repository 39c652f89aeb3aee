"""Collections: schemas, indexes, statistics, maintenance."""

from __future__ import annotations

from vecstore.access import Action
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.route import Example, Route, Scope
from vecstore.types import FieldIndexRequest, OperationInfo
from vecstore.wire.rest import estimates as e
from vecstore.wire.rest import schema_updates as u
from vecstore.wire.rest import schemas as s

COLLECTION = "/v1/collections/{collection}"
READ, ADMIN = Action.READ, Action.ADMIN


async def list_collections(call: Call) -> s.Collections:
    infos = await call.transport.list_collections()
    seen = [info for info in infos if call.principal.may_see(info.name)]
    return s.Collections(collections=[s.collection_to_json(info) for info in seen])


async def create(call: Call) -> s.Collection:
    schema = s.schema_from_json(call.body.schema)
    info = await call.transport.create_collection(call.collection, schema, exist_ok=call.body.exist_ok)
    return s.collection_to_json(info)


async def get(call: Call) -> s.Collection:
    return s.collection_to_json(await call.transport.collection_info(call.collection))


async def delete(call: Call) -> s.Deleted:
    return s.Deleted(deleted=await call.transport.delete_collection(call.collection))


async def update(call: Call) -> u.UpdatedCollection:
    request = u.update_from_json(call.collection, call.body)
    return u.updated_to_json(await call.transport.update_collection(request))


async def exists(call: Call) -> s.Exists:
    return s.Exists(exists=await call.transport.has_collection(call.collection))


async def stats(call: Call) -> s.Stats:
    return s.Stats(stats=call.principal.own_stats(await call.transport.stats(call.collection)))


async def estimate(call: Call) -> e.Estimate:
    request = e.estimate_from_json(call.collection, call.body)
    return e.Estimate(estimate=await call.transport.estimate(request))


async def estimate_schema(call: Call) -> e.Estimate:
    return e.Estimate(estimate=await call.transport.estimate(e.estimate_from_json(None, call.body)))


async def create_field_index(call: Call) -> Reply:
    request = s.field_index_from_json(call.collection, call.params["key"], call.body)
    return accepted(await call.transport.create_field_index(request))


async def delete_field_index(call: Call) -> s.Deleted:
    request = FieldIndexRequest(call.collection, call.params["key"])
    return s.Deleted(deleted=await call.transport.delete_field_index(request))


async def update_index(call: Call) -> Reply:
    request = s.vector_index_from_json(call.collection, call.params["vector"], call.body)
    return accepted(await call.transport.update_index(request))


async def tune(call: Call) -> Reply:
    request = await call.in_thread(s.tune_from_json, call.collection, call.body)
    return accepted(await call.transport.tune(request))


async def compact(call: Call) -> Reply:
    return accepted(await call.transport.compact(call.collection))


async def verify(call: Call) -> Reply:
    return accepted(await call.transport.verify(call.collection))


async def verify_all(call: Call) -> Reply:
    return accepted(await call.transport.verify())


def accepted(operation: OperationInfo) -> Reply:
    location = (b"location", f"/v1/operations/{operation.id}".encode())
    return Reply(s.operation_to_json(operation), headers=[location])


SCHEMA = {
    "vectors": {"text": {"dim": 4, "metric": "cosine"}, "body": {"kind": "text"}},
    "fields": {"lang": "keyword", "year": "integer"},
}
# With an embedder of the server's, a field such as "dense": {"embedder": "minilm"} beside the words.
FOR_DOCUMENTS = {
    "vectors": {"body": {"kind": "text"}},
    "fields": {"document.id": "keyword", "chunk.number": "integer"},
}

QUERIES = [[round(0.05 * n, 2), round(1 - 0.05 * n, 2), 0.1, 0.3] for n in range(20)]
UPDATE = {"vectors": {"text": {"search": {"recall": 0.95}, "device": None}}, "metadata": {"owner": "search team"}}

ROUTES = (
    Route("GET", "/v1/collections", "list_collections", "Every collection.", READ, list_collections, Scope.OWN,
          answer=s.Collections, examples={"all": Example()}),
    Route("PUT", COLLECTION, "create_collection", "Create a collection.", ADMIN, create, body=s.CreateCollectionRequest,
          answer=s.Collection, by_alias=False, examples={"texts and their embeddings": Example(
              {"schema": SCHEMA, "exist_ok": True}, {"collection": "docs"}), "documents": Example(
              {"schema": FOR_DOCUMENTS, "exist_ok": True}, {"collection": "texts"})}),
    Route("GET", COLLECTION, "get_collection", "A collection's schema and size.", READ, get, answer=s.Collection,
          examples={"docs": Example(params={"collection": "docs"})}),
    Route("PATCH", COLLECTION, "update_collection",
          "Change settings of a collection: what is left out stays, null puts a "
          "setting back to its default.", ADMIN, update, body=u.CollectionPatch, answer=u.UpdatedCollection,
          examples={"docs": Example(UPDATE, {"collection": "docs"})}),
    Route("DELETE", COLLECTION, "delete_collection", "Delete a collection and its points.", ADMIN, delete,
          answer=s.Deleted, by_alias=False, examples={"old": Example(params={"collection": "old"})}),
    Route("GET", f"{COLLECTION}/exists", "collection_exists", "Whether there is such a collection.", READ, exists,
          answer=s.Exists, examples={"docs": Example(params={"collection": "docs"})}),
    Route("GET", f"{COLLECTION}/stats", "collection_stats", "Rows, segments, bytes, indexes.", READ, stats,
          answer=s.Stats, examples={"docs": Example(params={"collection": "docs"})}),
    Route("POST", f"{COLLECTION}/estimate", "estimate_collection",
          "What a collection would take with so many points, beside what it takes.", READ, estimate,
          body=e.EstimateBody, body_optional=True, answer=e.Estimate,
          examples={"ten times": Example({"points": 1_000_000}, {"collection": "docs"})}),
    Route("POST", "/v1/estimate", "estimate_schema", "What a collection of this schema would take; none is made.", READ,
          estimate_schema, Scope.OWN, body=e.EstimateSchemaBody, answer=e.Estimate,
          examples={"docs": Example({"schema": SCHEMA, "points": 1_000_000, "payload_bytes": 200})}),
    Route("PUT", COLLECTION + "/indexes/{key}", "create_field_index",
          "Index a payload field, in the background; filters on it work before, during and after.", ADMIN,
          create_field_index, body=s.CreateFieldIndexRequest, answer=s.Operation, status=202,
          examples={"a number": Example({"kind": "integer"}, {"collection": "docs", "key": "pages"})}),
    Route("DELETE", COLLECTION + "/indexes/{key}", "delete_field_index", "Drop the index of a payload field.", ADMIN,
          delete_field_index, answer=s.Deleted,
          examples={"pages": Example(params={"collection": "docs", "key": "pages"})}),
    Route("PUT", COLLECTION + "/vectors/{vector}/index", "update_index",
          "Index a vector field by another spec; queries go on by the old index until the new one takes its place.",
          ADMIN, update_index, body=s.UpdateIndexRequest, answer=s.Operation, status=202,
          examples={"exact": Example({"index": "flat"}, {"collection": "docs", "vector": "text"})}),
    Route("POST", f"{COLLECTION}/tune", "tune_collection",
          "Measure on queries of your own how hard the index of a vector field has to look for a recall.", ADMIN, tune,
          body=s.TuneBody, answer=s.Operation, status=202,
          examples={"the fewest queries": Example({"queries": QUERIES, "using": "text"}, {"collection": "docs"})}),
    Route("POST", f"{COLLECTION}/compact", "compact_collection",
          "Seal the growing segment and merge everything, in the background.", ADMIN, compact, answer=s.Operation,
          status=202, examples={"docs": Example(params={"collection": "docs"})}),
    Route("POST", f"{COLLECTION}/verify", "verify_collection",
          "Check every checksum of a collection, in the background.", ADMIN, verify, answer=s.Operation, status=202,
          examples={"docs": Example(params={"collection": "docs"})}),
    Route("POST", "/v1/verify", "verify_all", "Check every checksum of every collection, in the background.", ADMIN,
          verify_all, Scope.DATABASE, answer=s.Operation, status=202, examples={"all": Example()}),
)  # fmt: skip
