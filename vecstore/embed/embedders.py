"""The embedders of a database by name: fields of a schema are checked against them, and texts go to them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, get_args

import msgspec

from vecstore.embed.base import Embedder, Role, bad_settings, failed
from vecstore.embed.registry import make_embedder
from vecstore.embedder_settings import EmbedderSettings
from vecstore.errors import FailedPrecondition, InvalidArgument, invalid
from vecstore.rows import Rows
from vecstore.schema import Schema, VectorField, VectorKind

THREADS = 4  # for each embedder, that wait for it or run it: a slow one holds up no other, and no read or write
EMBEDDED = (VectorKind.DENSE, VectorKind.SPARSE, VectorKind.MULTI)

KINDS = tuple(str(kind.__struct_config__.tag) for kind in get_args(EmbedderSettings))

EmbedderLike: TypeAlias = Embedder | EmbedderSettings | Mapping[str, Any]


def read_embedders(given: Mapping[str, EmbedderLike]) -> dict[str, Embedder | EmbedderSettings]:
    """Embedders as they are, settings as structs or dictionaries. Raises InvalidArgument (BAD_CONFIG)."""
    read: dict[str, Embedder | EmbedderSettings] = {}
    for name, one in given.items():
        if isinstance(one, Mapping):
            if (kind := one.get("kind")) not in KINDS:
                raise bad_settings(name, f"kind={kind!r:.80} is not one of {', '.join(KINDS)}")
            try:
                read[name] = msgspec.convert(dict(one), EmbedderSettings, strict=False)
            except msgspec.ValidationError as error:
                raise bad_settings(name, str(error)) from None
        elif isinstance(one, msgspec.Struct | Embedder):
            read[name] = one
        else:
            raise bad_settings(name, f"must be settings or an object with Embedder's methods, not {one!r:.80}")
    return read


class Embedders:
    """Threads may share one object."""

    def __init__(self, given: Mapping[str, EmbedderLike]) -> None:
        """Raises InvalidArgument (BAD_CONFIG) and FailedPrecondition (EXTRA_MISSING)."""
        read = read_embedders(given)
        self._by_name = {
            name: make_embedder(name, one) if isinstance(one, msgspec.Struct) else one for name, one in read.items()
        }
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        return sorted(self._by_name)

    def described(self) -> dict[str, str]:
        """What each gives, by name, for people."""
        return {name: embedder.gives.value for name, embedder in sorted(self._by_name.items())}

    def get(self, name: str, path: str) -> Embedder:
        """Raises FailedPrecondition (EMBEDDER_UNKNOWN); `path` names the field that wants it."""
        embedder = self._by_name.get(name)
        if embedder is None:
            has = f"has {', '.join(self.names)}" if self._by_name else "has none"
            message = f"{path} is embedded by {name!r:.80}, which is not configured here; this database {has}"
            raise FailedPrecondition(message, reason="EMBEDDER_UNKNOWN", metadata={"embedder": name})
        return embedder

    def filled(self, schema: Schema) -> Schema:
        """The schema with dimensions and fingerprints of its embedders.

        Raises InvalidArgument (BAD_SCHEMA, DIMENSION_MISMATCH), FailedPrecondition (EMBEDDER_UNKNOWN,
        EMBEDDER_MISMATCH) and what loading a model raises."""
        vectors = {name: self._filled(f"vectors.{name}", field) for name, field in schema.vectors.items()}
        return msgspec.structs.replace(schema, vectors=vectors)

    def _filled(self, path: str, field: VectorField) -> VectorField:
        if field.embedder is None:
            if field.fingerprint is not None:
                raise _bad_field(f"{path}.fingerprint", "is of no embedder: name one")
            return field
        if field.kind not in EMBEDDED:
            raise _bad_field(f"{path}.embedder", f"does not apply to a {field.kind.value} field")
        embedder = self.get(field.embedder, path)
        if embedder.gives is not field.kind:
            problem = f"{field.embedder!r} gives {embedder.gives.value} vectors, the field is {field.kind.value}"
            raise _bad_field(f"{path}.embedder", problem)
        dim = embedder.dim
        if field.dim not in (0, dim):
            message = f"{path}.dim={field.dim}, but the embedder {field.embedder!r} gives {dim} components"
            raise invalid("DIMENSION_MISMATCH", message, f"{path}.dim")
        field = msgspec.structs.replace(field, dim=dim, fingerprint=field.fingerprint or embedder.fingerprint)
        self.checked(path, field)
        return field

    def checked(self, path: str, field: VectorField) -> Embedder:
        """The field's embedder, if it is the model that the field was made with. Raises FailedPrecondition
        (EMBEDDER_UNKNOWN, EMBEDDER_MISMATCH)."""
        assert field.embedder is not None
        embedder = self.get(field.embedder, path)
        if embedder.fingerprint != field.fingerprint:
            message = (
                f"{path} was made with the model {field.fingerprint}, but the embedder {field.embedder!r} is now "
                f"{embedder.fingerprint}: their vectors do not compare; vectors are still taken"
            )
            metadata = {"embedder": field.embedder, "is": embedder.fingerprint, "was": field.fingerprint}
            raise FailedPrecondition(message, reason="EMBEDDER_MISMATCH", metadata=metadata)
        return embedder

    def embed(self, path: str, field: VectorField, texts: Sequence[str], role: Role, deadline: float) -> Rows:
        """One row of the field for each text. Raises what `checked` and the embedder raise."""
        embedder = self.checked(path, field)
        rows = embedder.embed(texts, role, deadline)
        if len(rows) != len(texts):
            raise failed(f"embedder {field.embedder!r}: {len(rows)} rows for {len(texts)} texts")
        return rows

    def submit(self, path: str, field: VectorField, texts: Sequence[str], role: Role, deadline: float) -> Future[Rows]:
        """`embed` in a thread that is the embedder's own."""
        assert field.embedder is not None
        with self._lock:
            pool = self._pools.get(field.embedder)
            if pool is None:
                pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"vecstore-embed-{field.embedder}")
                self._pools[field.embedder] = pool
        return pool.submit(self.embed, path, field, texts, role, deadline)

    def close(self) -> None:
        for embedder in self._by_name.values():
            embedder.close()
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)


def _bad_field(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid("BAD_SCHEMA", message, path)
