"""The ASGI application: one path for every call, from the route to the last byte of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from vecstore.access import Action, Principal
from vecstore.access.principal import ANYONE
from vecstore.errors import DeadlineExceeded, NotFound, VecstoreError
from vecstore.gateway import body as bodies
from vecstore.gateway.call import Call, Reply, Services
from vecstore.gateway.decoding import Decoders, header_map, parameters, timeout_s
from vecstore.gateway.forward import PEER, peer_of
from vecstore.gateway.http_errors import ClientGone, RequestTimeout, unsupported
from vecstore.gateway.naming import settled, waits_in
from vecstore.gateway.origin import Origins
from vecstore.gateway.passing import passed_on, room
from vecstore.gateway.presence import Present, until_gone
from vecstore.gateway.problem import code_of, problem_of, typed
from vecstore.gateway.route import Route, Router, Scope
from vecstore.gateway.sending import Headers, Sending, accepted, send_pieces, send_whole
from vecstore.memory.budget import PEAK_COPIES
from vecstore.observe.calls import Observed
from vecstore.server.calls import answer_too_large

IN_THREAD_FROM = 1 << 17  # bytes of a JSON body: to decode more would hold up the event loop
EARLY = frozenset({401, 403, 408, 413, 415, 429, 503})  # may come before all of the body was read
JSON_COPIES = 12  # a number takes 32 bytes as an object of a list, and 4 to 20 as text
JSON_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json\Z")

Seen = Callable[[Mapping[str, int], float], Awaitable[None]]

log = logging.getLogger("vecstore.gateway")


class Gateway:
    """Answers HTTP calls of the routes given."""

    def __init__(self, services: Services, routes: Sequence[Route]) -> None:
        self._services = services
        self._router = Router(routes)
        self._decoders = Decoders()
        self._encode = msgspec.json.Encoder().encode
        self._methods = {route.name: services.observer.method(route.name, waits=route.stream) for route in routes}
        self._unrouted = services.observer.method("unrouted")
        self._origins = Origins(services.settings.server.cors_origins, services.access)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = header_map(scope["headers"])
        found: tuple[Route, dict[str, str]] | None = None
        wrong: VecstoreError | None = None
        own: Headers = []
        try:
            own += self._origins.check(scope["method"], headers)
            path = scope["raw_path"].decode("latin-1")
            if scope["method"] == "OPTIONS":
                allowed = self._origins.preflight(self._router.methods(path), headers)
                await send_whole(send, 204, own + allowed, b"", None, bare=True)
                return
            found = self._router.find(scope["method"], path)
        except VecstoreError as error:
            wrong = error
        method = self._unrouted if found is None else self._methods[found[0].name]
        observed = method.begin(lambda: scope["headers"])
        own.append((b"x-request-id", observed.request_id.encode()))
        sending = Sending(send)
        try:
            if found is None:
                assert wrong is not None
                raise wrong
            code = await self._answer(*found, observed, scope, headers, receive, sending, own)
        except BaseException as error:
            await self._fail(error, observed, scope, own, sending, receive)
        else:
            observed.end(code)

    async def _answer(
        self,
        route: Route,
        params: Mapping[str, str],
        observed: Observed,
        scope: Any,
        headers: Mapping[bytes, bytes],
        receive: Any,
        send: Any,
        own: Headers,
    ) -> str:
        """What the call came to, as gRPC names it."""
        services = self._services
        peer = peer_of(scope)
        if services.writes_shown:  # by way of a reader, who says it
            peer = headers.get(PEER, b"").decode("latin-1") or peer
        observed.facts = lambda: {"peer": peer}
        principal = self._check(route, scope["headers"])
        status = await passed_on(services, route, observed.request_id, scope, headers, receive, send)
        if status is not None:
            return code_of(status)
        given, params = params, await self._settled(route, params, principal)
        query = parameters(scope["query_string"], route.query)
        call = Call(services, params, headers, scope["headers"], principal, query, given=given)
        observed.facts = lambda: {"peer": peer, "key": principal.name, **call.params}
        call.deadline_s = timeout_s(headers) or services.limits.deadline_default_s
        admission = services.admission
        if not route.admitted:
            await self._send(route, await route.handle(call), scope, headers, send, own)
            return "OK"
        enter, leave = room(admission, route)
        enter()
        try:
            if route.stream:
                await self._stream(route, call, scope, receive, send, own)
                return "OK"
            answer = await self._run(route, call, receive)
        finally:
            leave()
        await self._send(route, answer, scope, headers, send, own)
        return "OK"

    async def _run(self, route: Route, call: Call, receive: Any) -> Any:
        """Receive, wait for a slot, decode and run, all in time."""
        budget = call.deadline_s
        data = b""
        if route.body is not None or route.reads:
            data = await self._receive(call.headers, receive)
        deadline = time.monotonic() + budget
        here = Present(receive) if route.action is Action.READ else contextlib.nullcontext()  # a write is finished
        try:
            copies = JSON_COPIES if JSON_TYPE.match(_media(call.headers)) else PEAK_COPIES
            with here, self._services.admission.holding(len(data), copies):
                async with asyncio.timeout(budget):
                    return await self._in_slot(route, call, data, deadline)
        except TimeoutError:
            raise DeadlineExceeded(f"the call took longer than its {budget:g} seconds") from None

    async def _in_slot(self, route: Route, call: Call, data: bytes, deadline: float) -> Any:
        await self._services.admission.wait_slot()
        try:
            call.deadline_s = deadline - time.monotonic()
            if call.deadline_s <= 0:
                raise TimeoutError
            if route.body is not None or route.reads:
                call.body = await self._decode(route, call, data)
            if self._services.seen is not None:
                await self._see(self._services.seen, route, call, deadline)
            answer = await self._encoded(route, await self._handled(route, call))
            await call.shown(route.action)
            return answer
        finally:
            self._services.admission.release_slot()

    async def _see(self, seen: Seen, route: Route, call: Call, deadline: float) -> None:
        """What an alias stands for is looked up anew once this process shows what the caller has seen."""
        for seqs, time_s in waits_in(call.body):
            await seen(seqs, min(deadline, time.monotonic() + time_s))
            call.params = await self._settled(route, call.given, call.principal)

    async def _settled(self, route: Route, params: Mapping[str, str], principal: Principal) -> Mapping[str, str]:
        if route.scope is not Scope.COLLECTION:
            return params
        return await settled(route, params, principal, self._services.transport)

    async def _handled(self, route: Route, call: Call) -> Any:
        """Where an alias was switched and its collection dropped before the call got to it, it is made again: nothing
        had been done of it."""
        while True:
            try:
                return await route.handle(call)
            except NotFound:
                if call.params is call.given:
                    raise
                now = await self._settled(route, call.given, call.principal)
                if now == call.params:
                    raise
                call.params = now

    async def _stream(self, route: Route, call: Call, scope: Any, receive: Any, send: Any, own: Any) -> None:
        limits = self._services.limits
        if route.raw_body:
            call.chunks = _timely(bodies.pieces(call.headers, receive, None), limits.receive_deadline_s)
        elif route.body is not None:
            data = await self._receive(call.headers, receive)
            call.body = await self._decode(route, call, data)
        watch = asyncio.create_task(until_gone(receive)) if call.chunks is None else None
        try:
            answer = await route.handle(call)
            await call.shown(route.action)
            await self._send(route, answer, scope, call.headers, send, own, watch.done if watch else None)
        finally:
            if watch is not None:
                watch.cancel()

    async def _receive(self, headers: Mapping[bytes, bytes], receive: Any) -> bytes:
        limits = self._services.limits
        try:
            with await self._services.admission.receiving.turn(False):
                async with asyncio.timeout(limits.receive_deadline_s):
                    return await bodies.whole(headers, receive, limits.message_bytes_max)
        except TimeoutError:
            bound = f"receive_deadline_s={limits.receive_deadline_s:g}"
            raise RequestTimeout(f"the request was not received within {bound}") from None

    async def _decode(self, route: Route, call: Call, data: bytes) -> Any:
        media = _media(call.headers)
        if media.decode("latin-1") in route.reads:
            return data
        if not data and route.body_optional and not media:
            data = b"{}"
        elif not JSON_TYPE.match(media):
            raise unsupported("Content-Type", media.decode("latin-1"), ("application/json", *route.reads))
        if len(data) < IN_THREAD_FROM:
            return self._decoders.decode(data, route.body)
        return await call.in_thread(self._decoders.decode, data, route.body)

    async def _encoded(self, route: Route, answer: Any) -> Any:
        """Structs as bytes; a Reply whose content is already bytes, or comes in pieces, as it is."""
        if isinstance(answer, bytes):
            return answer
        if isinstance(answer, Reply):
            if not isinstance(answer.content, bytes) and not hasattr(answer.content, "__aiter__"):
                answer.content = self._bounded(self._encode(answer.content))
            return answer
        return self._bounded(self._encode(answer))

    def _bounded(self, data: bytes) -> bytes:
        bound = self._services.limits.message_bytes_max
        if len(data) > bound:
            raise answer_too_large(len(data), bound)
        return data

    def _check(self, route: Route, headers: Any) -> Principal:
        """Key and role, before a byte of the body is read; `_settled` checks the collection."""
        access = self._services.access
        if route.scope is Scope.OPEN:
            return ANYONE
        if route.scope is Scope.DATABASE:
            return access.check(headers, route.action)
        principal = access.authenticate(headers)
        principal.check_role(route.action)
        return principal

    async def _send(
        self,
        route: Route,
        answer: Any,
        scope: Any,
        headers: Any,
        send: Any,
        own: Any,
        gone: Callable[[], bool] | None = None,
    ) -> None:
        answer = await self._encoded(route, answer)
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        status = reply.status or route.status
        out = [*own, (b"content-type", reply.media), *reply.headers]
        coding = accepted(headers)
        if isinstance(reply.content, bytes):
            await send_whole(send, status, out, reply.content, coding, bare=scope["method"] == "HEAD")
            return
        patience_s = self._services.limits.receive_deadline_s
        async with contextlib.aclosing(reply.content):
            await send_pieces(send, status, out, reply.content, coding, patience_s, gone)

    async def _fail(
        self, error: BaseException, observed: Observed, scope: Any, own: Headers, send: Sending, receive: Any
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            observed.end("CANCELLED")
            raise error
        known = typed(error)
        if known.reason == "INTERNAL":
            log.error("unexpected error in request %s", observed.request_id, exc_info=error)
        observed.end(known.grpc_code, known)
        if isinstance(known, ClientGone) or send.started:
            return  # an answer that has begun can only be cut off
        status, headers, body = problem_of(known, observed.request_id)
        early = status in EARLY
        out = [*own, *headers, (b"content-length", b"%d" % len(body))]
        if early:
            out.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": out})
        bare = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": bare, "more_body": early})
        if early:
            await bodies.linger(receive)
            await send({"type": "http.response.body", "body": b""})


def _media(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").split(b";")[0].strip().lower()


async def _timely(chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Each piece has to come within `seconds`."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RequestTimeout(f"nothing was received within receive_deadline_s={seconds:g}") from None
        yield piece
