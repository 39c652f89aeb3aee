"""HTTP/1.1 on one connection: uvicorn's, with bounds on a request's head, which uvicorn leaves to a proxy."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 << 10


class BoundedProtocol(HttpToolsProtocol):
    """A head has to arrive within `head_s` of its first byte (or of the connection), in HEAD_BYTES_MAX; connections
    beyond `connections_max` are closed at once."""

    def __init__(self, config: Any, state: Any, head_s: float, connections_max: int) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._head_s = head_s
        self._connections_max = connections_max
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self._connections_max:
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._wait_for_head()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_arrived()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0

    def send_400_response(self, msg: str) -> None:
        self._refuse(b"400 Bad Request")

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(self._head_s, self._refuse, b"408 Request Timeout")

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: bytes) -> None:
        """Before there is a request to answer: no route, no id, no log line."""
        self._head_arrived()
        if self.transport.is_closing():
            return
        number, _, title = status.partition(b" ")
        body = b'{"type":"about:blank","title":"%s","status":%s}' % (title, number)
        head = b"HTTP/1.1 %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n"
        self.transport.write(head % (status, len(body)) + b"\r\n" + body)
        self.transport.close()
