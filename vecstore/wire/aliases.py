"""Aliases and what changes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vecstore.aliases import Alias, AliasAction, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
from vecstore.errors import invalid
from vecstore.pb.v1 import aliases_pb2 as pb

_KINDS: dict[str, Any] = {
    "create": (CreateAlias, pb.CreateAlias),
    "delete": (DeleteAlias, pb.DeleteAlias),
    "rename": (RenameAlias, pb.RenameAlias),
    "swap": (SwapAliases, pb.SwapAliases),
}
_NAMES = {ours: name for name, (ours, _) in _KINDS.items()}


def actions_to_pb(actions: Sequence[AliasAction]) -> pb.UpdateAliasesRequest:
    message = pb.UpdateAliasesRequest()
    for action in actions:
        name = _NAMES[type(action)]
        fields = {field: getattr(action, field) for field in action.__struct_fields__}
        message.actions.append(pb.AliasAction(**{name: _KINDS[name][1](**fields)}))
    return message


def actions_from_pb(message: pb.UpdateAliasesRequest) -> list[AliasAction]:
    """Raises InvalidArgument (BAD_ARGUMENT)."""
    actions: list[AliasAction] = []
    for place, action in enumerate(message.actions):
        name = action.WhichOneof("action")
        if name is None:
            path = f"actions[{place}]"
            why = f"{path} says nothing: give one of {', '.join(_KINDS)}"
            raise invalid("BAD_ARGUMENT", why, path)
        kind, given = _KINDS[name][0], getattr(action, name)
        actions.append(kind(*(getattr(given, field) for field in kind.__struct_fields__)))
    return actions


def aliases_to_pb(aliases: Iterable[Alias]) -> list[pb.Alias]:
    return [pb.Alias(alias=one.alias, collection=one.collection) for one in aliases]


def aliases_from_pb(messages: Iterable[pb.Alias]) -> list[Alias]:
    return [Alias(one.alias, one.collection) for one in messages]
