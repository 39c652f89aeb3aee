"""What each call may be made for: one table. A call that it does not name is not served.

A rule says the action, which a key's role must reach (checked before any of the body is read), and how to find the
collections that a request concerns (checked before it runs). Only keys that are limited to some collections have their
requests read for that, apart from the call itself, so that no call can forget to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from vecstore.access import Action, Principal
from vecstore.pb.v1 import collections_pb2, points_pb2, snapshots_pb2

Names = Callable[[Any], Iterable[str]]
READ, WRITE, ADMIN = Action


@dataclass(frozen=True, slots=True)
class Rule:
    """`request` and `names` are left out for calls that look themselves at what the caller may see: lists, operations
    (which are named by id), and facts of the server that every key may know."""

    action: Action
    request: type[Message] | None = None
    names: Names | None = None

    def check(self, principal: Principal, data: bytes) -> None:
        """Raises PermissionDenied when the request concerns a collection that the key is not for; DecodeError."""
        if principal.collections is None or self.names is None:
            return
        names = self.collections(data)
        if not all(names):
            principal.check_database()  # no name means every collection
        principal.check_collections(names)

    def collections(self, data: bytes) -> list[str]:
        """The collections that a request names. Raises DecodeError."""
        if self.request is None or self.names is None:
            return []
        return list(self.names(self.request.FromString(data)))


def _name(message: Any) -> tuple[str]:
    return (message.name,)


def _collection(message: Any) -> tuple[str]:
    return (message.collection,)


def _database(_: Any) -> tuple[str]:
    return ("",)


def _query(message: Any) -> tuple[str]:
    return (message.query.collection,)


def _queries(message: Any) -> list[str]:
    return [query.collection for query in message.queries]


_c: Any = collections_pb2
_p: Any = points_pb2
_s: Any = snapshots_pb2

RULES: dict[str, Rule] = {
    "Collections/Create": Rule(ADMIN, _c.CreateCollectionRequest, _name),
    "Collections/Get": Rule(READ, _c.GetCollectionRequest, _name),
    "Collections/List": Rule(READ),
    "Collections/Delete": Rule(ADMIN, _c.DeleteCollectionRequest, _name),
    "Collections/Exists": Rule(READ, _c.CollectionExistsRequest, _name),
    "Collections/Update": Rule(ADMIN, _c.UpdateCollectionRequest, _name),
    "Collections/CreateFieldIndex": Rule(ADMIN, _c.CreateFieldIndexRequest, _collection),
    "Collections/UpdateIndex": Rule(ADMIN, _c.UpdateIndexRequest, _collection),
    "Collections/Tune": Rule(ADMIN, _c.TuneRequest, _collection),
    "Collections/DeleteFieldIndex": Rule(ADMIN, _c.DeleteFieldIndexRequest, _collection),
    "Collections/Stats": Rule(READ, _c.CollectionStatsRequest, _collection),
    "Collections/Compact": Rule(ADMIN, _c.CompactCollectionRequest, _collection),
    "Collections/Verify": Rule(ADMIN, _c.VerifyRequest, _collection),
    "Collections/Info": Rule(READ),
    "Points/Upsert": Rule(WRITE, _p.UpsertRequest, _collection),
    "Points/Get": Rule(READ, _p.GetPointsRequest, _collection),
    "Points/Delete": Rule(WRITE, _p.DeletePointsRequest, _collection),
    "Points/Scroll": Rule(READ, _p.ScrollRequest, _collection),
    "Points/Count": Rule(READ, _p.CountRequest, _collection),
    "Points/SetPayload": Rule(WRITE, _p.SetPayloadRequest, _collection),
    "Points/OverwritePayload": Rule(WRITE, _p.SetPayloadRequest, _collection),
    "Points/DeletePayload": Rule(WRITE, _p.DeletePayloadRequest, _collection),
    "Points/ClearPayload": Rule(WRITE, _p.ClearPayloadRequest, _collection),
    "Points/UpdateVectors": Rule(WRITE, _p.UpdateVectorsRequest, _collection),
    "Points/DeleteVectors": Rule(WRITE, _p.DeleteVectorsRequest, _collection),
    "Points/UpdateBatch": Rule(WRITE, _p.UpdateBatchRequest, _collection),  # its writes name no other
    "Points/Facet": Rule(READ, _p.FacetRequest, _collection),
    "Points/DistanceMatrix": Rule(READ, _p.DistanceMatrixRequest, _collection),
    "Points/Query": Rule(READ, _p.QueryRequest, _collection),
    "Points/QueryGroups": Rule(READ, _p.QueryGroupsRequest, _query),
    "Points/WhyNot": Rule(READ, _p.WhyNotRequest, _query),
    "Points/QueryBatch": Rule(READ, _p.QueryBatchRequest, _queries),
    "Points/QueryStream": Rule(READ, _p.QueryStreamRequest, _query),  # of each message
    "Points/UpsertStream": Rule(WRITE, _p.UpsertRequest, _collection),  # of each message
    "Snapshots/Create": Rule(ADMIN, _s.CreateSnapshotRequest, _database),
    "Snapshots/List": Rule(ADMIN, _s.ListSnapshotsRequest, _database),
    "Snapshots/Delete": Rule(ADMIN, _s.DeleteSnapshotRequest, _database),
    "Snapshots/Restore": Rule(ADMIN, _s.RestoreSnapshotRequest, _database),
    "Operations/Get": Rule(READ),
    "Operations/List": Rule(READ),
    "Operations/Cancel": Rule(ADMIN),
    "Operations/Watch": Rule(READ),
}

# Load balancers ask without a key; the rest of health checking, and reflection, any key may use.
OPEN_METHODS = frozenset({"/grpc.health.v1.Health/Check"})
