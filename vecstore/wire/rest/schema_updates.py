"""Changes of a collection: what is left out stays, null puts back to its default (RFC 7396)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from vecstore.errors import InvalidArgument
from vecstore.index_text import format_index
from vecstore.schema import DataType, FieldKind, Metric, VectorKind
from vecstore.schema_update import UpdateCollectionRequest, VectorUpdate
from vecstore.schema_update import UpdatedCollection as Updated
from vecstore.wire.rest.base import Answer, Body, Bounded, JsonObject
from vecstore.wire.rest.schemas import (
    Collection,
    IndexSpec,
    Operation,
    collection_from_json,
    collection_to_json,
    index_from_json,
    operation_from_json,
    operation_to_json,
)


class SearchPatch(Body):
    """Single settings; null leaves one to the index."""

    recall: float | UnsetType | None = UNSET
    ef: Bounded | UnsetType | None = UNSET
    nprobe: Bounded | UnsetType | None = UNSET
    oversampling: float | UnsetType | None = UNSET
    block_factor: float | UnsetType | None = UNSET


class AnalysisPatch(Body):
    """Fixed: what is given must be what it is."""

    language: str | UnsetType = UNSET
    stop_words: bool | UnsetType = UNSET
    k1: float | UnsetType = UNSET
    b: float | UnsetType = UNSET


class VectorFieldPatch(Body):
    """Changes of a vector field. `index` is built in the background, the rest holds at once. What follows `search` is
    fixed: given, it must be what it is, so that a schema that was read can be sent back with changes."""

    index: IndexSpec | UnsetType | None = UNSET
    device: str | UnsetType | None = UNSET
    embedder: str | UnsetType | None = UNSET
    search: SearchPatch | UnsetType | None = UNSET
    kind: VectorKind | UnsetType = UNSET
    dim: Bounded | UnsetType = UNSET
    metric: Metric | UnsetType = UNSET
    datatype: DataType | UnsetType = UNSET
    analysis: AnalysisPatch | UnsetType = UNSET
    fingerprint: str | UnsetType | None = UNSET


class CollectionPatch(Body):
    """Changes, all of them or none. Of `metadata` keys are merged in, null takes one away. `if_version` is the version
    of the schema that the changes are for: another one ends the call with VERSION_MISMATCH."""

    vectors: dict[str, VectorFieldPatch] = {}
    metadata: JsonObject | UnsetType | None = UNSET
    replace_metadata: Annotated[bool, msgspec.Meta(description="Take `metadata` whole.")] = False
    fields: dict[str, FieldKind] | UnsetType = UNSET
    if_version: Annotated[int, msgspec.Meta(ge=0)] | None = None


class UpdatedCollection(Answer):
    """The collection as it is now, and the operation that builds indexes, where these change."""

    collection: Collection
    operation: Operation | None = None


def update_from_json(collection: str, given: CollectionPatch) -> UpdateCollectionRequest:
    """Raises InvalidArgument (BAD_INDEX_SPEC)."""
    vectors = {name: _vector_from_json(name, patch) for name, patch in given.vectors.items()}
    return UpdateCollectionRequest(
        collection, vectors, given.metadata, given.replace_metadata, given.fields, given.if_version
    )


def _vector_from_json(name: str, given: VectorFieldPatch) -> VectorUpdate:
    update = VectorUpdate(device=given.device, embedder=given.embedder)
    if not isinstance(given.index, UnsetType):
        try:
            update.index = index_from_json(given.index)
        except InvalidArgument as error:
            raise error.at(f"vectors.{name}") from None
    if not isinstance(given.search, UnsetType):
        update.search = None if given.search is None else _given(given.search)
    fixed = {key: value for key, value in _given(given).items() if key not in ("index", "device", "embedder", "search")}
    analysis = fixed.pop("analysis", None)
    fixed |= {} if analysis is None else {f"analysis.{key}": value for key, value in _given(analysis).items()}
    update.fixed = fixed
    return update


def _given(patch: msgspec.Struct) -> dict[str, Any]:
    return {key: value for key, value in msgspec.structs.asdict(patch).items() if value is not UNSET}


def update_to_json(request: UpdateCollectionRequest) -> CollectionPatch:
    """Raises InvalidArgument (BAD_SCHEMA) for what the body has no place for."""
    patch: dict[str, Any] = {
        "vectors": {name: _vector_to_json(update) for name, update in request.vectors.items()},
        "if_version": request.if_version,
    }
    if not isinstance(request.metadata, UnsetType):
        patch["metadata"] = request.metadata
    if not isinstance(request.fields, UnsetType):
        patch["fields"] = dict(request.fields)
    if request.metadata_whole:
        patch["replace_metadata"] = True
    try:
        return msgspec.convert(patch, CollectionPatch)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"bad update: {error}", reason="BAD_SCHEMA") from None


def _vector_to_json(update: VectorUpdate) -> dict[str, Any]:
    given = {key: value for key in ("device", "embedder", "search") if (value := getattr(update, key)) is not UNSET}
    if not isinstance(update.index, UnsetType):
        given["index"] = None if update.index is None else format_index(update.index)
    for setting, value in update.fixed.items():
        first, _, rest = setting.partition(".")
        if rest:
            given.setdefault(first, {})[rest] = value
        else:
            given[first] = value
    return given


def updated_to_json(updated: Updated) -> UpdatedCollection:
    operation = None if updated.operation is None else operation_to_json(updated.operation)
    return UpdatedCollection(collection=collection_to_json(updated.info), operation=operation)


def updated_from_json(answer: UpdatedCollection) -> Updated:
    operation = None if answer.operation is None else operation_from_json(answer.operation)
    return Updated(collection_from_json(answer.collection), operation)
