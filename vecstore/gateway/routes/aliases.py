"""Aliases: other names of collections, and switching them."""

from __future__ import annotations

from collections.abc import Sequence

from vecstore.access import Action
from vecstore.aliases import Alias, AliasAction, CreateAlias, DeleteAlias, names_given
from vecstore.client.local import AsyncLocal
from vecstore.engine.aliases import no_alias
from vecstore.gateway.call import Call
from vecstore.gateway.route import Example, Route, Scope
from vecstore.gateway.routes.collections import COLLECTION
from vecstore.wire.rest import aliases as w
from vecstore.wire.rest import schemas as s

ALIAS = "/v1/aliases/{alias}"
READ, ADMIN = Action.READ, Action.ADMIN


async def list_all(call: Call) -> w.Aliases:
    return w.aliases_to_json(_seen(call, await call.transport.list_aliases()))


async def list_of_collection(call: Call) -> w.Aliases:
    return w.aliases_to_json(await call.transport.list_aliases(call.collection))


async def get(call: Call) -> w.AliasAnswer:
    return await _get(call, call.params["alias"])


async def put(call: Call) -> w.AliasAnswer:
    alias = call.params["alias"]
    await _update(call, [CreateAlias(alias, call.body.collection)])
    return w.AliasAnswer(alias=alias, collection=call.body.collection)


async def delete(call: Call) -> s.Deleted:
    await _update(call, [DeleteAlias(call.params["alias"])])
    return s.Deleted(deleted=True)


async def update(call: Call) -> w.Aliases:
    return w.aliases_to_json(await _update(call, w.actions_from_json(call.body.actions)))


async def _get(call: Call, alias: str) -> w.AliasAnswer:
    for one in _seen(call, await call.transport.list_aliases()):
        if one.alias == alias:
            return w.AliasAnswer(alias=one.alias, collection=one.collection)
    raise no_alias(alias)


async def _update(call: Call, actions: Sequence[AliasAction]) -> list[Alias]:
    transport, principal = call.transport, call.principal
    principal.check_collections(name for action in actions for name in names_given(action))
    if isinstance(transport, AsyncLocal):
        return await transport.update_aliases(actions, may_see=principal.may_see)
    principal.check_database()  # the server does not know this key, and cannot look what it may see
    return await transport.update_aliases(actions)


def _seen(call: Call, aliases: Sequence[Alias]) -> list[Alias]:
    return [one for one in aliases if call.principal.may_see(one.collection)]


LATEST = {"alias": "latest", "collection": "docs"}

ROUTES = (
    Route("GET", "/v1/aliases", "list_aliases", "Every alias, with the collection that it stands for.", READ, list_all,
          Scope.OWN, answer=w.Aliases, examples={"all": Example()}),
    Route("POST", "/v1/aliases", "update_aliases",
          "Make, delete, rename and swap aliases, all at once: readers see what was before, or all of it.", ADMIN,
          update, Scope.NAMED, body=w.UpdateAliasesBody, answer=w.Aliases, examples={
              "switch": Example({"actions": [{"create": LATEST}]}),
              "there and back": Example({"actions": [
                  {"create": {"alias": "next", "collection": "docs"}},
                  {"rename": {"alias": "next", "new_alias": "new"}},
                  {"swap": {"alias": "new", "other": "latest"}}, {"delete": {"alias": "new"}}]})}),
    Route("GET", ALIAS, "get_alias", "What an alias stands for.", READ, get, Scope.OWN, answer=w.AliasAnswer,
          examples={"latest": Example(params={"alias": "latest"})}),
    Route("PUT", ALIAS, "set_alias", "Let an alias stand for a collection; one that there is, from now on.", ADMIN,
          put, Scope.NAMED, body=w.SetAliasBody, answer=w.AliasAnswer,
          examples={"latest": Example({"collection": "docs"}, {"alias": "latest"})}),
    Route("DELETE", ALIAS, "delete_alias", "Delete an alias; its collection stays.", ADMIN, delete, Scope.OWN,
          answer=s.Deleted, examples={"latest": Example(params={"alias": "latest"})}),
    Route("GET", f"{COLLECTION}/aliases", "list_aliases_of_collection", "The aliases of a collection.", READ,
          list_of_collection, answer=w.Aliases, examples={"docs": Example(params={"collection": "docs"})}),
)  # fmt: skip
