"""Aliases and what changes them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vecstore.aliases import Alias, AliasAction, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
from vecstore.wire.rest.base import Answer, Body, bad_argument

KINDS = {"create": CreateAlias, "delete": DeleteAlias, "rename": RenameAlias, "swap": SwapAliases}
_NAMES = {kind: name for name, kind in KINDS.items()}


class AliasActionSpec(Body):
    """One of them."""

    create: CreateAlias | None = None
    delete: DeleteAlias | None = None
    rename: RenameAlias | None = None
    swap: SwapAliases | None = None


class UpdateAliasesBody(Body):
    """Each action sees what those before it leave; all are done, as one durable write, or none."""

    actions: list[AliasActionSpec]


class SetAliasBody(Body):
    """The collection that the alias is to stand for."""

    collection: str


class AliasAnswer(Answer):
    """`alias` stands for `collection` wherever a collection is named."""

    alias: str
    collection: str


class Aliases(Answer):
    """By name."""

    aliases: list[AliasAnswer]


def actions_from_json(given: Sequence[AliasActionSpec]) -> list[AliasAction]:
    """Raises InvalidArgument (BAD_ARGUMENT)."""
    actions = []
    for place, one in enumerate(given):
        named = [action for name in KINDS if (action := getattr(one, name)) is not None]
        if len(named) != 1:
            raise bad_argument(f"actions[{place}]", f"needs exactly one of {', '.join(KINDS)}; it has {len(named)}")
        actions += named
    return actions


def actions_to_json(actions: Sequence[AliasAction]) -> UpdateAliasesBody:
    specs = [msgspec.convert({_NAMES[type(action)]: action}, AliasActionSpec) for action in actions]
    return UpdateAliasesBody(actions=specs)


def aliases_to_json(aliases: Sequence[Alias]) -> Aliases:
    return Aliases(aliases=[AliasAnswer(alias=one.alias, collection=one.collection) for one in aliases])


def aliases_from_json(given: Aliases) -> list[Alias]:
    return [Alias(one.alias, one.collection) for one in given.aliases]
