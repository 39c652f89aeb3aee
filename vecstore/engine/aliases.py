"""Aliases of collections: the table of them, what changes it, and requests by their collections' own names.

The table maps an alias to its collection's name and is replaced whole, so that a request looks at one state of it. Each
alias is a record in the meta family that names its collection by number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from vecstore import validate
from vecstore.aliases import AliasAction, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
from vecstore.config import Limits
from vecstore.engine import keys
from vecstore.engine.collection import Collection
from vecstore.engine.header import decode_meta, encode_meta
from vecstore.errors import AlreadyExists, Corruption, InvalidArgument, NotFound, VecstoreError, invalid, limit_exceeded
from vecstore.grouping import GroupsRequest
from vecstore.storage.interfaces import KV, Delete, Family, Op, Put
from vecstore.types import UpdateBatchRequest

R = TypeVar("R")
Table = Mapping[str, str]  # from an alias to its collection

log = logging.getLogger("vecstore.aliases")


class AliasRecord(msgspec.Struct, frozen=True):
    alias: str
    collection: int  # its number


def by_own_name(request: R, table: Table) -> R:
    """The request, naming its collection as that is called itself. What was asked for by an alias is then done in one
    collection, whatever the alias stands for meanwhile."""
    if not table:
        return request
    given: Any = request
    if isinstance(given, GroupsRequest):
        query = by_own_name(given.query, table)
        changed: Any = given if query is given.query else replace(given, query=query)
        return changed  # type: ignore[no-any-return]
    own = table.get(given.collection)
    if own is None:
        return request
    if isinstance(given, UpdateBatchRequest):
        inner = [replace(one, collection="") if one.collection == given.collection else one for one in given.operations]
        given = replace(given, operations=inner)
    found: R = replace(given, collection=own)
    return found


def changed(
    table: Table,
    actions: Sequence[AliasAction],
    collections: Mapping[str, Collection],
    limits: Limits,
    may_see: Callable[[str], bool],
) -> dict[str, str]:
    """The table after `actions`, each of which sees what those before it leave. An alias of a collection that the
    caller may not see is none to it, but its name is taken. Raises what `Database.update_aliases` does."""
    if not actions:
        raise invalid("EMPTY_BATCH", "actions is empty", "actions")
    if len(actions) > limits.batch_operations_max:
        raise limit_exceeded("batch_operations_max", len(actions), limits.batch_operations_max, path="actions count")
    after = dict(table)
    for place, action in enumerate(actions):
        try:
            _Change(after, collections, limits, may_see).do(action)
        except VecstoreError as error:
            raise error.at(f"actions[{place}]") from None
    return after


class _Change:
    """One action on `table`, which it changes once it has been checked."""

    def __init__(
        self,
        table: dict[str, str],
        collections: Mapping[str, Collection],
        limits: Limits,
        may_see: Callable[[str], bool],
    ) -> None:
        self._table, self._collections, self._limits, self._may_see = table, collections, limits, may_see

    def do(self, action: AliasAction) -> None:
        table = self._table
        match action:
            case CreateAlias(alias, collection):
                self._check_name(alias)
                if alias in table:
                    self._there(alias, taken=True)
                elif len(table) >= self._limits.aliases_max:
                    raise limit_exceeded("aliases_max", len(table) + 1, self._limits.aliases_max)
                self._check_collection(alias, collection)
                table[alias] = collection
            case DeleteAlias(alias):
                self._there(alias)
                del table[alias]
            case RenameAlias(alias, new_alias):
                self._there(alias)
                self._check_name(new_alias)
                if new_alias in table and new_alias != alias:
                    raise _taken(new_alias)
                table[new_alias] = table.pop(alias)
            case SwapAliases(alias, other):
                self._there(alias)
                self._there(other)
                table[alias], table[other] = table[other], table[alias]

    def _check_name(self, alias: str) -> None:
        """Of an alias that is to be."""
        validate.check_name(alias, self._limits, "alias")
        if alias in self._collections:
            raise AlreadyExists(f"alias {alias!r}: a collection has this name", reason="COLLECTION_EXISTS")

    def _check_collection(self, alias: str, collection: str) -> None:
        if collection in self._table or collection == alias:
            why = "is an alias itself: name the collection"
            raise InvalidArgument(f"alias {alias!r}: {collection!r:.80} {why}", reason="ALIAS_OF_ALIAS")
        if collection not in self._collections:
            validate.check_name(collection, self._limits)
            raise no_collection(collection)

    def _there(self, alias: str, *, taken: bool = False) -> None:
        found = self._table.get(alias)
        if found is None or not self._may_see(found):
            if taken:
                raise _taken(alias)
            validate.check_name(alias, self._limits, "alias")
            raise no_alias(alias)


def table_ops(before: Table, after: Table, collections: Mapping[str, Collection]) -> list[Op]:
    """What makes the stored table the new one."""
    ops: list[Op] = [Delete(Family.META, keys.alias(name)) for name in sorted(before.keys() - after.keys())]
    for name, collection in sorted(after.items()):
        if before.get(name) != collection:
            record = AliasRecord(name, collections[collection].number)
            ops.append(Put(Family.META, keys.alias(name), encode_meta(record)))
    return ops


def read_table(kv: KV, collections: Iterable[Collection]) -> dict[str, str]:
    """The stored table. An alias whose collection is gone, or whose name a collection has, is left out: versions
    before aliases could do that. Raises Corruption for a damaged record."""
    names = {one.number: one.record.name for one in collections if not one.record.dropping}
    own = set(names.values())
    table = {}
    for key, value in kv.scan(Family.META, keys.ALIASES_LOW, keys.ALIASES_HIGH):
        record = decode_meta(value, AliasRecord)
        if key != keys.alias(record.alias):
            raise Corruption(f"the record under {key!r} is that of alias {record.alias!r:.80}")
        if record.collection in names and record.alias not in own:
            table[record.alias] = names[record.collection]
        else:
            log.warning("alias %r stands for no collection and is left out", record.alias)
    return table


def no_alias(name: str) -> NotFound:
    return NotFound(f"no alias named {name!r:.80}", reason="ALIAS_NOT_FOUND")


def no_collection(name: str) -> NotFound:
    return NotFound(f"no collection named {name!r:.80}", reason="COLLECTION_NOT_FOUND")


def _taken(alias: str) -> AlreadyExists:
    return AlreadyExists(f"alias {alias!r} exists", reason="ALIAS_EXISTS")
