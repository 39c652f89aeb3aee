"""What the collection in a path is called itself, where the gateway is alone in front of a server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateway_support import BY_NAME

from vecstore.access import Action, Principal
from vecstore.aliases import Alias
from vecstore.errors import PermissionDenied
from vecstore.gateway.naming import settled


class Server:
    """A transport that counts what it is asked."""

    asked = 0

    async def list_aliases(self) -> list[Alias]:
        self.asked += 1
        return [Alias("docs", "secret"), Alias("own", "docs_v2")]


def look_up(server: Any, principal: Principal, name: str, route: str = "count_points") -> str:
    return asyncio.run(settled(BY_NAME[route], {"collection": name}, principal, server))["collection"]


def test_keys_of_some_collections_are_asked_about_the_collection_itself() -> None:
    server = Server()
    limited = Principal("limited", Action.ADMIN, ("docs*",))
    assert look_up(server, limited, "own") == "docs_v2"
    with pytest.raises(PermissionDenied, match="not for collection 'docs'"):
        look_up(server, limited, "docs")
    assert server.asked == 2
    assert look_up(server, limited, "docs", "create_collection") == "docs"
    assert look_up(server, Principal("all", Action.READ), "own") == "own"  # the server looks it up
    assert server.asked == 2
