"""/metrics, /livez, /healthz and /readyz as functions from a path and headers to an answer, for any HTTP server.

Whether the server lives and is ready, anybody who reaches it may ask, as load balancers do. Names and numbers of
collections are for keys: /metrics needs one that is for the whole database; /readyz shows what a key may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from vecstore.access import Access, Action, Headers, Principal
from vecstore.errors import NotFound, VecstoreError
from vecstore.observe.health import Health, answers
from vecstore.observe.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


class Pages:
    """Asking takes milliseconds (`answer` blocks): call it from a thread."""

    def __init__(self, metrics: Metrics, health: Health, access: Access) -> None:
        self._metrics = metrics
        self._health = health
        self._access = access

    def answer(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """None for a path that is none of ours."""
        try:
            return self.find(path, query, headers)
        except VecstoreError as error:
            return _problem(error)

    def find(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """As `answer`, but errors are raised, for doors that have a form for them."""
        headers = list(headers)
        if path == "/livez":
            return _json(200, {"status": "alive"})
        if path == "/healthz":
            return self._serving({})
        if path == "/readyz":
            return self._ready(query.get("collection"), headers)
        if path == "/metrics":
            self._access.check(headers, Action.READ)
            body, content_type = self._metrics.render(_accept(headers))
            return Answer(200, content_type, body)
        return None

    def _serving(self, more: Mapping[str, Any]) -> Answer:
        if self._health.is_draining():
            return _json(503, {"status": "draining"})
        return _json(200, {"status": "ok", **more})

    def _ready(self, name: str | None, headers: Headers) -> Answer:
        """The server's readiness is not that of each collection: one that is damaged must not take the others out of
        service. Ask for it with `?collection=NAME`."""
        if name is not None:
            own = self._health.own(name)
            who = self._access.authenticate(headers)
            who.check_role(Action.READ)
            who.check_named(own, name)
            found = self._health.collections().get(own)
            if found is None:
                raise NotFound(f"no collection named {name!r:.80}", reason="COLLECTION_NOT_FOUND")
            ready = answers(found["state"]) and not self._health.is_draining()
            return _json(200 if ready else 503, found)
        principal = self._principal(headers)
        if principal is None:
            return self._serving({})
        shown = {name: found for name, found in self._health.collections().items() if principal.may_see(name)}
        return self._serving({"collections": shown})

    def _principal(self, headers: Headers) -> Principal | None:
        try:
            return self._access.authenticate(headers)
        except VecstoreError:
            return None


def _accept(headers: Headers) -> str:
    for name, value in headers:
        if (name if isinstance(name, str) else name.decode("latin-1")).lower() == "accept":
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""


def _json(status: int, value: object) -> Answer:
    return Answer(status, "application/json", msgspec.json.encode(value) + b"\n")


def _problem(error: VecstoreError) -> Answer:
    """RFC 9457."""
    body = {"status": error.http_status, "title": error.reason, "reason": error.reason, "detail": error.message}
    return Answer(error.http_status, "application/problem+json", msgspec.json.encode(body) + b"\n")
