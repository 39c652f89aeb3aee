"""A server that others can reach needs a key."""

from __future__ import annotations

import ipaddress

from vecstore.config import Server
from vecstore.errors import InvalidArgument


def check_exposure(settings: Server) -> None:
    """Raises InvalidArgument (BAD_CONFIG) for a server that others can reach without a key."""
    if not (settings.api_key or settings.keys_file) and not is_loopback(settings.host):
        remedy = "set server.api_key (VECSTORE_SERVER_API_KEY) or server.keys_file to listen there"
        message = f"server.host={settings.host} is not loopback: {remedy}"
        raise InvalidArgument(message, reason="BAD_CONFIG", metadata={"setting": "server.api_key"})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
