"""Changes of a living collection's schema: what may change, and what may not.

Now         metadata; of a vector field `search`, `device`, `embedder` (by one of the same model), and of its index what
            only queries use (`vecstore.index_queried`)
By rebuild  a vector field's `index`: queries go on by the old one until the new one takes its place
Elsewhere   payload indexes, which have calls of their own
Fixed       what stored vectors depend on: given, it must be what it is
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from vecstore.errors import InvalidArgument, invalid
from vecstore.index_spec import Auto, Index
from vecstore.schema import FieldKind, Schema, SearchDefaults, VectorField
from vecstore.types import CollectionInfo, OperationInfo

FIXED = ("kind", "dim", "metric", "datatype", "analysis", "fingerprint")  # settings of a vector field
REINDEX = "write the points to a new collection that has it, and have an alias name that one"


@dataclass(slots=True)
class VectorUpdate:
    """Changes of one vector field: UNSET leaves a setting, None puts it back to its default. Of `search`, single
    settings are changed in the same way. `fixed` are settings that cannot change, by dotted names such as "dim" or
    "analysis.k1": they must be what they are."""

    index: Index | UnsetType | None = UNSET
    device: str | UnsetType | None = UNSET
    embedder: str | UnsetType | None = UNSET
    search: Mapping[str, Any] | UnsetType | None = UNSET
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class UpdateCollectionRequest:
    """Changes of a collection, all of them or none. `metadata` is merged into what is there, None takes a key away, or
    all of it; with `metadata_whole` it takes the place of what is there. `if_version` is the version of the schema that
    the changes are for. `fields`, where given, must be what they are."""

    collection: str
    vectors: Mapping[str, VectorUpdate] = field(default_factory=dict)
    metadata: Mapping[str, Any] | UnsetType | None = UNSET
    metadata_whole: bool = False
    fields: Mapping[str, FieldKind] | UnsetType = UNSET
    if_version: int | None = None


@dataclass(slots=True)
class UpdatedCollection:
    """The collection as it is now, and the job that builds indexes anew, where there is one."""

    info: CollectionInfo
    operation: OperationInfo | None = None


def changed_schema(schema: Schema, request: UpdateCollectionRequest) -> Schema:
    """The schema with the changes; whether it makes sense is for `validate` and the embedders.

    Raises InvalidArgument: VECTOR_NAME_UNKNOWN, SETTING_FIXED, BAD_SCHEMA."""
    if not isinstance(request.fields, UnsetType) and dict(request.fields) != schema.fields:
        message = (
            "fields: payload indexes are made and dropped by their own calls: create_field_index and delete_field_index"
        )
        raise _invalid("SETTING_FIXED", message, "fields")
    vectors = dict(schema.vectors)
    for name, update in request.vectors.items():
        known = vectors.get(name)
        if known is None:
            message = f"no vector field named {name!r:.80}; the collection has {', '.join(sorted(vectors))}"
            raise _invalid("VECTOR_NAME_UNKNOWN", message, f"vectors.{name:.80}")
        vectors[name] = _changed_field(f"vectors.{name}", known, update)
    return msgspec.structs.replace(schema, vectors=vectors, metadata=_changed_metadata(schema.metadata, request))


def _changed_field(path: str, known: VectorField, update: VectorUpdate) -> VectorField:
    for setting, wanted in update.fixed.items():
        _check_fixed(path, known, setting, wanted)
    changes: dict[str, Any] = {}
    if not isinstance(update.index, UnsetType):
        changes["index"] = Auto() if update.index is None else update.index
    if not isinstance(update.device, UnsetType):
        changes["device"] = update.device
    if not isinstance(update.search, UnsetType):
        changes["search"] = _changed_search(path, known.search, update.search)
    if not isinstance(update.embedder, UnsetType) and update.embedder != known.embedder:
        changes["embedder"] = update.embedder
        if update.embedder is None:
            changes["fingerprint"] = None
    return msgspec.structs.replace(known, **changes)


def _check_fixed(path: str, known: VectorField, setting: str, wanted: Any) -> None:
    first, _, rest = setting.partition(".")
    value = getattr(known, first)
    if rest:
        value = getattr(value, rest, None)
    if value != wanted:
        value, shown = (getattr(one, "value", one) for one in (value, wanted))
        message = f"{path}.{setting}={value} is fixed and cannot become {shown!r:.80}: {REINDEX}"
        raise InvalidArgument(
            message,
            reason="SETTING_FIXED",
            metadata={"setting": f"{path}.{setting}", "value": value},
            field_violations=[(f"{path}.{setting}", message)],
        )


def _changed_search(path: str, known: SearchDefaults | None, update: Mapping[str, Any] | None) -> SearchDefaults | None:
    if update is None:
        return None
    for setting in update.keys() - set(SearchDefaults.__struct_fields__):
        message = f"{path}.search has no {setting!r:.40}, only {', '.join(SearchDefaults.__struct_fields__)}"
        raise _invalid("BAD_SCHEMA", message, f"{path}.search")
    changed = msgspec.structs.replace(known or SearchDefaults(), **update)
    return None if changed == SearchDefaults() else changed


def _changed_metadata(known: dict[str, Any], request: UpdateCollectionRequest) -> dict[str, Any]:
    given = request.metadata
    if isinstance(given, UnsetType):
        return known
    if given is None:
        return {}
    merged = {**({} if request.metadata_whole else known), **given}
    return {key: value for key, value in merged.items() if value is not None}


def _invalid(reason: str, message: str, path: str) -> InvalidArgument:
    return invalid(reason, message, path)
