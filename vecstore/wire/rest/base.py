"""What bodies have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from vecstore.errors import InvalidArgument, invalid
from vecstore.types import Durability


class Body(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Of a request: a name that is not known is refused."""


class Answer(msgspec.Struct, kw_only=True):
    """Of a response."""


JsonObject: TypeAlias = Annotated[dict[str, Any], msgspec.Meta(description="Any JSON object.")]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Bounded: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Durable: TypeAlias = Annotated[
    Durability, msgspec.Meta(description="What the answer waits for: the disk, or the operating system.")
]
Waited: TypeAlias = Annotated[
    Literal["visible", "indexed"],
    msgspec.Meta(description="And what it waits for then: that every row up to this write is served by its index."),
]
NULL = b"null"


def bad_argument(path: str, problem: str, reason: str = "BAD_ARGUMENT") -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid(reason, message, path)


def payload_bytes(raw: msgspec.Raw | msgspec.UnsetType) -> bytes | None:
    """A payload as encoded JSON; None for none, or null. What it holds is the engine's to check."""
    if isinstance(raw, msgspec.UnsetType):
        return None
    encoded = bytes(raw)
    return None if encoded == NULL else encoded
