"""Changes of a collection: a schema, and a mask of what in it counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UnsetType

from vecstore.errors import InvalidArgument, invalid
from vecstore.pb.v1 import collections_pb2 as pb
from vecstore.schema import FieldKind, SearchDefaults, VectorField
from vecstore.schema_update import FIXED, UpdateCollectionRequest, UpdatedCollection, VectorUpdate
from vecstore.wire.schemas import (
    collection_from_pb,
    collection_to_pb,
    field_from_pb,
    field_kind_from_pb,
    field_kind_to_pb,
    fixed_to_pb,
    index_from_text,
    index_to_text,
    operation_from_pb,
    operation_to_pb,
    set_search,
)
from vecstore.wire.values import fields_from_pb, set_value, value_from_pb

_STEP = re.compile(r"(?:([A-Za-z0-9_-]+)|`((?:[^`]|``)*)`)(?:\.|\Z)")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")
_SETTINGS = ("index", "device", "embedder")
_DEPTH = 64  # of metadata on the wire; the engine has its own bound


def update_to_pb(request: UpdateCollectionRequest) -> pb.UpdateCollectionRequest:
    """Raises InvalidArgument for values that the wire cannot hold."""
    message = pb.UpdateCollectionRequest(name=request.collection)
    message.update_mask.SetInParent()
    paths = message.update_mask.paths
    if request.if_version is not None:
        try:
            message.if_version = request.if_version
        except (ValueError, TypeError):
            text = f"if_version={request.if_version!r:.40} must be an integer of at least 0"
            raise invalid("BAD_ARGUMENT", text, "if_version") from None
    for name, update in request.vectors.items():
        field = message.schema.vectors[name]
        prefix = f"vectors.{_step(name)}"
        paths.extend(f"{prefix}.{setting}" for setting in _vector_to_pb(update, field, f"vectors.{name}"))
    if not isinstance(request.fields, UnsetType):
        paths.append("fields")
        for key, kind in request.fields.items():
            message.schema.fields[key] = field_kind_to_pb(kind)
    if not isinstance(request.metadata, UnsetType):
        given = request.metadata or {}
        whole = request.metadata is None or request.metadata_whole
        paths.extend(["metadata"] if whole else [f"metadata.{_step(key)}" for key in given])
        for key, value in given.items():
            if value is not None:
                set_value(message.schema.metadata[key], value)
    return message


def _vector_to_pb(update: VectorUpdate, field: pb.VectorField, path: str) -> Iterator[str]:
    if not isinstance(update.index, UnsetType):
        field.index = index_to_text(update.index)
        yield "index"
    for setting in ("device", "embedder"):
        value = getattr(update, setting)
        if not isinstance(value, UnsetType):
            setattr(field, setting, value or "")
            yield setting
    if isinstance(update.search, Mapping):
        for name, value in update.search.items():
            if value is not None:
                set_search(field.search, name, value, f"{path}.search")
            yield f"search.{name}"
    elif update.search is None:
        yield "search"
    for setting, value in update.fixed.items():
        fixed_to_pb(field, setting, value, path)
        yield setting


def update_from_pb(message: pb.UpdateCollectionRequest) -> UpdateCollectionRequest:
    """Raises InvalidArgument: BAD_SCHEMA, BAD_PAYLOAD, BAD_INDEX_SPEC, and BAD_ARGUMENT for a bad mask."""
    request = UpdateCollectionRequest(message.name)
    if message.HasField("if_version"):
        request.if_version = message.if_version
    updates: dict[str, VectorUpdate] = {}
    request.vectors = updates
    known: dict[str, VectorField] = {}
    paths = message.update_mask.paths if message.HasField("update_mask") else _set_in(message.schema)
    for path in paths:
        match _steps(path):
            case ["metadata"]:
                request.metadata = fields_from_pb(message.schema.metadata, "metadata", _DEPTH) or None
                request.metadata_whole = True
            case ["metadata", key]:
                value = message.schema.metadata.get(key)
                merged = {} if isinstance(request.metadata, UnsetType | None) else dict(request.metadata)
                merged[key] = None if value is None else value_from_pb(value, f"metadata.{key}", _DEPTH)
                if not request.metadata_whole:
                    request.metadata = merged
            case ["fields"]:
                request.fields = _fields(message.schema)
            case ["vectors", name, setting, *rest]:
                field = message.schema.vectors[name] if name in message.schema.vectors else pb.VectorField()
                if setting in FIXED and name not in known:
                    known[name] = field_from_pb(name, field)
                _vector_from_pb(updates.setdefault(name, VectorUpdate()), field, known.get(name), setting, rest, path)
            case _:
                raise _bad_mask(path)
    return request


def _fields(schema: pb.Schema) -> dict[str, FieldKind]:
    return {key: field_kind_from_pb(kind, f"schema.fields.{key}") for key, kind in schema.fields.items()}


def _vector_from_pb(
    update: VectorUpdate, field: pb.VectorField, known: VectorField | None, setting: str, rest: list[str], path: str
) -> None:
    match setting, rest:
        case "index", []:
            try:
                update.index = index_from_text(field.index)
            except InvalidArgument as error:
                raise error.at(path) from None
        case (("device" | "embedder"), []):
            setattr(update, setting, getattr(field, setting) or None)
        case "search", []:
            update.search = {name: _optional(field.search, name) for name in SearchDefaults.__struct_fields__}
        case "search", [name] if name in SearchDefaults.__struct_fields__:
            before = update.search if isinstance(update.search, Mapping) else {}
            update.search = {**before, name: _optional(field.search, name)}
        case _ if known is not None and setting in FIXED:
            value: Any = known
            for step in (setting, *rest):
                if not hasattr(value, step):
                    raise _bad_mask(path)
                value = getattr(value, step)
            update.fixed = {**update.fixed, ".".join([setting, *rest]): value}
        case _:
            raise _bad_mask(path)


def _optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _set_in(schema: pb.Schema) -> Iterator[str]:
    """The mask that a request without one means."""
    for name, field in schema.vectors.items():
        for setting, value in field.ListFields():
            if setting.name in ("search", "analysis"):
                inner = (one.name for one, _ in value.ListFields())
                yield from (f"vectors.{_step(name)}.{setting.name}.{one}" for one in inner)
            else:
                yield f"vectors.{_step(name)}.{setting.name}"
    yield from (f"metadata.{_step(key)}" for key in schema.metadata)
    if schema.fields:
        yield "fields"


def _step(name: str) -> str:
    return name if _PLAIN.match(name) else "`" + name.replace("`", "``") + "`"


def _steps(path: str) -> list[str]:
    steps, at = [], 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise _bad_mask(path)
        steps.append(found[1] if found[1] is not None else found[2].replace("``", "`"))
        at = found.end()
    if path.endswith("."):
        raise _bad_mask(path)
    return steps


def _bad_mask(path: str) -> InvalidArgument:
    known = ", ".join((*_SETTINGS, "search", *FIXED))
    text = (
        f"update_mask names {path!r:.80}, which is none of metadata, metadata.KEY, fields and vectors.NAME.SETTING; "
        f"settings are {known}"
    )
    return invalid("BAD_ARGUMENT", text, "update_mask")


def updated_to_pb(updated: UpdatedCollection) -> pb.UpdateCollectionResponse:
    operation = None if updated.operation is None else operation_to_pb(updated.operation)
    return pb.UpdateCollectionResponse(collection=collection_to_pb(updated.info), operation=operation)


def updated_from_pb(message: pb.UpdateCollectionResponse) -> UpdatedCollection:
    operation = operation_from_pb(message.operation) if message.HasField("operation") else None
    return UpdatedCollection(collection_from_pb(message.collection), operation)
