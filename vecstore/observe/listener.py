"""A small HTTP server for the pages, where no gateway runs: GET only, one request a connection, all of it bounded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from vecstore.access import Headers
from vecstore.access.certificates import Certificates
from vecstore.errors import IoFailed
from vecstore.observe.pages import Answer, Pages

HEAD_BYTES_MAX = 16 << 10
HEAD_S = 5.0  # the request's head must be there by then
ANSWER_S = 30.0
CONNECTIONS_MAX = 32

log = logging.getLogger("vecstore.observe")


class Listener:
    """Belongs to the event loop that started it."""

    def __init__(self, pages: Pages, certificates: Certificates | None) -> None:
        self._pages = pages
        self._certificates = certificates
        self._open = 0
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Raises IoFailed when the address cannot be listened on."""
        tls = None if self._certificates is None else self._certificates.context()
        try:
            self._server = await asyncio.start_server(
                self._serve, host.strip("[]"), port, limit=HEAD_BYTES_MAX, ssl=tls
            )
        except OSError as error:
            raise IoFailed(f"cannot listen on {host}:{port} for metrics: {error}") from None
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("metrics and health on %s:%d", host, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._certificates is not None:
            self._certificates.renew()  # for the next connection
        self._open += 1
        try:
            if self._open > CONNECTIONS_MAX:
                return
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(ANSWER_S):
                answer, with_body = await self._answer(head)
                writer.write(_encoded(answer, with_body))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # gone, too slow, or no HTTP
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes) -> tuple[Answer, bool]:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        target, _, version = rest.rpartition(" ")
        if not version.startswith("HTTP/1.") or not target.startswith("/"):
            return _text(400, "no request that this server knows"), True
        if method not in ("GET", "HEAD"):
            return _text(405, "GET only"), True
        pairs = [field.partition(":") for field in fields if field]
        headers: Headers = [(name.strip(), value.strip()) for name, _, value in pairs]
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        try:
            answer = await asyncio.to_thread(self._pages.answer, parts.path, query, headers)
        except Exception:
            log.exception("unexpected error in %s", parts.path)
            answer = _text(500, "an unexpected error, which the server has logged")
        return answer or _text(404, "no such page"), method == "GET"


def _text(status: int, text: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", text.encode() + b"\n")


def _encoded(answer: Answer, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (answer.body if with_body else b"")
