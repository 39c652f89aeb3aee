"""Many points, piece by piece."""

from __future__ import annotations

import msgspec

from vecstore.access import Action
from vecstore.errors import InvalidArgument, VecstoreError
from vecstore.gateway import bulk, bulk_out
from vecstore.gateway.bulk_query import BulkQuery, conditions_of, part_key
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.http_errors import unsupported
from vecstore.gateway.placing import by_point
from vecstore.gateway.route import Example, Route
from vecstore.gateway.routes.collections import COLLECTION
from vecstore.gateway.routes.points import DOCS
from vecstore.types import UpsertRequest
from vecstore.wire.rest.base import Body
from vecstore.wire.rest.conditions import FilterSpec, conditioned
from vecstore.wire.rest.ids import Id
from vecstore.wire.rest.queries import Selector
from vecstore.wire.rest.vectors import VectorEncoding


class Imported(msgspec.Struct, kw_only=True):
    """`points` were read, of which `changed` were written; all durable at `seq`."""

    points: int
    changed: int
    skipped: int
    seq: int


class ExportBody(Body):
    """All points that match, in the order of their ids, starting after `after`. The header Accept chooses lines of JSON
    (the default) or an Arrow stream; `vector_encoding` is for the lines."""

    filter: FilterSpec = None
    after: Id | None = None
    with_payload: Selector = True
    with_vectors: Selector = True
    vector_encoding: VectorEncoding = VectorEncoding.LIST


async def import_points(call: Call) -> Imported:
    conditions = conditions_of(call.query, parts=True)
    schema = (await call.transport.collection_info(call.collection)).schema
    number, done = 0, Imported(points=0, changed=0, skipped=0, seq=0)
    admission = call.services.admission
    try:
        async for batch in bulk.batches_in(call, schema):
            call.principal = call.services.access.renew(call.principal)
            request = UpsertRequest(call.collection, batch, call.query.mode, call.query.durability)
            request = conditioned(request, conditions, call.limits)
            request.idempotency_key = part_key(call.query, number)
            number += 1
            await admission.wait_slot()
            try:
                result = await call.transport.write(request)
            except InvalidArgument as error:
                raise by_point(error, done.points) from None
            finally:
                admission.release_slot()
            done.points += len(batch.ids)
            done.changed += result.changed
            done.skipped += result.skipped
            done.seq = result.seq
    except VecstoreError as error:
        raise bulk.failed_after(error, done.points) from None
    return done


async def export_points(call: Call) -> Reply:
    request = bulk_out.selected(call, call.body)
    accept = call.headers.get(b"accept", b"").decode("latin-1")
    arrow = bulk.ARROW in accept
    if arrow:
        bulk.need_arrow()
    elif accept and not any(one in accept for one in (bulk.NDJSON, "*/*", "application/*")):
        raise unsupported("Accept", accept, bulk.MEDIA)
    schema = (await call.transport.collection_info(call.collection)).schema
    pages = await bulk_out.begun(bulk_out.pages_out(call, request))
    if arrow:
        return Reply(bulk_out.arrow_out(call, pages, request.select.vectors, schema), media=bulk.ARROW.encode())
    packed = call.body.vector_encoding is VectorEncoding.BASE64
    return Reply(bulk_out.lines_out(call, pages, packed), media=bulk.NDJSON.encode())


LINES = """{"id": 21, "vectors": {"text": [0.1, 0.2, 0.3, 0.4]}, "payload": {"lang": "en"}}
{"id": 22, "vectors": {"body": "a lighthouse"}}
"""

ROUTES: tuple[Route, ...] = (
    Route("POST", f"{COLLECTION}/import", "import_points",
          "Write a stream of points of any length, batch after batch, each durable before the next is read.",
          Action.WRITE, import_points, query=BulkQuery, answer=Imported, reads=bulk.MEDIA, stream=True,
          raw_body=True, examples={"two lines": Example(params=DOCS, query={"mode": "upsert"}, lines=LINES)}),
    Route("POST", f"{COLLECTION}/export", "export_points", "All points that match, as a stream.", Action.READ,
          export_points, body=ExportBody, body_optional=True, gives=bulk.MEDIA, stream=True,
          examples={"with everything": Example({"with_vectors": True}, DOCS)}),
)  # fmt: skip
