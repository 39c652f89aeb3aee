# Made from ../_async by `python -m vecstore.client.unasync`; edit there.
"""A connection to a database: its collections and its long jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vecstore.aliases import Alias, AliasAction
from vecstore.client._sync.collection import Collection
from vecstore.client._sync.documents import Documents
from vecstore.client.aliasing import read_actions
from vecstore.client.fields import IndexKind, VectorSpecs, build_schema
from vecstore.client.requests import finished
from vecstore.client.seqs import Seqs
from vecstore.client.transport import Transport
from vecstore.documents.layout import INDEXES, fields_of
from vecstore.errors import FailedPrecondition
from vecstore.estimating import EstimateRequest
from vecstore.types import CollectionInfo, OperationInfo, SnapshotInfo


class Client:
    """A database, wherever it is. Made by `vecstore.connect`; closes it when used as a context manager."""

    def __init__(self, transport: Transport, *, target: str, timeout_s: float) -> None:
        self.target = target
        self._transport = transport
        self._timeout_s = timeout_s
        self._seqs = Seqs()

    def __repr__(self) -> str:
        return f"Client({self.target!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database or the connection; what was acknowledged is durable already."""
        self._transport.close()

    def with_key(self, api_key: str) -> Client:
        """The same connection to a server, for a caller with another key. Raises FailedPrecondition (NOT_A_SERVER)."""
        transport = self._transport
        if not hasattr(transport, "with_key"):
            raise FailedPrecondition(f"{self.target} is no server, and asks for no key", reason="NOT_A_SERVER")
        return Client(transport.with_key(api_key), target=self.target, timeout_s=self._timeout_s)

    def create_collection(
        self,
        name: str,
        vectors: VectorSpecs | None = None,
        *,
        binary: VectorSpecs | None = None,
        sparse: VectorSpecs | None = None,
        text: VectorSpecs | None = None,
        multi: VectorSpecs | None = None,
        indexes: Mapping[str, IndexKind] | None = None,
        metadata: Mapping[str, Any] | None = None,
        exist_ok: bool = False,
    ) -> Collection:
        """Create a collection.

        `vectors`, `binary`, `sparse`, `text` and `multi` map names to fields, such as {"title": Dense(384)} or
        {"title": {"dim": 384}}, {"terms": Sparse()}, {"body": Text("german")} and {"tokens": Multi(96)}; a field given
        without a name is called "default". `indexes` maps payload fields to kinds, such as
        {"year": "integer"}; `metadata` is your own, any JSON object.
        Raises AlreadyExists (COLLECTION_EXISTS) unless `exist_ok` and the schema is the same, and InvalidArgument
        (BAD_NAME, BAD_SCHEMA, LIMIT_EXCEEDED).
        """
        schema = build_schema(vectors, binary, sparse, text, multi, indexes, metadata)
        info = self._transport.create_collection(name, schema, exist_ok=exist_ok)
        self._seqs.made(name, info.seq)
        return self._handle(name, info)

    def estimate(
        self,
        points: int,
        vectors: VectorSpecs | None = None,
        *,
        binary: VectorSpecs | None = None,
        sparse: VectorSpecs | None = None,
        text: VectorSpecs | None = None,
        multi: VectorSpecs | None = None,
        indexes: Mapping[str, IndexKind] | None = None,
        entries: Mapping[str, float] | None = None,
        terms: Mapping[str, int] | None = None,
        payload_bytes: float | None = None,
        id_bytes: float | None = None,
    ) -> dict[str, Any]:
        """What a collection of this schema would take with so many points; none is made.

        `entries` maps sparse and text fields to the entries or words of a point, and multi-vector fields to its tokens,
        on average; `terms` sparse and text fields and indexed keywords to the distinct indices, words or values of all
        points. `payload_bytes` is a payload's JSON, `id_bytes` an id that is a text or a UUID. The answer names each
        field's index, the one that the engine would choose included, and has bytes by part and by purpose: on disk,
        mapped, and resident (in memory when queries are answered at full speed)."""
        schema = build_schema(vectors, binary, sparse, text, multi, indexes)
        request = EstimateRequest(None, schema, points, entries or {}, terms or {}, payload_bytes, id_bytes)
        return self._transport.estimate(request)

    def get_collection(self, name: str) -> Collection:
        """A handle on a collection that exists, or on what an alias stands for at the time of each call. Raises
        NotFound (COLLECTION_NOT_FOUND)."""
        info = self._transport.collection_info(name)
        self._seqs.heard(name, info.name)
        return self._handle(name, info)

    def create_documents(
        self,
        name: str,
        *,
        embedder: str | None = None,
        sparse_embedder: str | None = None,
        multi_embedder: str | None = None,
        language: str = "english",
        indexes: Mapping[str, IndexKind] | None = None,
        exist_ok: bool = False,
    ) -> Documents:
        """Create a collection for documents: searched for words of `language` by BM25, and by the vectors of the
        embedders named. `indexes` are of payload fields beside those that documents need, such as
        {"metadata.lang": "keyword"}. Raises as `create_collection` does."""
        fields = fields_of(embedder, sparse_embedder, multi_embedder, language)
        schema = build_schema(fields, indexes={**INDEXES, **(indexes or {})})
        info = self._transport.create_collection(name, schema, exist_ok=exist_ok)
        return Documents(self._transport, info.name, timeout_s=self._timeout_s, schema=info.schema)

    def documents(self, name: str) -> Documents:
        """The documents of a collection, made by `create_documents`, or any that has a text field or a field with an
        embedder."""
        return Documents(self._transport, name, timeout_s=self._timeout_s)

    def collection(self, name: str) -> Collection:
        """A handle without asking whether the collection exists; its calls raise NotFound if not."""
        return Collection(self._transport, name, timeout_s=self._timeout_s, seqs=self._seqs)

    def _handle(self, name: str, info: CollectionInfo) -> Collection:
        return Collection(self._transport, name, timeout_s=self._timeout_s, schema=info.schema, seqs=self._seqs)

    def list_collections(self) -> list[CollectionInfo]:
        """Every collection with its schema and number of points."""
        return self._transport.list_collections()

    def has_collection(self, name: str) -> bool:
        """Whether a collection of this name exists, or one that the alias stands for."""
        return self._transport.has_collection(name)

    def delete_collection(self, name: str) -> bool:
        """Delete a collection and everything in it. False when there was none. Raises FailedPrecondition while aliases
        stand for it (COLLECTION_HAS_ALIASES), or when the name is one (NAME_IS_ALIAS)."""
        deleted = self._transport.delete_collection(name)
        self._seqs.forget(name)
        return deleted

    def update_aliases(self, actions: Sequence[AliasAction | Mapping[str, Any]]) -> list[Alias]:
        """Change aliases, which stand for a collection wherever one is named: all of `actions`, in order, or none, as
        one durable write, so that every read sees what was before or all of it. Returns what there is then.

        Actions are `CreateAlias(alias, collection)`, which also switches an alias that there is, `DeleteAlias(alias)`,
        `RenameAlias(alias, new_alias)` and `SwapAliases(alias, other)`, or such dictionaries as {"create": {"alias":
        "docs", "collection": "docs_v2"}}. Raises NotFound (COLLECTION_NOT_FOUND, ALIAS_NOT_FOUND), AlreadyExists
        (COLLECTION_EXISTS: a collection has this name; ALIAS_EXISTS), InvalidArgument (ALIAS_OF_ALIAS, BAD_NAME,
        BAD_ARGUMENT, EMPTY_BATCH, LIMIT_EXCEEDED), each naming its action."""
        return self._transport.update_aliases(read_actions(actions))

    def list_aliases(self, collection: str | None = None) -> list[Alias]:
        """Every alias and what it stands for, by name, or those of one collection."""
        return self._transport.list_aliases(collection)

    def verify(self, *, timeout_s: float | None = None) -> OperationInfo:
        """Check every checksum of the database; `state` and `error` of the answer tell what was found."""
        operation = self._transport.verify(None)
        return self._transport.wait_operation(operation.id, timeout_s)

    def snapshot(self, dest: str | Path = "", *, wait: bool = True, timeout_s: float | None = None) -> OperationInfo:
        """Keep the whole database as it is at one moment, while reads and writes go on. Of an embedded one `dest` is a
        folder that does not exist yet, which `vecstore.restore` makes a database of; of a server it is a name (1 to 64
        characters of A-Z a-z 0-9 _ -; without one it is made of the time). Raises FailedPrecondition (PATH_EXISTS,
        IN_MEMORY) and InvalidArgument (BAD_NAME)."""
        return self._finish(self._transport.snapshot(dest), wait, timeout_s)

    def list_snapshots(self) -> list[SnapshotInfo]:
        """The snapshots that a server keeps under names."""
        return self._transport.list_snapshots()

    def delete_snapshot(self, name: str) -> bool:
        """Delete a snapshot of a server's. False when there was none."""
        return self._transport.delete_snapshot(name)

    def restore_snapshot(
        self, name: str, into: str, *, wait: bool = True, timeout_s: float | None = None
    ) -> OperationInfo:
        """Have a server make a database of a snapshot, in a fresh folder named `into` below its setting `restore_dir`;
        what it serves stays as it is. Raises NotFound (SNAPSHOT_NOT_FOUND), FailedPrecondition (PATH_EXISTS)."""
        return self._finish(self._transport.restore_snapshot(name, into), wait, timeout_s)

    def _finish(self, operation: OperationInfo, wait: bool, timeout_s: float | None) -> OperationInfo:
        if wait:
            operation = self._transport.wait_operation(operation.id, timeout_s)
        return finished(operation)

    def operations(self, collection: str | None = None) -> list[OperationInfo]:
        """Long jobs, running and recent."""
        return self._transport.list_operations(collection)

    def operation(self, id: str) -> OperationInfo:
        """One long job. Raises NotFound (OPERATION_NOT_FOUND)."""
        return self._transport.operation(id)

    def cancel_operation(self, id: str) -> OperationInfo:
        """Ask a long job to stop; what it had finished stays."""
        return self._transport.cancel_operation(id)

    def wait_operation(self, id: str, timeout_s: float | None = None) -> OperationInfo:
        """Wait until a long job has ended. Raises DeadlineExceeded after `timeout_s`."""
        return self._transport.wait_operation(id, timeout_s)

    def info(self) -> dict[str, Any]:
        """Version, kernels backend and instruction set, threads."""
        return self._transport.info()
