"""Who calls a tool, and the client that acts for them.

Over stdio the caller is whoever started the process. Over HTTP a caller gives a key: for a database in this process it
is one of the server's own keys (`vecstore.access`), for another server it is passed on, and that server decides.
"""

from __future__ import annotations

from typing import Any, Protocol

from vecstore.access import Access, Action, Headers, Principal
from vecstore.access.credentials import given
from vecstore.access.principal import ANYONE
from vecstore.client._async.client import AsyncClient


class Callers(Protocol):
    def admit(self, headers: Headers) -> None:
        """Raises Unauthenticated for a request that need not be read."""

    def client(self, request: Any, action: Action, collection: str | None) -> tuple[AsyncClient, Principal]:
        """For a tool: raises Unauthenticated and PermissionDenied. `request` is that of HTTP, None over stdio. Without
        a collection, the principal says which ones may be seen."""

    async def reach(self, request: Any, action: Action, collection: str) -> tuple[AsyncClient, str]:
        """The same for a collection that may be named by an alias, with the name to go on by."""


class Trusted:
    """Everybody who reaches it."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def admit(self, headers: Headers) -> None:
        pass

    def client(self, request: Any, action: Action, collection: str | None) -> tuple[AsyncClient, Principal]:
        return self._client, ANYONE

    async def reach(self, request: Any, action: Action, collection: str) -> tuple[AsyncClient, str]:
        return self._client, collection


class Keyed:
    """Callers with keys for the database in this process."""

    def __init__(self, client: AsyncClient, access: Access) -> None:
        self._client, self._access = client, access

    def admit(self, headers: Headers) -> None:
        self._access.authenticate(headers)

    def client(self, request: Any, action: Action, collection: str | None) -> tuple[AsyncClient, Principal]:
        who = self._access.authenticate(request.headers.raw)
        return self._client, who if collection is None else self._access.check(who, action, collection)

    async def reach(self, request: Any, action: Action, collection: str) -> tuple[AsyncClient, str]:
        """By its own name: keys are for collections, whatever an alias stands for by the time that the tool asks."""
        who = self._access.authenticate(request.headers.raw)
        who.check_role(action)
        aliases = {one.alias: one.collection for one in await self._client.list_aliases()}
        own = aliases.get(collection, collection)
        who.check_named(own, collection)
        return self._client, own


class PassedOn:
    """Callers with keys for the server that `client` is connected to; those without are `or_else`, or nobody."""

    def __init__(self, client: AsyncClient, or_else: Callers | None = None) -> None:
        self._client, self._or_else = client, or_else

    def admit(self, headers: Headers) -> None:
        if self._or_else is None or names_key(headers):
            given(headers)

    def client(self, request: Any, action: Action, collection: str | None) -> tuple[AsyncClient, Principal]:
        headers = request.headers.raw
        if self._or_else is not None and not names_key(headers):
            return self._or_else.client(request, action, collection)
        return self._client.with_key(given(headers).decode("utf-8", "surrogateescape")), ANYONE

    async def reach(self, request: Any, action: Action, collection: str) -> tuple[AsyncClient, str]:
        return self.client(request, action, collection)[0], collection


def names_key(headers: Headers) -> bool:
    """Whether there is a header that keys are given in, whatever it holds."""
    return any(name.lower() in (b"authorization", b"api-key") for name, _ in headers if isinstance(name, bytes))
