"""What a route is, and finding the one that a request names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import unquote

import msgspec

from vecstore.access import Action
from vecstore.errors import invalid
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.http_errors import no_route, wrong_method

Handler = Callable[[Call], Awaitable[Any]]


class Scope(Enum):
    """Whose right a call needs beside its action."""

    COLLECTION = "the collection in the path"
    DATABASE = "every collection"
    OWN = "none: the route itself shows no more than the key may see"
    NAMED = "the collections and new names in the body, which the route checks"
    OPEN = "no key at all"


@dataclass(frozen=True, slots=True)
class Example:
    """A request, named, that a server with the example collection answers with the route's status; unless it `needs`
    what that server has not. `lines` are a body of points, one a line."""

    body: Any = None
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    lines: str = ""
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """`body` is the Struct of a JSON body, `query` of the parameters after `?`, `answer` of a JSON answer. `reads` and
    `gives` list other media types of the two. A `stream` is bounded apart from other calls and has no deadline; one
    that is not `admitted` is answered also when the server is full. `by_alias` is false where the collection in the
    path is to be made or dropped: there an alias stands for nothing."""

    method: str
    path: str
    name: str
    summary: str
    action: Action
    handle: Handler
    scope: Scope = Scope.COLLECTION
    body: Any = None
    query: type[msgspec.Struct] | None = None
    answer: Any = None
    status: int = 200
    reads: Sequence[str] = ()
    gives: Sequence[str] = ()
    examples: Mapping[str, Example] = field(default_factory=dict)
    stream: bool = False
    admitted: bool = True
    body_optional: bool = False
    raw_body: bool = False
    by_alias: bool = True

    @property
    def tag(self) -> str:
        parts = self.path.split("/")
        if len(parts) > 4 and parts[2] == "collections":
            if parts[4] == "documents":
                return "documents"
            return "points" if parts[4] in ("points", "import", "export") else "collections"
        if parts[-1] == "estimate":
            return "collections"
        return parts[2] if parts[1] == "v1" else "service"


class Router:
    """Routes by the number of their segments; a segment in braces stands for any text."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str | None, ...], tuple[str, ...], dict[str, Route]]]] = {}
        for route in routes:
            segments = route.path.split("/")
            shape = tuple(None if part.startswith("{") else part for part in segments)
            names = tuple(part[1:-1] for part in segments if part.startswith("{"))
            known = self._by_length.setdefault(len(segments), [])
            for other, other_names, methods in known:
                if other == shape and other_names == names:
                    methods[route.method] = route
                    break
            else:
                known.append((shape, names, {route.method: route}))
        for known in self._by_length.values():
            known.sort(key=lambda one: [part is None for part in one[0]])  # plain segments before any text

    def methods(self, raw_path: str) -> dict[str, Route]:
        """Raises NotFound (ROUTE_NOT_FOUND)."""
        return self._match(raw_path)[0]

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """Raises NotFound (ROUTE_NOT_FOUND), InvalidArgument (METHOD_NOT_ALLOWED, BAD_PATH)."""
        methods, names, values = self._match(raw_path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            raise wrong_method(method, raw_path, methods)
        return route, {name: _text(value, name) for name, value in zip(names, values, strict=True)}

    def _match(self, raw_path: str) -> tuple[dict[str, Route], tuple[str, ...], list[str]]:
        segments = raw_path.split("/")
        for shape, names, methods in self._by_length.get(len(segments), ()):
            values = []
            for wanted, given in zip(shape, segments, strict=True):
                if wanted is None and given:
                    values.append(given)
                elif wanted != given:
                    break
            else:
                return methods, names, values
        raise no_route(raw_path)


def _text(value: str, name: str) -> str:
    if "%" not in value:
        return value
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        message = f"{name} in the path is not UTF-8"
        raise invalid("BAD_PATH", message, name) from None


__all__ = ["Example", "Handler", "Reply", "Route", "Router", "Scope"]
