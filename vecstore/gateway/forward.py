"""From a reader process to the writer: a request as it came, over a Unix socket, a connection for each. What the writer
answers goes back as it comes."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools

from vecstore.errors import RETRY_AFTER, Unavailable, VecstoreError
from vecstore.gateway.body import linger
from vecstore.gateway.http_errors import ClientGone
from vecstore.server.forward import RETRY_AFTER_S

PIECE = 1 << 16
PEER = b"x-vecstore-peer"  # the caller, for the writer's log
_NOT_PASSED_ON = frozenset({
    b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"expect", b"transfer-encoding", b"x-request-id", PEER,
})  # fmt: skip
_OWN = frozenset({b"keep-alive", b"transfer-encoding", b"date", b"server"})  # of an answer, said by the server anew


class Connection:
    """One call on its way to the writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sent = False  # all of the request
        self._gone = False  # the client

    async def pass_on(self, scope: Any, request_id: str, receive: Any, send: Any) -> int:
        """The status of the writer's answer, once all of it is sent. Raises Unavailable, ClientGone."""
        sending = asyncio.create_task(self._request(scope, request_id, receive))
        answer = _Answer(bodiless=scope["method"] == "HEAD")
        early = False
        try:
            while not answer.complete:
                data = await self._reader.read(PIECE)
                if not data:
                    raise ConnectionResetError
                answer.feed(data)
                early = not self._sent
                for message in answer.messages(last=not early):
                    await send(message)
        except (OSError, httptools.HttpParserError):
            if self._gone:
                raise ClientGone("the client went away before its answer") from None
            raise _away("the process that writes ended before it answered") from None
        finally:
            sending.cancel()
            self.abort()
        if early:
            await linger(receive)
            await send({"type": "http.response.body", "body": b""})
        return answer.status

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _request(self, scope: Any, request_id: str, receive: Any) -> None:
        chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
        try:
            self._writer.write(_head(scope, request_id, chunked=chunked))
            while (message := await receive())["type"] == "http.request":
                piece = message.get("body", b"")
                if piece:
                    self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if not self._sent and not message.get("more_body", False):
                    if chunked:
                        self._writer.write(b"0\r\n\r\n")
                    self._sent = True
                await self._writer.drain()
        except OSError:  # the writer takes no more: its answer, if there is one, says why
            return
        self._gone = True
        self.abort()


class _Answer:
    """What a response parser calls; gives ASGI's messages."""

    def __init__(self, *, bodiless: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._bodiless = bodiless
        self._headers: list[tuple[bytes, bytes]] = []
        self._head = False  # is complete and not yet given
        self._body: list[bytes] = []
        self.status = 0
        self.complete = False

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in _OWN:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status, self._head = self._parser.get_status_code(), True
        self.complete = self._bodiless

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        self.complete = True

    def messages(self, *, last: bool) -> list[dict[str, Any]]:
        """What came since; the last one ends the answer if it is complete and `last`."""
        found: list[dict[str, Any]] = []
        if self._head:
            self._head = False
            found.append({"type": "http.response.start", "status": self.status, "headers": self._headers})
        if self._body or self.complete:
            more = not (self.complete and last)
            found.append({"type": "http.response.body", "body": b"".join(self._body), "more_body": more})
            self._body.clear()
        return found


class Writer:
    """The way to the writer process."""

    def __init__(self, path: str) -> None:
        """`path` is its Unix socket's."""
        self._path = path

    async def connect(self) -> Connection:
        """Raises Unavailable when it is not there."""
        try:
            return Connection(*await asyncio.open_unix_connection(self._path, limit=PIECE))
        except OSError:
            raise _away("the process that writes is not there now; queries are answered meanwhile") from None


def peer_of(scope: Any) -> str:
    """Who called."""
    host, port = scope.get("client") or ("", 0)
    return f"{host}:{port}"


def _away(message: str) -> VecstoreError:
    return Unavailable(message, metadata={RETRY_AFTER: RETRY_AFTER_S})


def _head(scope: Any, request_id: str, *, chunked: bool) -> bytes:
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    lines = [b"%b %b HTTP/1.1" % (scope["method"].encode(), target), b"x-request-id: " + request_id.encode()]
    lines.append(b"%b: %b" % (PEER, peer_of(scope).encode()))
    lines += [b"%b: %b" % (name, value) for name, value in scope["headers"] if name not in _NOT_PASSED_ON]
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n\r\n"
