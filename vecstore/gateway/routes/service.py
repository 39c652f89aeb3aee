"""The server itself: facts, health, and what describes the interface."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec

from vecstore.access import Action
from vecstore.errors import Unavailable
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.naming import own_name
from vecstore.gateway.route import Example, Route, Scope
from vecstore.wire.rest import schemas as s
from vecstore.wire.rest.base import JsonObject


class Health(msgspec.Struct, omit_defaults=True):
    """`collections`: with a key, the state of each collection that it may see."""

    status: str
    collections: dict[str, Any] | None = None


class ReadyQuery(msgspec.Struct):
    collection: str | None = None


async def info(call: Call) -> s.Info:
    facts, who = await call.transport.info(), call.principal
    facts["key"] = {"name": who.name, "role": who.role.name.lower()}
    if who.collections is not None:  # how many others there are, and where, is not for this key
        facts["key"]["collections"] = list(who.collections)
        facts["collections"] = sum(who.may_see(one.name) for one in await call.transport.list_collections())
        facts.pop("path", None)
        facts.pop("epoch", None)
        facts.get("memory", {}).pop("held", None)
    return s.Info(info=facts)


async def alive(call: Call) -> Any:
    return await _page(call, "/livez") or Health(status="alive")


async def healthy(call: Call) -> Any:
    """Raises Unavailable while the server is shutting down."""
    if page := await _page(call, "/healthz"):
        return page
    if call.services.admission.draining.is_set():
        raise Unavailable("the server is shutting down")
    return Health(status="ok")


async def ready(call: Call) -> Any:
    """As `healthy`, and of one collection where one is named; alone, what stands behind the gateway has to answer."""
    if page := await _page(call, "/readyz", {"collection": call.query.collection} if call.query.collection else {}):
        return page
    await call.transport.info()
    if call.query.collection is not None:
        who = call.services.access.authenticate(call.credentials)
        who.check_role(Action.READ)
        own = await own_name(call.query.collection, who, call.transport)
        who.check_named(own, call.query.collection)
        await call.transport.collection_info(own)
    return await healthy(call)


async def metrics(call: Call) -> Reply:
    """Alone: of the gateway's own calls."""
    if page := await _page(call, "/metrics"):
        return page
    accept = call.headers.get(b"accept", b"").decode("latin-1")
    body, media = await call.in_thread(call.services.observer.metrics.render, accept)
    return Reply(body, media=media.encode())


async def _page(call: Call, path: str, query: dict[str, str] | None = None) -> Reply | None:
    pages = call.services.pages
    if pages is None:
        return None
    page = await call.in_thread(pages.find, path, query or {}, call.credentials)
    return None if page is None else Reply(page.body, page.status, page.content_type.encode())


async def openapi(call: Call) -> Reply:
    return Reply(call.services.openapi)


async def docs(call: Call) -> Reply:
    page = files("vecstore.gateway").joinpath("docs.html").read_bytes()
    return Reply(page, media=b"text/html; charset=utf-8", headers=[(b"content-security-policy", CSP)])


CSP = b"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"
READ = Action.READ
ONE = {"it": Example()}

ROUTES = (
    Route("GET", "/v1/info", "info", "Version, kernels, threads.", READ, info, Scope.OWN, answer=s.Info, examples=ONE),
    Route("GET", "/livez", "livez", "Whether the process answers.", READ, alive, Scope.OPEN, answer=Health,
          examples=ONE, admitted=False),
    Route("GET", "/healthz", "healthz", "Whether calls are served.", READ, healthy, Scope.OPEN, answer=Health,
          examples=ONE, admitted=False),
    Route("GET", "/readyz", "readyz", "The same; with a key, the state of each collection, or of one.", READ, ready,
          Scope.OPEN, query=ReadyQuery, answer=JsonObject, examples=ONE, admitted=False),
    Route("GET", "/metrics", "metrics", "Numbers for Prometheus.", READ, metrics, Scope.DATABASE,
          gives=("text/plain",), examples=ONE, admitted=False),
    Route("GET", "/openapi.json", "openapi", "This document.", READ, openapi, Scope.OPEN,
          gives=("application/json",), examples=ONE, admitted=False),
    Route("GET", "/docs", "docs", "This document, for people.", READ, docs, Scope.OPEN, gives=("text/html",),
          examples=ONE, admitted=False),
)  # fmt: skip
