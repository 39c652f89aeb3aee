"""Pages of other origins: off unless the settings name them, so that no web page can make a visitor's browser call a
server on the visitor's machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vecstore.access import Access
from vecstore.access.exposure import is_loopback
from vecstore.gateway.http_errors import foreign_host, foreign_origin

Headers = list[tuple[bytes, bytes]]
MAX_AGE_S = 600
READABLE = b"x-request-id, retry-after, location"


class Origins:
    """`allowed` is a list with commas, such as "https://app.example.org, http://localhost:3000", or "*"."""

    def __init__(self, allowed: str, access: Access) -> None:
        self._allowed = {one.strip().rstrip("/").encode() for one in allowed.split(",") if one.strip()}
        self._access = access

    def check(self, method: str, headers: Mapping[bytes, bytes]) -> Headers:
        """What to add to the answer. Raises PermissionDenied: ORIGIN_NOT_ALLOWED for a page that would change something
        and is none of ours, HOST_NOT_ALLOWED for a name that a page could have turned to this machine (DNS
        rebinding), which only a server without keys has to fear."""
        host = headers.get(b"host", b"")
        if self._access.is_open and host and not is_loopback(_name(host.decode("latin-1"))):
            raise foreign_host(host.decode("latin-1"))
        origin = headers.get(b"origin")
        if origin is None:
            return []
        if origin in self._allowed or b"*" in self._allowed:
            return [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", READABLE),
                (b"vary", b"origin"),
            ]
        own = origin.partition(b"://")[2] == host
        if not own and method not in ("GET", "HEAD", "OPTIONS"):
            raise foreign_origin(origin.decode("latin-1"))
        return []

    def preflight(self, methods: Iterable[str], headers: Mapping[bytes, bytes]) -> Headers:
        """Headers of the answer to OPTIONS."""
        names = ", ".join(sorted({*methods, "OPTIONS"})).encode()
        found: Headers = [(b"allow", names)]
        origin = headers.get(b"origin")
        if origin is not None and (origin in self._allowed or b"*" in self._allowed):
            asked = b"authorization, api-key, content-type, content-encoding, x-request-id, x-timeout-ms"
            found += [
                (b"access-control-allow-methods", names),
                (b"access-control-allow-headers", asked),
                (b"access-control-max-age", b"%d" % MAX_AGE_S),
            ]
        return found


def _name(host: str) -> str:
    """Without the port."""
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
