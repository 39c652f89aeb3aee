"""What each call may be made for: one table. A call that it does not name is not served.

A rule says the action, which a key's role must reach (checked before any of the body is read), and where a request
names collections. What these are called themselves is looked up, and checked for keys that are limited to some, before
the call runs and apart from it, so that no call can forget to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from vecstore.access import Action, Principal
from vecstore.aliases import names_given
from vecstore.pb.v1 import aliases_pb2, collections_pb2, points_pb2, snapshots_pb2
from vecstore.wire.aliases import actions_from_pb

Places = Callable[[Any], Iterable[tuple[Any, str]]]  # messages, and their fields that name a collection
READ, WRITE, ADMIN = Action


@dataclass(frozen=True, slots=True)
class Rule:
    """`request` and `places` are left out for calls that look themselves at what the caller may see: lists, operations
    (which are named by id), and facts of the server that every key may know. `by_alias` is false where names are of
    what is to be made or dropped: there an alias stands for nothing."""

    action: Action
    request: type[Message] | None = None
    places: Places | None = None
    by_alias: bool = True

    def settle(self, message: Message, principal: Principal, aliases: Mapping[str, str]) -> bool:
        """Put collections' own names in the place of aliases; returns whether there were any. Raises PermissionDenied
        when the request concerns a collection that the key is not for."""
        found = False
        for holder, field in self._places(message):
            given = getattr(holder, field)
            own = aliases.get(given, given) if self.by_alias else given
            if own:
                principal.check_named(own, given)
            else:
                principal.check_database()  # no name means every collection
            if own != given:
                setattr(holder, field, own)
                found = True
        return found

    def seqs(self, message: Message) -> Iterator[Mapping[str, int]]:
        """The writes that a read asks to see."""
        for holder, _ in self._places(message):
            yield getattr(holder, "min_seqs", {})

    def collections(self, data: bytes) -> list[str]:
        """The collections that a request names. Raises DecodeError."""
        if self.request is None or self.places is None:
            return []
        return [getattr(holder, field) for holder, field in self.places(self.request.FromString(data))]

    def _places(self, message: Message) -> Iterable[tuple[Any, str]]:
        return () if self.places is None else self.places(message)


def _name(message: Any) -> Iterable[tuple[Any, str]]:
    yield message, "name"


def _collection(message: Any) -> Iterable[tuple[Any, str]]:
    yield message, "collection"


def _collection_if_any(message: Any) -> Iterable[tuple[Any, str]]:
    return [(message, "collection")] if message.collection else []


@dataclass(frozen=True, slots=True)
class _Named:
    """A name that is not in one field of a message."""

    name: str = ""


def _database(_: Any) -> Iterable[tuple[Any, str]]:
    yield _Named(), "name"


def _query(message: Any) -> Iterable[tuple[Any, str]]:
    yield message.query, "collection"


def _queries(message: Any) -> Iterable[tuple[Any, str]]:
    return [(query, "collection") for query in message.queries]


def _aliases(message: Any) -> Iterable[tuple[Any, str]]:
    """What they are to stand for, and their new names."""
    return [(_Named(name), "name") for action in actions_from_pb(message) for name in names_given(action)]


_a: Any = aliases_pb2
_c: Any = collections_pb2
_p: Any = points_pb2
_s: Any = snapshots_pb2

RULES: dict[str, Rule] = {
    "Collections/Create": Rule(ADMIN, _c.CreateCollectionRequest, _name, by_alias=False),
    "Collections/Get": Rule(READ, _c.GetCollectionRequest, _name),
    "Collections/List": Rule(READ),
    "Collections/Delete": Rule(ADMIN, _c.DeleteCollectionRequest, _name, by_alias=False),
    "Collections/Exists": Rule(READ, _c.CollectionExistsRequest, _name),
    "Collections/Update": Rule(ADMIN, _c.UpdateCollectionRequest, _name),
    "Collections/UpdateAliases": Rule(ADMIN, _a.UpdateAliasesRequest, _aliases, by_alias=False),  # and looks itself
    "Collections/ListAliases": Rule(READ),
    "Collections/CreateFieldIndex": Rule(ADMIN, _c.CreateFieldIndexRequest, _collection),
    "Collections/UpdateIndex": Rule(ADMIN, _c.UpdateIndexRequest, _collection),
    "Collections/Tune": Rule(ADMIN, _c.TuneRequest, _collection),
    "Collections/DeleteFieldIndex": Rule(ADMIN, _c.DeleteFieldIndexRequest, _collection),
    "Collections/Stats": Rule(READ, _c.CollectionStatsRequest, _collection),
    "Collections/Estimate": Rule(READ, _c.EstimateRequest, _collection_if_any),
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
    "Points/Explain": Rule(READ, _p.ExplainRequest, _query),
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
