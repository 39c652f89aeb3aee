"""From the names in a request to collections, once a call: what an alias stands for, and whether the caller may.

The request that goes on names collections as they are called themselves, so that all that follows concerns what was
checked. Where a collection is dropped before the call has got to it, because its alias was switched meanwhile, the call
is made again by what the alias stands for then; nothing had been done of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

from google.protobuf.message import Message

from vecstore.access import Principal
from vecstore.engine.database import Database
from vecstore.engine.reached import seen
from vecstore.errors import NotFound
from vecstore.server.rules import Rule

T = TypeVar("T")
Args = TypeVarTuple("Args")

READ_ON_LOOP_BYTES = 64 << 10  # a larger request is read in a thread


class Names:
    def __init__(self, database: Database, executor: Executor, *, follows: bool) -> None:
        """`follows`: this process shows another one's writes, a moment late."""
        self._database = database
        self._executor = executor
        self._follows = follows

    def own(self, name: str) -> str:
        """As it stands for now, for logs."""
        return self._database.aliases.get(name, name)

    def are_own(self, principal: Principal) -> bool:
        """Whether requests name collections as they are called, and the caller may see all: there is nothing to do."""
        return principal.collections is None and not self._database.aliases and not self._follows

    async def run(
        self, rule: Rule, principal: Principal, data: bytes, remaining_s: float, call: Callable[[bytes], Awaitable[T]]
    ) -> T:
        """What `call` answers to the request by its collections' own names. Raises PermissionDenied, DecodeError."""
        settled = await self._settled(rule, principal, data, remaining_s)
        while True:
            try:
                return await call(settled)
            except NotFound:
                if settled is data:
                    raise
                now = await self._settled(rule, principal, data, remaining_s)
                if now == settled:
                    raise
                settled = now

    async def _settled(self, rule: Rule, principal: Principal, data: bytes, remaining_s: float) -> bytes:
        database = self._database
        if rule.request is None or rule.places is None:
            return data
        if self.are_own(principal):
            return data
        message: Message = await self._apart(data, rule.request.FromString, data)
        if self._follows:  # what an alias stands for is to be looked up among what the caller has seen
            deadline = time.monotonic() + remaining_s
            for seqs in rule.seqs(message):
                await seen(database, seqs, deadline)
        return await self._apart(data, _named, rule, message, principal, database.aliases, data)

    async def _apart(self, data: bytes, work: Callable[[*Args], T], *args: *Args) -> T:
        """In a thread where it takes a while."""
        if len(data) <= READ_ON_LOOP_BYTES:
            return work(*args)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)


def _named(rule: Rule, message: Message, principal: Principal, aliases: Mapping[str, str], data: bytes) -> bytes:
    return message.SerializeToString() if rule.settle(message, principal, aliases) else data
