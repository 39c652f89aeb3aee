"""Snapshots under names, in a folder of the server's."""

from __future__ import annotations

from vecstore.access import Action
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.route import Example, Route, Scope
from vecstore.gateway.routes.collections import accepted
from vecstore.wire.rest import schemas as s
from vecstore.wire.rest import snapshots as w

ADMIN = Action.ADMIN
NAMED = {"name": "before-upgrade"}
DISK = "a database on disk"


async def create(call: Call) -> Reply:
    return accepted(await call.transport.create_snapshot(call.body.name))


async def list_all(call: Call) -> w.Snapshots:
    return w.Snapshots(snapshots=[w.snapshot_to_json(info) for info in await call.transport.list_snapshots()])


async def delete(call: Call) -> s.Deleted:
    return s.Deleted(deleted=await call.transport.delete_snapshot(call.params["name"]))


async def restore(call: Call) -> Reply:
    return accepted(await call.transport.restore_snapshot(call.params["name"], call.body.into))


ROUTES = (
    Route("POST", "/v1/snapshots", "create_snapshot",
          "Keep the whole database as it is at one moment, while reads and writes go on.", ADMIN, create,
          Scope.DATABASE, body=w.CreateSnapshotBody, answer=s.Operation, status=202,
          examples={"named": Example({"name": "before-upgrade"}, needs=DISK)}),
    Route("GET", "/v1/snapshots", "list_snapshots", "The snapshots that are kept.", ADMIN, list_all, Scope.DATABASE,
          answer=w.Snapshots, examples={"all": Example(needs=DISK)}),
    Route("DELETE", "/v1/snapshots/{name}", "delete_snapshot", "Delete a snapshot.", ADMIN, delete, Scope.DATABASE,
          answer=s.Deleted, examples={"one": Example(params=NAMED, needs=DISK)}),
    Route("POST", "/v1/snapshots/{name}/restore", "restore_snapshot",
          "Make a database of a snapshot in a fresh folder beside the one that is served; every byte is checked.",
          ADMIN, restore, Scope.DATABASE, body=w.RestoreSnapshotBody, answer=s.Operation, status=202,
          examples={"beside": Example({"into": "data-of-monday"}, NAMED, needs=DISK)}),
)  # fmt: skip
