"""What is to be done with aliases, as users write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vecstore.aliases import AliasAction, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
from vecstore.errors import InvalidArgument, invalid

KINDS: dict[str, type[AliasAction]] = {
    "create": CreateAlias,
    "delete": DeleteAlias,
    "rename": RenameAlias,
    "swap": SwapAliases,
}


def read_actions(given: Sequence[AliasAction | Mapping[str, Any]]) -> list[AliasAction]:
    """Raises InvalidArgument (BAD_ARGUMENT) naming the action."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise _bad("actions", f"must be a list of actions, not {type(given).__name__}")
    return [_read(one, f"actions[{place}]") for place, one in enumerate(given)]


def _read(given: Any, path: str) -> AliasAction:
    kind: Any = type(given)
    if kind not in KINDS.values():
        if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in KINDS:
            raise _bad(path, f"must be one of {', '.join(KINDS)} with what it is of, not {given!r:.80}")
        name, given = next(iter(given.items()))
        kind = KINDS[name]
    try:
        read: AliasAction = msgspec.convert(msgspec.to_builtins(given), kind)
    except (msgspec.ValidationError, TypeError) as error:
        raise _bad(path, f"is wrong: {error}") from None
    return read


def _bad(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid("BAD_ARGUMENT", message, path)
