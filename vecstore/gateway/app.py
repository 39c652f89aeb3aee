"""The ASGI application: one path for every call, from the route to the last byte of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from vecstore.access import Principal
from vecstore.access.principal import ANYONE
from vecstore.errors import Cancelled, DeadlineExceeded, VecstoreError
from vecstore.gateway import body as bodies
from vecstore.gateway.call import Call, Reply, Services
from vecstore.gateway.decoding import Decoders, header_map, parameters
from vecstore.gateway.http_errors import RequestTimeout, unsupported
from vecstore.gateway.origin import Origins
from vecstore.gateway.problem import problem_of, typed
from vecstore.gateway.route import Route, Router, Scope
from vecstore.gateway.sending import accepted, send_pieces, send_whole
from vecstore.server.calls import answer_too_large
from vecstore.wire.errors import cut
from vecstore.wire.rest.base import bad_argument

SLOW_S = 1.0  # calls that take longer are logged
IN_THREAD_FROM = 1 << 17  # bytes of a JSON body: to decode more would hold up the event loop
LINGER_S = 0.5  # an early refusal is followed by so much reading, so that the client gets to see it
REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}\Z")
JSON_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json\Z")

log = logging.getLogger("vecstore.gateway")


class Gateway:
    """Answers HTTP calls of the routes given."""

    def __init__(self, services: Services, routes: Sequence[Route]) -> None:
        self._services = services
        self._router = Router(routes)
        self._decoders = Decoders()
        self._encode = msgspec.json.Encoder().encode
        metrics = services.metrics
        self._meters = {} if metrics is None else {one.name: metrics.meter("rest", one.name) for one in routes}
        self._origins = Origins(services.settings.server.cors_origins, services.access)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        headers = header_map(scope["headers"])
        request_id = _request_id(headers)
        own: list[tuple[bytes, bytes]] = [(b"x-request-id", request_id)]
        state = _State()

        async def sending(message: Any) -> None:
            state.started = True
            await send(message)

        name, meter, code = scope["method"], None, "OK"
        try:
            own += self._origins.check(scope["method"], headers)
            raw_path = scope["raw_path"].decode("latin-1")
            if scope["method"] == "OPTIONS":
                methods = self._router.methods(raw_path)
                await send_whole(sending, 204, own + self._origins.preflight(methods, headers), b"", None, bare=True)
                return
            route, params = self._router.find(scope["method"], raw_path)
            name = route.name
            meter = self._meters.get(name)
            await self._answer(route, params, scope, headers, receive, sending, own)
        except BaseException as error:
            seconds = time.perf_counter() - started
            code = "CANCELLED" if isinstance(error, asyncio.CancelledError) else typed(error).grpc_code
            await self._fail(error, name, request_id, scope, state, own, sending, receive, seconds)
        else:
            if time.perf_counter() - started > SLOW_S and not route.stream:
                _log(logging.WARNING, "slow", name, request_id, scope, time.perf_counter() - started)
        finally:
            if meter is not None:
                meter.done(code, time.perf_counter() - started)

    async def _answer(
        self,
        route: Route,
        params: Mapping[str, str],
        scope: Any,
        headers: Mapping[bytes, bytes],
        receive: Any,
        send: Any,
        own: list[tuple[bytes, bytes]],
    ) -> None:
        services = self._services
        principal = self._check(route, params, scope["headers"])
        query = parameters(scope["query_string"], route.query)
        call = Call(services, params, headers, scope["headers"], principal, query)
        admission = services.admission
        if not route.admitted:
            await self._send(route, await route.handle(call), scope, headers, send, own)
            return
        enter, leave = (
            (admission.enter_stream, admission.leave_stream)
            if route.stream
            else (admission.enter_call, admission.leave_call)
        )
        enter()
        try:
            if route.stream:
                await self._stream(route, call, scope, receive, send, own)
                return
            answer = await self._run(route, call, receive)
        finally:
            leave()
        await self._send(route, answer, scope, headers, send, own)

    async def _run(self, route: Route, call: Call, receive: Any) -> Any:
        """Receive, wait for a slot, decode and run, all in time."""
        limits = self._services.limits
        budget = _timeout_s(call.headers) or limits.deadline_default_s
        data = b""
        if route.body is not None or route.reads:
            data = await self._receive(call.headers, receive)
        deadline = time.monotonic() + budget
        try:
            async with asyncio.timeout(budget):
                await self._services.admission.wait_slot()
                try:
                    call.deadline_s = deadline - time.monotonic()
                    if call.deadline_s <= 0:
                        raise TimeoutError
                    if route.body is not None or route.reads:
                        call.body = await self._decode(route, call, data)
                    answer = await route.handle(call)
                    return await self._encoded(route, answer)
                finally:
                    self._services.admission.release_slot()
        except TimeoutError:
            raise DeadlineExceeded(f"the call took longer than its {budget:g} seconds") from None

    async def _stream(self, route: Route, call: Call, scope: Any, receive: Any, send: Any, own: Any) -> None:
        limits = self._services.limits
        if route.raw_body:
            call.chunks = _timely(bodies.pieces(call.headers, receive, None), limits.receive_deadline_s)
        elif route.body is not None:
            data = await self._receive(call.headers, receive)
            call.body = await self._decode(route, call, data)
        call.deadline_s = limits.deadline_default_s
        watch = asyncio.create_task(_until_gone(receive)) if call.chunks is None else None
        try:
            answer = await route.handle(call)
            await self._send(route, answer, scope, call.headers, send, own, watch.done if watch else None)
        finally:
            if watch is not None:
                watch.cancel()

    async def _receive(self, headers: Mapping[bytes, bytes], receive: Any) -> bytes:
        limits = self._services.limits
        try:
            async with asyncio.timeout(limits.receive_deadline_s):
                return await bodies.whole(headers, receive, limits.message_bytes_max)
        except TimeoutError:
            bound = f"receive_deadline_s={limits.receive_deadline_s:g}"
            raise RequestTimeout(f"the request was not received within {bound}") from None

    async def _decode(self, route: Route, call: Call, data: bytes) -> Any:
        media = call.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
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

    def _check(self, route: Route, params: Mapping[str, str], headers: Any) -> Principal:
        """Key, role and collection, before a byte of the body is read."""
        access = self._services.access
        if route.scope is Scope.OPEN:
            return ANYONE
        if route.scope is Scope.COLLECTION:
            return access.check(headers, route.action, params["collection"])
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
        self,
        error: BaseException,
        name: str,
        request_id: bytes,
        scope: Any,
        state: _State,
        own: list[tuple[bytes, bytes]],
        send: Any,
        receive: Any,
        seconds: float,
    ) -> None:
        known = typed(error)
        if known.reason == "INTERNAL":
            log.error("unexpected error in %s", name, exc_info=error)
        _log(logging.INFO, "failed", name, request_id, scope, seconds, known)
        if isinstance(known, Cancelled) and "went away" in known.message:
            return
        if state.started:
            return  # the answer has begun: to cut it off is all that is left
        status, headers, body = problem_of(known, request_id.decode("ascii"))
        early = status in (401, 403, 408, 413, 415, 429, 503)
        out = [*own, *headers, (b"content-length", b"%d" % len(body))]
        if early:
            out.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": out})
        bare = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": bare, "more_body": early})
        if early:
            # A connection that is closed while the client still sends is reset, and the answer lost with it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    while (await receive()).get("more_body", False):
                        pass
            await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Any) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _State:
    __slots__ = ("started",)

    def __init__(self) -> None:
        self.started = False


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


def _request_id(headers: Mapping[bytes, bytes]) -> bytes:
    given = headers.get(b"x-request-id")
    if given is not None and REQUEST_ID.match(given):
        return given
    return os.urandom(8).hex().encode()


def _timeout_s(headers: Mapping[bytes, bytes]) -> float | None:
    """Raises InvalidArgument (BAD_ARGUMENT)."""
    given = headers.get(b"x-timeout-ms")
    if given is None:
        return None
    if not given.isdigit() or not 0 < int(given[:20]) < 1 << 53:
        raise bad_argument("X-Timeout-Ms", f"is {given[:40]!r}, not a number of milliseconds")
    return int(given) / 1000


def _log(
    level: int, event: str, name: str, request_id: bytes, scope: Any, seconds: float, error: VecstoreError | None = None
) -> None:
    if not log.isEnabledFor(level):
        return
    peer = scope.get("client")
    line: dict[str, Any] = {
        "event": event,
        "route": name,
        "request_id": request_id.decode("ascii"),
        "peer": f"{peer[0]}:{peer[1]}" if peer else "",
        "ms": round(seconds * 1000, 2),
    }
    if error is not None:
        line.update(status=error.http_status, reason=error.reason, message=cut(error.message, 500))
    log.log(level, "%s", msgspec.json.encode(line).decode())
