"""The web console at `/`: pages that were built from `console/` and are shipped with the package. They hold no data and
need no key; what they show comes from the other routes, with the key that the visitor types in."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from vecstore.access import Action
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.http_errors import no_route
from vecstore.gateway.route import Example, Route, Scope

MEDIA = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}
CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", CSP),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),  # asked for again each time, and answered by 304: a new version shows at once
]


@cache
def built() -> dict[str, tuple[bytes, bytes, bytes]]:
    """Each file's bytes, media type and entity tag, by name: nothing else can be asked for."""
    found = {}
    for file in files("vecstore.gateway").joinpath("static").iterdir():
        media = MEDIA.get("." + file.name.rpartition(".")[2])
        if media is not None:
            data = file.read_bytes()
            found[file.name] = data, media, b'W/"%s"' % sha256(data).hexdigest()[:32].encode()
    return found


async def page(call: Call) -> Reply:
    return _file(call, "/", "index.html")


async def file(call: Call) -> Reply:
    return _file(call, "/console/" + call.params["file"], call.params["file"])


def _file(call: Call, path: str, name: str) -> Reply:
    """Raises NotFound (ROUTE_NOT_FOUND) for any other name, and where the console is turned off."""
    known = built().get(name) if call.services.settings.server.console else None
    if known is None:
        raise no_route(path)
    data, media, tag = known
    headers = [*HEADERS, (b"etag", tag)]
    if tag in call.headers.get(b"if-none-match", b""):
        return Reply(b"", 304, media, headers)
    return Reply(data, media=media, headers=headers)


READ = Action.READ

ROUTES = (
    Route("GET", "/", "console", "The web console.", READ, page, Scope.OPEN, gives=("text/html",),
          examples={"it": Example()}, admitted=False),
    Route("GET", "/console/{file}", "console_file", "A part of the web console.", READ, file, Scope.OPEN,
          gives=("text/javascript", "text/css", "text/html", "text/plain", "image/svg+xml"),
          examples={"its licences": Example(params={"file": "licenses.txt"})}, admitted=False),
)  # fmt: skip
