"""Errors that only HTTP has: each a class of the one tree with a status of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from vecstore.errors import Cancelled, DeadlineExceeded, InvalidArgument, NotFound, PermissionDenied


class MethodNotAllowed(InvalidArgument):
    http_status = 405
    default_reason = "METHOD_NOT_ALLOWED"
    allowed: ClassVar[tuple[str, ...]] = ()


class BodyTooLarge(InvalidArgument):
    http_status = 413
    default_reason = "LIMIT_EXCEEDED"


class UnsupportedMediaType(InvalidArgument):
    http_status = 415
    default_reason = "UNSUPPORTED_MEDIA_TYPE"


class ClientGone(Cancelled):
    """There is nobody to tell."""


class RequestTimeout(DeadlineExceeded):
    """The client took too long to send its request."""

    http_status = 408


def no_route(path: str) -> NotFound:
    return NotFound(f"no route {path[:200]}: see /docs", reason="ROUTE_NOT_FOUND")


def wrong_method(method: str, path: str, allowed: Iterable[str]) -> MethodNotAllowed:
    names = ", ".join(sorted(allowed))
    return MethodNotAllowed(f"{method[:20]} does not apply to {path[:200]}: {names}", metadata={"allow": names})


def too_large(size: int | str, bound: int) -> BodyTooLarge:
    message = f"the body has {size} bytes, which exceeds message_bytes_max={bound}"
    return BodyTooLarge(message, metadata={"limit": "message_bytes_max", "bound": bound, "value": size})


def unsupported(what: str, given: str, known: Iterable[str]) -> UnsupportedMediaType:
    return UnsupportedMediaType(f"{what} {given[:100]!r} is not known here; send one of: {', '.join(known)}")


def foreign_origin(origin: str) -> PermissionDenied:
    message = f"a page of origin {origin[:200]!r} may not call this server: see server.cors_origins"
    return PermissionDenied(message, reason="ORIGIN_NOT_ALLOWED")


def foreign_host(host: str) -> PermissionDenied:
    message = f"a server without keys answers on loopback names only, not as {host[:200]!r}"
    return PermissionDenied(message, reason="HOST_NOT_ALLOWED")
