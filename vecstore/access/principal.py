"""Who makes a call, and what they may do. Roles are ordered: each may do all that the one before may."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from vecstore.errors import PermissionDenied

T = TypeVar("T")


class Action(enum.IntEnum):
    """What a call does. A key's role is the highest action that it may take."""

    READ = 1  # points, queries, schemas, statistics, operations
    WRITE = 2  # points and payloads
    ADMIN = 3  # collections, indexes, snapshots, maintenance


@dataclass(frozen=True, slots=True)
class Principal:
    """`collections` are names and prefixes that end in `*`; None means all of them and the database as a whole.

    What a key may see is decided by a collection's name alone, before anybody looks whether there is one. So to a key
    limited to others, a collection that exists and one that does not are the same.
    """

    name: str
    role: Action
    collections: tuple[str, ...] | None = None
    key_id: str | None = None  # of a key in the file

    def may_see(self, collection: str) -> bool:
        if self.collections is None:
            return True
        for pattern in self.collections:
            if collection == pattern or (pattern.endswith("*") and collection.startswith(pattern[:-1])):
                return True
        return False

    def check_role(self, action: Action) -> None:
        """Raises PermissionDenied when the role does not reach to `action`."""
        if self.role < action:
            message = f"key {self.name!r} has the role {self.role.name.lower()}, this needs {action.name.lower()}"
            raise PermissionDenied(message, metadata={"role": self.role.name.lower(), "needs": action.name.lower()})

    def check_collections(self, names: Iterable[str]) -> None:
        """Raises PermissionDenied at the first collection that the key is not for."""
        if self.collections is None:
            return
        for name in names:
            self.check_named(name, name)

    def check_named(self, collection: str, called: str) -> None:
        """Raises PermissionDenied when the key is not for the collection; it is `called` so, which tells no more than
        the caller knew."""
        if not self.may_see(collection):
            raise PermissionDenied(f"key {self.name!r} is not for collection {called!r:.80}")

    def check_database(self) -> None:
        """For what concerns every collection at once. Raises PermissionDenied when the key is limited to some."""
        if self.collections is not None:
            raise PermissionDenied(f"key {self.name!r} is for some collections only; this concerns all: name one")

    def own_stats(self, stats: dict[str, Any]) -> dict[str, Any]:
        """What the key is told of a collection: what all indexes take is not for one that is limited to some."""
        return stats if self.collections is None else {k: v for k, v in stats.items() if k != "index_bytes"}

    def seen(self, named: Sequence[tuple[str, T]]) -> list[T]:
        """Those of (collection, thing) whose collection the key may see."""
        return [thing for name, thing in named if self.may_see(name)]


# Callers of a server without keys, which listens on the loopback address only.
ANYONE = Principal("anyone", Action.ADMIN)
