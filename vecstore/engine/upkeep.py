"""What is done to collections that stay as they are: indexes, compaction, checks, in the background."""

from __future__ import annotations

import threading

import msgspec

from vecstore import validate
from vecstore.embed.requests import Embedding
from vecstore.engine import aliases, changes
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.maintenance import Maintenance
from vecstore.engine.named import Named
from vecstore.engine.operations import Operations
from vecstore.engine.params import field_of
from vecstore.engine.tuning import enough_queries
from vecstore.engine.verify import run_verify
from vecstore.errors import invalid
from vecstore.given import query_batch
from vecstore.index_check import check_index
from vecstore.index_spec import Auto
from vecstore.rows import Rows
from vecstore.schema import FieldKind
from vecstore.storage.open import Storage
from vecstore.types import (
    FieldIndexRequest,
    OperationInfo,
    TuneRequest,
    VectorIndexRequest,
)


class Upkeep(Named):
    embedding: Embedding
    _storage: Storage
    _committer: Committer
    _maintenance: Maintenance
    _operations: Operations

    def create_field_index(self, request: FieldIndexRequest) -> OperationInfo:
        """Index a payload key. The operation ends when every segment has the index; filters work meanwhile."""
        key = validate.check_payload_key(request.key)
        if request.kind is None:
            kinds = ", ".join(FieldKind)
            raise invalid("BAD_SCHEMA", f"index on {key!r} needs a kind: {kinds}", "kind")
        with self._lock:
            collection = self.collection(request.collection)
            fields = {**collection.schema.fields, key: FieldKind(request.kind)}
            self._set_fields(collection, fields)
        return self._maintenance.settle(collection).info()

    def delete_field_index(self, request: FieldIndexRequest) -> bool:
        """False when there is none."""
        key = validate.check_payload_key(request.key)
        with self._lock:
            collection = self.collection(request.collection)
            if key not in collection.schema.fields:
                return False
            self._set_fields(collection, {k: kind for k, kind in collection.schema.fields.items() if k != key})
        return True

    def update_index(self, request: VectorIndexRequest) -> OperationInfo:
        """Index a vector field by another spec; None leaves it to the engine. Queries go on meanwhile, by the old index
        until the new one takes its place. The operation ends when every sealed segment follows; it fails when one
        cannot.

        Raises VECTOR_NAME_UNKNOWN, BAD_INDEX_SPEC."""
        with self._lock:
            collection = self.collection(request.collection)
            _, field = field_of(collection.schema, request.vector)
            field = msgspec.structs.replace(field, index=request.spec or Auto())
            check_index(field, f"vectors.{request.vector}.index")
            vectors = {**collection.schema.vectors, request.vector: field}
            schema = msgspec.structs.replace(collection.schema, vectors=vectors)
            return self._maintenance.reindex(collection, [request.vector], schema).info()

    def tune(self, request: TuneRequest) -> OperationInfo:
        """Calibrate the indexes of a vector field on queries of the user's own, in the background: recall targets then
        hold for queries like these. Kept with each index, over restarts and merges; a segment sealed later knows only
        its rows until it is merged with a tuned one.

        Raises VECTOR_NAME_UNKNOWN, TOO_FEW_QUERIES; the operation fails with NOTHING_TO_TUNE without an index."""
        (request,) = self.embedding.resolved([self.named(request)])
        collection = self.collection(request.collection)
        name, field = field_of(collection.schema, request.using)
        queries = enough_queries(query_batch(request.queries, field, self.settings.limits))
        return self._maintenance.tune(collection, name, queries).info()

    def _tune_on(self, name: str, using: str, queries: Rows) -> None:
        """On live queries that got less recall than was promised."""
        collection = self._collections.get(name)
        if collection is not None and not self._closed and self.settings.storage.maintenance:
            self._maintenance.tune(collection, using, queries)

    def _set_fields(self, collection: Collection, fields: dict[str, FieldKind]) -> None:
        if fields == collection.schema.fields:
            return
        schema = msgspec.structs.replace(collection.schema, fields=fields)
        validate.check_schema(schema, self.settings.limits)
        self._committer.exclusive(lambda: changes.set_schema(collection, schema))

    def compact(self, collection: str) -> OperationInfo:
        """Seal the growing segment and merge everything, in the background. What is written meanwhile is left."""
        return self._maintenance.compact(self.collection(collection)).info()

    def verify(self, collection: str | None = None) -> OperationInfo:
        """Read every stored byte of one collection (or all) and check it, in the background. The operation fails with
        a message that names what is damaged."""
        if collection is None:
            chosen = list(self._collections.values())
        else:
            collection = self._aliases.get(collection, collection)
            validate.check_name(collection, self.settings.limits)
            if collection not in self._collections:
                raise aliases.no_collection(collection)
            chosen = [self._collections[collection]]
        operation = self._operations.start("verify", collection or "")
        arguments = (chosen, self._storage, operation)
        threading.Thread(target=run_verify, args=arguments, name="vecstore-verify", daemon=True).start()
        return operation.info()
