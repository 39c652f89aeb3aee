"""Other names of collections: what one is, and what may be done with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import msgspec


@dataclass(frozen=True, slots=True)
class Alias:
    """`alias` stands for `collection` wherever a collection is named."""

    alias: str
    collection: str


class CreateAlias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let `alias` stand for `collection`; one that there is stands for it from now on."""

    alias: str
    collection: str


class DeleteAlias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take `alias` away; its collection stays."""

    alias: str


class RenameAlias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Call `alias` `new_alias`, which must be free."""

    alias: str
    new_alias: str


class SwapAliases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let each of two aliases stand for what the other one does."""

    alias: str
    other: str


AliasAction: TypeAlias = CreateAlias | DeleteAlias | RenameAlias | SwapAliases


def names_given(action: AliasAction) -> Iterator[str]:
    """The collection that an alias is to stand for, and the name that comes to be: what a caller must have a right to,
    beside the collections that its aliases stand for now."""
    if isinstance(action, CreateAlias):
        yield from (action.collection, action.alias)
    elif isinstance(action, RenameAlias):
        yield action.new_alias
