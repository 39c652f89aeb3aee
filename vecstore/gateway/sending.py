"""Answers on their way out: compressed where the client asks for it, whole or piece by piece."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

import zstandard

COMPRESS_FROM = 2_048  # bytes: less is not worth the time
IN_THREAD_FROM = 1 << 17  # bytes: more would hold up the event loop
GZIP_LEVEL, ZSTD_LEVEL = 1, 1  # a network that is not the same machine is slower than these

Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Sending:
    """Remembers whether an answer has begun."""

    __slots__ = ("_send", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Any) -> None:
        self.started = True
        await self._send(message)


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def accepted(headers: Mapping[bytes, bytes]) -> str | None:
    """The coding to use, of those that the client accepts: zstd before gzip, unless it prefers otherwise."""
    given = headers.get(b"accept-encoding")
    if not given:
        return None
    weights: dict[str, float] = {}
    for part in given.decode("latin-1").lower().split(","):
        name, _, rest = part.strip().partition(";")
        _, _, weight = rest.partition("q=")
        try:
            weights[name.strip()] = float(weight) if weight else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    other = weights.get("*", 0.0)
    best = max(("zstd", "gzip"), key=lambda name: weights.get(name, other))
    return best if weights.get(best, other) > 0 else None


def compressor(coding: str) -> Compressor:
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
    return zlib.compressobj(GZIP_LEVEL, wbits=31)


def _compressed(body: bytes, coding: str) -> bytes:
    chosen = compressor(coding)
    return chosen.compress(body) + chosen.flush()


async def send_whole(send: Send, status: int, headers: Headers, body: bytes, coding: str | None, bare: bool) -> None:
    """`bare` leaves the body out, as for HEAD."""
    if coding is not None and len(body) >= COMPRESS_FROM:
        if len(body) >= IN_THREAD_FROM:
            body = await asyncio.to_thread(_compressed, body, coding)
        else:
            body = _compressed(body, coding)
        headers += [(b"content-encoding", coding.encode()), (b"vary", b"accept-encoding")]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bare else body})


async def send_pieces(
    send: Send,
    status: int,
    headers: Headers,
    pieces: AsyncIterator[bytes],
    coding: str | None,
    patience_s: float,
    gone: Callable[[], bool] | None,
) -> None:
    """A client that takes nothing for `patience_s` is given up: raises TimeoutError. So is one that is `gone`."""
    chosen = None
    if coding is not None:
        chosen = compressor(coding)
        headers += [(b"content-encoding", coding.encode()), (b"vary", b"accept-encoding")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    async for piece in pieces:
        if gone is not None and gone():
            return
        if chosen is not None:
            piece = chosen.compress(piece)
        if piece:
            async with asyncio.timeout(patience_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    rest = chosen.flush() if chosen is not None else b""
    await send({"type": "http.response.body", "body": rest})
