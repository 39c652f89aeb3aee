"""Point ids: a number, a string, or {"str": ..} for a string that only looks like a UUID."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec

from vecstore.query.filter import PointId

U64_MAX = (1 << 64) - 1
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")

Unsigned: TypeAlias = Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"maximum": U64_MAX})]


class StringId(msgspec.Struct, forbid_unknown_fields=True):
    """A string that is an id as it stands, though it looks like a UUID."""

    text: str = msgspec.field(name="str")


Id: TypeAlias = (
    Unsigned
    | Annotated[str, msgspec.Meta(description="A UUID, where it looks like one (8-4-4-4-12), else 1 to 128 bytes.")]
    | StringId
)


def looks_like_uuid(text: str) -> bool:
    return len(text) == 36 and _UUID.match(text) is not None


def id_from_json(value: int | str | StringId) -> PointId:
    if isinstance(value, str):
        return UUID(value) if looks_like_uuid(value) else value
    return value.text if isinstance(value, StringId) else value


def ids_from_json(values: Iterable[int | str | StringId]) -> list[PointId]:
    return [value if type(value) is int else id_from_json(value) for value in values]


def id_to_json(value: Any) -> int | str | StringId:
    """What is no id at all is left for the server to refuse."""
    if isinstance(value, UUID):
        return str(value)
    return StringId(value) if isinstance(value, str) and looks_like_uuid(value) else value


def filter_ids(data: Any) -> Any:
    """A filter, or a formula with filters in it, whose `has_id` conditions read ids as the rest of the interface does:
    strings that look like UUIDs become UUIDs."""
    if isinstance(data, list):
        return [filter_ids(one) for one in data]
    if not isinstance(data, dict):
        return data
    changed = {name: filter_ids(value) for name, value in data.items()}
    listed = changed.get("has_id")
    if isinstance(listed, list):
        changed["has_id"] = [UUID(one) if isinstance(one, str) and looks_like_uuid(one) else one for one in listed]
    return changed
