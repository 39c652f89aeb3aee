"""One change of a living collection: checked whole, then one durable write of its record."""

from __future__ import annotations

import msgspec

from vecstore import validate
from vecstore.config import Limits
from vecstore.embed.embedders import Embedders
from vecstore.engine import changes
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.maintenance import Maintenance
from vecstore.engine.operations import Operation
from vecstore.engine.params import check_defaults
from vecstore.errors import FailedPrecondition, invalid
from vecstore.schema import Analysis, Schema, VectorField, VectorKind
from vecstore.schema_update import UpdateCollectionRequest, changed_schema


def check_settings(schema: Schema, limits: Limits) -> None:
    """Of a schema what is no vector field's shape: search settings and metadata. Raises InvalidArgument (BAD_SCHEMA,
    BAD_PAYLOAD, LIMIT_EXCEEDED)."""
    for name, field in schema.vectors.items():
        check_defaults(field, f"vectors.{name}.search")
    try:
        encoded = msgspec.json.encode(schema.metadata)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise invalid("BAD_PAYLOAD", f"metadata is not JSON: {str(error)[:200]}", "metadata") from None
    validate.check_payload_json(encoded, limits, "metadata")


class Updating:
    def __init__(self, committer: Committer, maintenance: Maintenance, embedders: Embedders, limits: Limits) -> None:
        self._committer = committer
        self._maintenance = maintenance
        self._embedders = embedders
        self._limits = limits

    def update(self, collection: Collection, request: UpdateCollectionRequest) -> Operation | None:
        """Change the collection; the caller sees to it that nobody else changes its schema meanwhile. Returns the job
        that builds indexes, where there is one to build.

        Raises FailedPrecondition (VERSION_MISMATCH), what `changed_schema` raises, and what creating a collection of
        such a schema would."""
        _check_version(collection, request.if_version)
        before = collection.schema
        schema = changed_schema(before, request)
        changed = {name: field for name, field in schema.vectors.items() if field != before.vectors[name]}
        filled = self._embedders.filled(Schema(vectors=changed)).vectors  # the others' may not be configured here
        schema = msgspec.structs.replace(schema, vectors={**schema.vectors, **filled})
        validate.check_schema(schema, self._limits)
        check_settings(schema, self._limits)
        if schema == before:
            return None
        rebuilt = [name for name in changed if schema.vectors[name].index != before.vectors[name].index]
        if rebuilt:
            return self._maintenance.reindex(collection, rebuilt, schema)
        self._committer.exclusive(lambda: changes.set_vectors(collection, schema))
        return None


def _check_version(collection: Collection, wanted: int | None) -> None:
    if wanted is None:
        return
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 0:
        message = f"if_version={wanted!r:.40} must be an integer of at least 0"
        raise invalid("BAD_ARGUMENT", message, "if_version")
    version = collection.record.version
    if version != wanted:
        message = f"if_version={wanted}, but the schema of {collection.record.name!r} is at version {version}"
        raise FailedPrecondition(message, reason="VERSION_MISMATCH", metadata={"version": version})


def is_like(schema: Schema, wanted: Schema) -> bool:
    """Whether it has the vector fields that are wanted; one that says nothing of a setting that can change, such as the
    index, is content with any."""
    there = {name: _unasked(field, wanted.vectors.get(name)) for name, field in schema.vectors.items()}
    texts = {name: field for name, field in wanted.vectors.items() if field.kind is VectorKind.TEXT}
    analysed = {
        name: msgspec.structs.replace(field, analysis=field.analysis or Analysis()) for name, field in texts.items()
    }
    return there == {**wanted.vectors, **analysed}


def _unasked(field: VectorField, wanted: VectorField | None) -> VectorField:
    left = [name for name in ("index", "device", "search") if wanted is not None and getattr(wanted, name) is None]
    return msgspec.structs.replace(field, **dict.fromkeys(left))
