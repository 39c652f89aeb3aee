"""Who may call: holders of the one API key."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from hashlib import sha256

from vecstore.config import Server
from vecstore.errors import InvalidArgument, Unauthenticated

BEARER = "bearer "


class ApiKey:
    """Keeps the key's hash. A caller gives the key once, as `authorization: Bearer KEY` or as `api-key: KEY`."""

    def __init__(self, key: str) -> None:
        self._digest = sha256(key.encode()).digest()

    def admits(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        """Compared in constant time. Two credentials are refused even if one is right: a proxy in between that checks
        one of them must not be bypassed with the other."""
        given: str | bytes | None = None
        for key, value in metadata:
            if key == "api-key":
                credential = value
            elif key == "authorization":
                text = value if isinstance(value, str) else ""
                credential = text[len(BEARER) :] if text[: len(BEARER)].lower() == BEARER else ""
            else:
                continue
            if given is not None:
                return False
            given = credential
        if given is None:
            return False
        encoded = given.encode() if isinstance(given, str) else given
        return hmac.compare_digest(sha256(encoded).digest(), self._digest)


def refused() -> Unauthenticated:
    return Unauthenticated("give the API key as `authorization: Bearer KEY` or as `api-key: KEY`, once")


def check_exposure(settings: Server) -> None:
    """Raises InvalidArgument (BAD_CONFIG) for a server that others can reach without a key."""
    if not settings.api_key and not is_loopback(settings.host):
        remedy = "set server.api_key (VECSTORE_SERVER_API_KEY) to listen there"
        message = f"server.host={settings.host} is not loopback: {remedy}"
        raise InvalidArgument(message, reason="BAD_CONFIG", metadata={"setting": "server.api_key"})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
