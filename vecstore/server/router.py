"""From a method's name to its handler; key and role are checked here, before any of the body is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from vecstore.access import Access
from vecstore.errors import Unimplemented, VecstoreError
from vecstore.observe.calls import Observer
from vecstore.server.calls import Call, refusal
from vecstore.server.rules import OPEN_METHODS

Handlers = Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]


UNKNOWN = "unknown"  # in metrics, where a caller must not be able to make up names


class Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """`calls` are ours; `foreign` are health checking and reflection."""

    def __init__(self, calls: Mapping[str, Call], foreign: Handlers, access: Access, observer: Observer) -> None:
        self._calls = calls
        self._foreign = foreign
        self._access = access
        self._observer = observer

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        method: Any = details.method
        metadata: Any = details.invocation_metadata
        if method in OPEN_METHODS:
            return self._foreign[method]
        call = self._calls.get(method)
        try:
            principal = self._access.authenticate(metadata)
            if call is not None:
                principal.check_role(call.action)
                return call.handler_for(principal)
            if method in self._foreign:
                return self._foreign[method]
            raise not_built(method)
        except VecstoreError as error:
            name = UNKNOWN if call is None else call.name
            return refusal(self._observer.method(name), error)


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
