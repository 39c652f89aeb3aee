"""Whether the client is still there while its call is answered; a read for a client that has gone is given up."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from vecstore.gateway.http_errors import ClientGone

LOOK_AFTER_S = 0.005  # a task that looks costs a short call more than it could save


async def until_gone(receive: Any) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Present:
    """Cancels what runs inside of it once the client has closed its connection, and raises ClientGone then. Nothing
    else may receive meanwhile."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.Task[None] | None = None
        self._gone = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._timer = self._loop.call_later(LOOK_AFTER_S, self._look)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._gone and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise ClientGone("the client went away before its answer") from None

    def _look(self) -> None:
        self._watch = self._loop.create_task(until_gone(self._receive))
        self._watch.add_done_callback(self._left)

    def _left(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled() and watch.exception() is None:
            self._gone = True
            self._task.cancel()
