"""What the collection in a path is called itself, looked up once a call, before it is asked whether the key may."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from vecstore.access import Principal
from vecstore.client.local import AsyncLocal
from vecstore.client.transport import AsyncTransport
from vecstore.gateway.route import Route


async def settled(
    route: Route, params: Mapping[str, str], principal: Principal, transport: AsyncTransport
) -> Mapping[str, str]:
    """`params` with the collection's own name. Raises PermissionDenied when the key is not for it."""
    given = own = params["collection"]
    if route.by_alias:
        own = await own_name(given, principal, transport)
    principal.check_named(own, given)
    return params if own == given else {**params, "collection": own}


async def own_name(given: str, principal: Principal, transport: AsyncTransport) -> str:
    """In front of a server, which looks that up itself, only keys that are limited to some collections need it."""
    if isinstance(transport, AsyncLocal):
        return transport.aliases.get(given, given)
    if principal.collections is None:
        return given
    return next((one.collection for one in await transport.list_aliases() if one.alias == given), given)


def waits_in(body: Any) -> Iterator[tuple[Mapping[str, int], float]]:
    """The `min_seqs` of a body, of its query, and of each of its queries, with the seconds that each may take."""
    for one in (body, getattr(body, "query", None), *getattr(body, "queries", ())):
        if seqs := getattr(one, "min_seqs", None):
            limit = getattr(one, "timeout_ms", None)
            yield seqs, math.inf if limit is None else limit / 1000
