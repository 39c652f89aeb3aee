"""vecstore.v1.Collections: schemas, field indexes, statistics, maintenance."""

from __future__ import annotations

import time

from vecstore.access import Access, Action, Principal
from vecstore.engine.database import Database
from vecstore.pb.v1 import aliases_pb2
from vecstore.pb.v1 import collections_pb2 as pb
from vecstore.types import FieldIndexRequest
from vecstore.wire.aliases import actions_from_pb, aliases_to_pb
from vecstore.wire.estimates import estimate_from_pb
from vecstore.wire.schema_updates import update_from_pb, updated_to_pb
from vecstore.wire.schemas import (
    collection_to_pb,
    field_index_from_pb,
    operation_to_pb,
    schema_from_pb,
    tune_from_pb,
    vector_index_from_pb,
)
from vecstore.wire.values import set_fields


class Collections:
    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access
        self._started = time.monotonic()

    def create(self, data: bytes) -> bytes:
        message = pb.CreateCollectionRequest.FromString(data)
        schema = schema_from_pb(message.schema)
        info = self._database.create_collection(message.name, schema, exist_ok=message.exist_ok)
        return collection_to_pb(info).SerializeToString()

    def get(self, data: bytes) -> bytes:
        name = pb.GetCollectionRequest.FromString(data).name
        return collection_to_pb(self._database.collection_info(name)).SerializeToString()

    def list(self, data: bytes, principal: Principal) -> bytes:
        pb.ListCollectionsRequest.FromString(data)
        infos = [info for info in self._database.list_collections() if principal.may_see(info.name)]
        return pb.ListCollectionsResponse(collections=[collection_to_pb(info) for info in infos]).SerializeToString()

    def delete(self, data: bytes) -> bytes:
        deleted = self._database.delete_collection(pb.DeleteCollectionRequest.FromString(data).name)
        return pb.DeleteCollectionResponse(deleted=deleted).SerializeToString()

    def exists(self, data: bytes) -> bytes:
        exists = self._database.has_collection(pb.CollectionExistsRequest.FromString(data).name)
        return pb.CollectionExistsResponse(exists=exists).SerializeToString()

    def update(self, data: bytes) -> bytes:
        request = update_from_pb(pb.UpdateCollectionRequest.FromString(data))
        return updated_to_pb(self._database.update_collection(request)).SerializeToString()

    def update_aliases(self, data: bytes, principal: Principal) -> bytes:
        actions = actions_from_pb(aliases_pb2.UpdateAliasesRequest.FromString(data))
        left = self._database.update_aliases(actions, may_see=principal.may_see)
        return aliases_pb2.UpdateAliasesResponse(aliases=aliases_to_pb(left)).SerializeToString()

    def list_aliases(self, data: bytes, principal: Principal) -> bytes:
        collection = aliases_pb2.ListAliasesRequest.FromString(data).collection
        listed = self._database.list_aliases()
        if collection:
            own = self._database.aliases.get(collection, collection)
            principal.check_named(own, collection)
            listed = self._database.list_aliases(own)
        listed = [one for one in listed if principal.may_see(one.collection)]
        return aliases_pb2.ListAliasesResponse(aliases=aliases_to_pb(listed)).SerializeToString()

    def create_field_index(self, data: bytes) -> bytes:
        request = field_index_from_pb(pb.CreateFieldIndexRequest.FromString(data))
        return operation_to_pb(self._database.create_field_index(request)).SerializeToString()

    def update_index(self, data: bytes) -> bytes:
        request = vector_index_from_pb(pb.UpdateIndexRequest.FromString(data))
        return operation_to_pb(self._database.update_index(request)).SerializeToString()

    def tune(self, data: bytes) -> bytes:
        request = tune_from_pb(pb.TuneRequest.FromString(data))
        return operation_to_pb(self._database.tune(request)).SerializeToString()

    def delete_field_index(self, data: bytes) -> bytes:
        message = pb.DeleteFieldIndexRequest.FromString(data)
        deleted = self._database.delete_field_index(FieldIndexRequest(message.collection, message.key))
        return pb.DeleteFieldIndexResponse(deleted=deleted).SerializeToString()

    def stats(self, data: bytes, principal: Principal) -> bytes:
        answer = pb.CollectionStatsResponse()
        found = self._database.stats(pb.CollectionStatsRequest.FromString(data).collection)
        set_fields(answer.stats, principal.own_stats(found))
        return answer.SerializeToString()

    def estimate(self, data: bytes) -> bytes:
        answer = pb.EstimateResponse()
        set_fields(answer.estimate, self._database.estimate(estimate_from_pb(pb.EstimateRequest.FromString(data))))
        return answer.SerializeToString()

    def compact(self, data: bytes) -> bytes:
        operation = self._database.compact(pb.CompactCollectionRequest.FromString(data).collection)
        return operation_to_pb(operation).SerializeToString()

    def verify(self, data: bytes) -> bytes:
        operation = self._database.verify(pb.VerifyRequest.FromString(data).collection or None)
        return operation_to_pb(operation).SerializeToString()

    def info(self, data: bytes, principal: Principal) -> bytes:
        pb.InfoRequest.FromString(data)
        answer = pb.InfoResponse()
        facts = self._database.info()
        facts["uptime_s"] = round(time.monotonic() - self._started, 3)
        facts["key"] = {"name": principal.name, "role": principal.role.name.lower()}
        if principal.collections is not None:  # how many others there are, and where, is not for this key
            facts["key"]["collections"] = list(principal.collections)
            facts["collections"] = sum(principal.may_see(info.name) for info in self._database.list_collections())
            del facts["path"], facts["epoch"], facts["memory"]["held"]
        elif principal.role is Action.ADMIN:
            facts["keys"] = self._access.key_names()
        set_fields(answer.info, facts)
        return answer.SerializeToString()
