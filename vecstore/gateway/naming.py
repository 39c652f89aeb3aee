"""What the collection in a path is called itself, looked up once a call, before it is asked whether the key may."""

from __future__ import annotations

from collections.abc import Mapping

from vecstore.access import Principal
from vecstore.client.local import AsyncLocal
from vecstore.client.transport import AsyncTransport
from vecstore.gateway.route import Route


async def settled(
    route: Route, params: Mapping[str, str], principal: Principal, transport: AsyncTransport
) -> Mapping[str, str]:
    """`params` with the collection's own name. Raises PermissionDenied when the key is not for it.

    In front of a server, which looks that up itself, only keys that are limited to some collections need it."""
    given = own = params["collection"]
    if route.by_alias and isinstance(transport, AsyncLocal):
        own = transport.aliases.get(given, given)
    elif route.by_alias and principal.collections is not None:
        own = next((one.collection for one in await transport.list_aliases() if one.alias == given), given)
    principal.check_named(own, given)
    return params if own == given else {**params, "collection": own}
