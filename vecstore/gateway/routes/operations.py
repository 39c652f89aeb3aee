"""Long jobs: looking at them, stopping them, following them as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from vecstore.access import Action
from vecstore.engine.operations import no_operation
from vecstore.errors import Unavailable
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.route import Example, Route, Scope
from vecstore.gateway.routes.collections import COLLECTION
from vecstore.types import OperationInfo, OperationState
from vecstore.wire.rest import schemas as s

WATCH_INTERVAL_S = 0.2
HEARTBEAT_S = 10.0  # a comment is sent when nothing else was for so long, which proxies and lost clients need

_encode = msgspec.json.Encoder().encode


class OperationsQuery(msgspec.Struct):
    collection: str | None = None


async def get(call: Call) -> s.Operation:
    return s.operation_to_json(await _seen(call))


async def list_all(call: Call) -> s.Operations:
    return await _list(call, call.query.collection)


async def list_of_collection(call: Call) -> s.Operations:
    await call.transport.collection_info(call.collection)
    return await _list(call, call.collection)


async def _list(call: Call, collection: str | None) -> s.Operations:
    infos = await call.transport.list_operations(collection)
    return s.Operations(
        operations=[s.operation_to_json(info) for info in infos if call.principal.may_see(info.collection)]
    )


async def cancel(call: Call) -> s.Operation:
    await _seen(call)
    return s.operation_to_json(await call.transport.cancel_operation(call.params["id"]))


async def events(call: Call) -> Reply:
    first = await _seen(call)
    return Reply(_events(call, first), media=b"text/event-stream", headers=[(b"cache-control", b"no-store")])


async def _events(call: Call, info: OperationInfo) -> AsyncIterator[bytes]:
    """The operation now, on every change, and when it has finished."""
    loop = asyncio.get_running_loop()
    sent: OperationInfo | None = None
    last = loop.time()
    while True:
        if info != sent:
            yield b"event: operation\ndata: " + _encode(s.operation_to_json(info)) + b"\n\n"
            sent, last = info, loop.time()
        elif loop.time() - last > HEARTBEAT_S:
            yield b": still running\n\n"
            last = loop.time()
        if info.state is not OperationState.RUNNING:
            return
        if call.services.admission.draining.is_set():
            raise Unavailable("the server is shutting down")
        await asyncio.sleep(WATCH_INTERVAL_S)
        call.principal = call.services.access.renew(call.principal)
        info = await _seen(call)


async def _seen(call: Call) -> OperationInfo:
    """Raises NotFound (OPERATION_NOT_FOUND) for what the caller may not see, too."""
    info = await call.transport.operation(call.params["id"])
    if not call.principal.may_see(info.collection):
        raise no_operation(call.params["id"])
    return info


READ, ADMIN = Action.READ, Action.ADMIN
OPERATION = "/v1/operations/{id}"
ONE = {"one": Example(params={"id": "4f9d1c0be25a4b6c8a0f3d5e7b91c2a6"}, needs="an operation")}

ROUTES = (
    Route("GET", "/v1/operations", "list_operations", "Long jobs, running and finished.", READ, list_all, Scope.OWN,
          query=OperationsQuery, answer=s.Operations, examples={"of docs": Example(query={"collection": "docs"})}),
    Route("GET", f"{COLLECTION}/operations", "list_collection_operations", "Long jobs of one collection.", READ,
          list_of_collection, answer=s.Operations, examples={"docs": Example(params={"collection": "docs"})}),
    Route("GET", OPERATION, "get_operation", "How far a long job has come.", READ, get, Scope.OWN, answer=s.Operation,
          examples=ONE),
    Route("POST", f"{OPERATION}/cancel", "cancel_operation", "Stop a long job.", ADMIN, cancel, Scope.OWN,
          answer=s.Operation, examples=ONE),
    Route("GET", f"{OPERATION}/events", "watch_operation",
          "A long job as server-sent events: now, on every change, and when it has finished.", READ, events, Scope.OWN,
          gives=("text/event-stream",), stream=True, examples=ONE),
)  # fmt: skip
