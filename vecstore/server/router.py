"""From a method's name to its handler; the key is checked here, before any of the body is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from vecstore.errors import Unimplemented
from vecstore.server.auth import ApiKey, refused
from vecstore.server.calls import refusal

# Load balancers ask without a key.
OPEN_METHODS = frozenset({"/grpc.health.v1.Health/Check"})

Handlers = Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]


class Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    def __init__(self, handlers: Handlers, key: ApiKey | None) -> None:
        self._handlers = handlers
        self._key = key
        self._refused = refusal("unauthenticated", refused)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        method: Any = details.method
        metadata: Any = details.invocation_metadata
        if self._key is not None and method not in OPEN_METHODS and not self._key.admits(metadata):
            return self._refused
        handler = self._handlers.get(method)
        return handler if handler is not None else refusal(method, lambda: not_built(method))


def not_built(method: str) -> Unimplemented:
    return Unimplemented(f"{method} is not a call of this server")


class Collector:
    """Stands in for a server to collect the handlers that other packages register on it."""

    def __init__(self) -> None:
        self.handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same handlers come by name below."""

    def add_registered_method_handlers(self, service: str, handlers: Handlers) -> None:
        self.handlers.update({f"/{service}/{name}": handler for name, handler in handlers.items()})
