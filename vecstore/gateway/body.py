"""The bytes of a request, within bounds: what is announced to be too large is refused before any of it is read, what
turns out to be is cut off there, before and after decompression."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

import zstandard

from vecstore.errors import InvalidArgument
from vecstore.gateway.http_errors import ClientGone, too_large, unsupported

CODINGS = ("gzip", "zstd")
PIECE = 1 << 16  # bytes that a decoder gives at a time at most
LINGER_S, LINGER_BYTES = 0.5, 1 << 20
WINDOW_BYTES_MAX = 8 << 20  # of zstd: what a decoder may have to remember (RFC 9659)

Receive = Callable[[], Any]


class Decoder(Protocol):
    """Feeds on compressed bytes; gives what they hold, or raises once that is more than `room`."""

    def feed(self, data: bytes, room: int) -> bytes: ...
    def end(self) -> None: ...


def announced(headers: Mapping[bytes, bytes], bound: int) -> None:
    """Refuse by Content-Length. Raises InvalidArgument (LIMIT_EXCEEDED, status 413)."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > bound:
        raise too_large(length.decode()[:40], bound)


async def pieces(headers: Mapping[bytes, bytes], receive: Receive, bound: int | None) -> AsyncIterator[bytes]:
    """The decompressed body, piece by piece; `bound` None for a body of any length.

    Raises InvalidArgument (LIMIT_EXCEEDED; BAD_ENCODING), Cancelled when the client has gone."""
    decoder = decoder_of(headers)
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("the client went away while it was sending")
        piece: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        if decoder is not None and piece:
            piece = decoder.feed(piece, (1 << 62) if bound is None else bound - size)
        size += len(piece)
        if bound is not None and size > bound:
            raise too_large(f"at least {size}", bound)
        if piece:
            yield piece
        if not more:
            if decoder is not None:
                decoder.end()
            return


async def whole(headers: Mapping[bytes, bytes], receive: Receive, bound: int) -> bytes:
    """All of the body; raises as `pieces` does."""
    announced(headers, bound)
    first = None
    rest: list[bytes] = []
    async for piece in pieces(headers, receive, bound):
        if first is None:
            first = piece
        else:
            rest.append(piece)
    return first or b"" if not rest else b"".join([first or b"", *rest])


async def linger(receive: Any) -> None:
    """An answer that came before all of its request is followed by so much reading: a connection that is closed while
    the client still sends is reset, and the answer lost with it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            left = LINGER_BYTES
            while left > 0 and (message := await receive()).get("more_body", False):
                left -= len(message.get("body", b""))


def decoder_of(headers: Mapping[bytes, bytes]) -> Decoder | None:
    """Raises InvalidArgument (UNSUPPORTED_MEDIA_TYPE)."""
    coding = headers.get(b"content-encoding", b"").strip().lower()
    if coding in (b"", b"identity"):
        return None
    if coding in (b"gzip", b"x-gzip"):
        return _Gzip()
    if coding == b"zstd":
        return _Zstd()
    raise unsupported("Content-Encoding", coding.decode("latin-1"), CODINGS)


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes, room: int) -> bytes:
        if self._inner.eof:
            raise _bad_encoding("bytes follow the end of the gzip stream")
        try:
            found = self._inner.decompress(data, min(room + 1, 1 << 62))
        except zlib.error as error:
            raise _bad_encoding(str(error)) from None
        if self._inner.unused_data:
            raise _bad_encoding("bytes follow the end of the gzip stream")
        return found

    def end(self) -> None:
        if not self._inner.eof:
            raise _bad_encoding("the gzip stream ends early")


class _Zstd:
    """Small pieces go in, so that what comes out at a time is bounded: a block of 4 bytes gives 128 KiB at most."""

    STEP = 256

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX).decompressobj()

    def feed(self, data: bytes, room: int) -> bytes:
        found: list[bytes] = []
        size = 0
        try:
            for at in range(0, len(data), self.STEP):
                if self._inner.eof:
                    raise _bad_encoding("bytes follow the end of the zstd frame")
                found.append(self._inner.decompress(data[at : at + self.STEP]))
                if self._inner.unused_data:
                    raise _bad_encoding("bytes follow the end of the zstd frame")
                size += len(found[-1])
                if size > room:
                    break
        except zstandard.ZstdError as error:
            raise _bad_encoding(str(error)) from None
        return b"".join(found)

    def end(self) -> None:
        if not self._inner.eof:
            raise _bad_encoding("the zstd frame ends early")


def _bad_encoding(problem: str) -> InvalidArgument:
    return InvalidArgument(f"the body cannot be decompressed: {problem[:200]}", reason="BAD_ENCODING")
