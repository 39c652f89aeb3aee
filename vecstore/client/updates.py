"""From what users write in an update of a collection to a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from vecstore.errors import InvalidArgument, invalid
from vecstore.index_check import read_index
from vecstore.schema import DataType, Metric, SearchDefaults, VectorField, VectorKind
from vecstore.schema_update import FIXED, UpdateCollectionRequest, VectorUpdate

VectorChanges: TypeAlias = Mapping[str, Mapping[str, Any]]

_ENUMS: dict[str, Any] = {"kind": VectorKind, "metric": Metric, "datatype": DataType}
_CHANGEABLE = ("index", "device", "embedder", "search")


def update_request(
    name: str, vectors: VectorChanges, metadata: Mapping[str, Any] | UnsetType | None, if_version: int | None
) -> UpdateCollectionRequest:
    """Raises InvalidArgument (BAD_SCHEMA, BAD_INDEX_SPEC)."""
    updates = {str(field): _vector_update(f"vectors.{field}", given) for field, given in vectors.items()}
    if not isinstance(metadata, Mapping | UnsetType | None):
        raise _bad("metadata", f"must be a dictionary or None, not {metadata!r:.80}")
    given = dict(metadata) if isinstance(metadata, Mapping) else metadata
    return UpdateCollectionRequest(name, updates, given, if_version=if_version)


def _vector_update(path: str, given: Mapping[str, Any]) -> VectorUpdate:
    if isinstance(given, VectorField) or not isinstance(given, Mapping):
        raise _bad(path, f"must be a dictionary of changes, not {given!r:.80}")
    update, fixed = VectorUpdate(), dict[str, Any]()
    for setting, value in given.items():
        if setting == "index":
            update.index = read_index(value, f"{path}.index")
        elif setting in ("device", "embedder"):
            if not isinstance(value, str | None):
                raise _bad(f"{path}.{setting}", f"must be a name or None, not {value!r:.80}")
            setattr(update, setting, value)
        elif setting == "search":
            update.search = _search(path, value)
        elif setting == "analysis" and isinstance(value, Mapping):
            fixed |= {f"analysis.{key}": one for key, one in value.items()}
        elif setting in _ENUMS:
            fixed[setting] = _member(f"{path}.{setting}", _ENUMS[setting], value)
        elif setting in FIXED:
            fixed[setting] = value
        else:
            raise _bad(path, f"has no setting {setting!r:.40}, only {', '.join((*_CHANGEABLE, *FIXED))}")
    update.fixed = fixed
    return update


def _search(path: str, value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, SearchDefaults):
        return msgspec.structs.asdict(value)  # the whole of it
    if not isinstance(value, Mapping | None):
        raise _bad(f"{path}.search", f"must be a dictionary or None, not {value!r:.80}")
    return value


def _member(path: str, enum: Any, value: Any) -> Any:
    try:
        return enum(value)
    except ValueError:
        raise _bad(path, f"={value!r:.40} is not one of {', '.join(enum)}") from None


def _bad(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}".replace(" =", "=")
    return invalid("BAD_SCHEMA", message, path)


__all__ = ["UNSET", "VectorChanges", "update_request"]
