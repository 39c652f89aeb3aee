"""One call as a route's coroutine sees it, and what it may answer with."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from vecstore.access import Access, Action, Principal
from vecstore.client.transport import AsyncTransport
from vecstore.config import Limits, Settings
from vecstore.gateway.forward import Writer
from vecstore.observe.calls import Observer
from vecstore.observe.pages import Pages
from vecstore.server.admission import Admission
from vecstore.types import WriteRequest, WriteResult

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Services:
    """What the routes work with: the same of all calls. `executor` runs what would hold up the event loop.

    Of several processes: `shown` is what to wait for (in a thread) before a change of schemas is answered where others
    follow this one; `writes_shown` says that this is the writer of readers that answer REST, so that it is waited for
    after every write. A reader passes on to the `writer`, and `seen` waits until it shows the seqs of collections, or
    to a deadline of time.monotonic()."""

    transport: AsyncTransport
    settings: Settings
    access: Access
    admission: Admission
    executor: Executor
    observer: Observer
    pages: Pages | None = None  # alone, in front of a server, there are none
    shown: Callable[[], None] | None = None
    writes_shown: bool = False
    writer: Writer | None = None
    seen: Callable[[Mapping[str, int], float], Awaitable[None]] | None = None
    openapi: bytes = b""

    @property
    def limits(self) -> Limits:
        return self.settings.limits


@dataclass(slots=True)
class Call:
    """`params` are the path's, with the collection's own name, and `given` as they came; `credentials` every header as
    it came, `query` the Struct of what stands after `?`, `body` the decoded body (or its bytes, where the route takes
    them as they are), `deadline_s` the seconds that were left when it began."""

    services: Services
    params: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    credentials: list[tuple[str | bytes, str | bytes]]
    principal: Principal
    query: Any = None
    body: Any = None
    deadline_s: float = 0.0
    chunks: AsyncIterator[bytes] | None = None
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def collection(self) -> str:
        return self.params["collection"]

    @property
    def transport(self) -> AsyncTransport:
        return self.services.transport

    @property
    def limits(self) -> Limits:
        return self.services.limits

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.services.executor, functools.partial(work, *args, **kwargs))

    async def shown(self, action: Action) -> None:
        """Before what this call changed is answered: the processes that follow show it."""
        services = self.services
        if services.shown is not None and (
            action is Action.ADMIN or (action is Action.WRITE and services.writes_shown)
        ):
            await self.in_thread(services.shown)

    async def write(self, request: WriteRequest) -> WriteResult:
        """What the request waits for has to be there before the call's deadline."""
        if request.wait is None:
            return await self.transport.write(request)
        request.wait = request.wait.within(self.deadline_s)
        with self.services.admission.idle():
            return await self.transport.write(request)

    def bound_time(self, timeout_s: float | None) -> float:
        """The engine stops at the request's own timeout or at the call's deadline, whichever comes first."""
        return self.deadline_s if timeout_s is None else min(timeout_s, self.deadline_s)


@dataclass(slots=True)
class Reply:
    """An answer that is more than a Struct with the route's status: `content` is a Struct, bytes of a media type, or
    an iterator of pieces of one."""

    content: Any
    status: int | None = None
    media: bytes = b"application/json"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
