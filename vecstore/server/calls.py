"""One wrapper around every call: room, receiving, deadline, the caller's collections, errors, log.

Calls with one request are registered as streaming ones, because gRPC would otherwise read their body before our code
runs; that way nothing is received from a caller for whom there is no room, and receiving has a deadline. Bodies go in
and out as bytes, so that messages are parsed after all checks, and a message that cannot be parsed is INVALID_ARGUMENT.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from vecstore.access import Action, Principal
from vecstore.config import Limits
from vecstore.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable, VecstoreError
from vecstore.observe.calls import Method, Observed, Observer
from vecstore.observe.describe import query_summary
from vecstore.pb.v1 import points_pb2
from vecstore.server.admission import Admission
from vecstore.server.forward import LOCAL, MEANWHILE, Writer
from vecstore.server.names import Names
from vecstore.server.receiving import LARGE
from vecstore.server.rules import RULES, Rule
from vecstore.wire.errors import status_of
from vecstore.wire.reads import query_from_pb

PROTOCOL = "grpc"
NAMES_CHARACTERS_MAX = 255  # of the collections of a batch, in a log

log = logging.getLogger("vecstore.server")

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Blocking = Callable[[bytes], bytes]  # request to answer, in a thread
Filtering = Callable[[bytes, Principal], bytes]  # as Blocking; looks itself at what the caller may see
Asynchronous = Callable[[bytes, float], Awaitable[bytes]]  # request and seconds left to answer, on the loop
Running = Callable[[bytes, float, Principal, Context], Awaitable[bytes]]  # any of them
Streaming = Callable[[Context, Principal], Awaitable[None]]  # checks each message itself


@dataclass(frozen=True, slots=True)
class Call:
    """A call, the role that it needs, and how to get the handler that runs it for one caller."""

    name: str
    action: Action
    handler_for: Callable[[Principal], Handler]


class Calls:
    """Makes calls out of service methods; `name` is the one in `rules`."""

    def __init__(
        self,
        limits: Limits,
        admission: Admission,
        executor: Executor,
        observer: Observer,
        names: Names,
        shown: Callable[[], None] | None = None,
        writer: Writer | None = None,
    ) -> None:
        """`shown`: what to wait for (in a thread) before a change of schemas is answered. `writer`: the process that
        answers what this one only follows."""
        self._limits = limits
        self._shown = shown
        self._writer = writer
        self._observer = observer
        self._names = names
        self._admission = admission
        self._executor = executor

    def blocking(self, name: str, method: Blocking) -> Call:
        """A call that runs in a thread of the pool."""
        return self.filtering(name, lambda request, _: method(request))

    def filtering(self, name: str, method: Filtering) -> Call:
        """The same for one that looks itself at what the caller may see."""
        loop, executor = asyncio.get_running_loop(), self._executor

        async def in_thread(request: bytes, _remaining_s: float, principal: Principal, _: Context) -> bytes:
            return await loop.run_in_executor(executor, method, request, principal)

        return self._unary(name, in_thread)

    def unary(self, name: str, method: Asynchronous) -> Call:
        """A call that runs on the event loop."""

        def on_loop(request: bytes, remaining_s: float, _: Principal, _context: Context) -> Awaitable[bytes]:
            return method(request, remaining_s)

        return self._unary(name, on_loop)

    def _unary(self, name: str, method: Running) -> Call:
        method = self._placed(name, method)
        admission, limits, loop, rule = self._admission, self._limits, asyncio.get_running_loop(), RULES[name]
        own = self._names.own
        observing = self._observer.method(name)
        bytes_max, receive_s, default_s = limits.message_bytes_max, limits.receive_deadline_s, limits.deadline_default_s
        too_slow = f"the request was not received within receive_deadline_s={receive_s:g}"
        too_long = f"the call took longer than deadline_default_s={default_s:g}"
        large = name in LARGE

        async def handle(principal: Principal, _requests: object, context: Context) -> bytes:
            observed = observing.begin(context.invocation_metadata)
            expiry = _Expiry(loop, receive_s, too_slow)
            try:
                return await answered(principal, context, observed, expiry)
            except BaseException as error:
                expiry.stop()
                await _fail(observed, context, expiry.translate(error))
                return b""  # not reached
            finally:
                expiry.stop()

        async def answered(principal: Principal, context: Context, observed: Observed, expiry: _Expiry) -> bytes:
            """In a frame of its own, which `_fail` empties of requests and answers."""
            admission.enter_call()
            try:
                with await admission.receiving.turn(large):
                    request = await context.read()
                expiry.stop()
                if not isinstance(request, bytes):
                    raise InvalidArgument("the call ended without a request message")
                remaining_s = context.time_remaining()
                if remaining_s is None:  # otherwise gRPC itself cancels this task at the deadline
                    remaining_s = default_s
                    expiry.restart(default_s, too_long)
                deadline = loop.time() + remaining_s
                observed.facts = functools.partial(facts, name, principal, context, request, limits, own)
                waiting = time.perf_counter()
                with admission.holding(len(request)):
                    await admission.wait_slot()
                    observed.parts.add("queue", waiting, time.perf_counter())
                    try:
                        remaining_s = deadline - loop.time()
                        if remaining_s <= 0:
                            raise DeadlineExceeded("the deadline passed before the call could run")
                        answer = await method(request, remaining_s, principal, context)
                    finally:
                        admission.release_slot()
                if len(answer) > bytes_max:
                    raise answer_too_large(len(answer), bytes_max)
                observed.end()
                return answer
            finally:
                admission.leave_call()

        return _call(name, rule, grpc.stream_unary_rpc_method_handler, handle)

    def _placed(self, name: str, method: Running) -> Running:
        """The method in this process, by way of the writer, or shown by all before it is answered."""
        writer, shown, names, rule = self._writer, self._shown, self._names, RULES[name]
        loop = asyncio.get_running_loop()

        def here(request: bytes, remaining_s: float, principal: Principal, context: Context) -> Awaitable[bytes]:
            def call(settled: bytes) -> Awaitable[bytes]:
                return method(settled, remaining_s, principal, context)

            if names.are_own(principal):
                return call(request)
            return names.run(rule, principal, request, remaining_s, call)

        async def in_writer(request: bytes, remaining_s: float, principal: Principal, context: Context) -> bytes:
            assert writer is not None
            try:
                return await writer.call(name, request, remaining_s, context)
            except Unavailable:
                if name not in MEANWHILE:
                    raise
                return await here(request, remaining_s, principal, context)

        async def then_shown(request: bytes, remaining_s: float, principal: Principal, context: Context) -> bytes:
            assert shown is not None
            answer = await here(request, remaining_s, principal, context)
            await loop.run_in_executor(self._executor, shown)
            return answer

        if writer is not None and name not in LOCAL:
            return in_writer
        return here if shown is None or rule.action is not Action.ADMIN else then_shown

    def stream(self, name: str, method: Streaming) -> Call:
        admission, observing, writer = self._admission, self._observer.method(name, waits=True), self._writer

        async def handle(principal: Principal, _requests: object, context: Context) -> None:
            observed = observing.begin(context.invocation_metadata)
            observed.facts = functools.partial(facts, name, principal, context, b"", self._limits, self._names.own)
            entered = False
            try:
                admission.enter_stream()
                entered = True
                if writer is not None and name not in LOCAL:
                    await writer.stream(name, context, admission.draining)
                else:
                    await method(context, principal)
                observed.end()
            except BaseException as error:
                await _fail(observed, context, error)
            finally:
                if entered:
                    admission.leave_stream()

        return _call(name, RULES[name], grpc.stream_stream_rpc_method_handler, handle)


def _call(name: str, rule: Rule, kind: Callable[..., Handler], handle: Callable[..., Awaitable[Any]]) -> Call:
    return Call(name, rule.action, lambda principal: kind(functools.partial(handle, principal)))


def refusal(method: Method, error: VecstoreError) -> Handler:
    """A handler that refuses a call, of whatever kind, without reading from it."""

    async def handle(_requests: object, context: Context) -> None:
        observed = method.begin(context.invocation_metadata)
        observed.facts = lambda: {"peer": context.peer()}
        await _fail(observed, context, error)

    return grpc.stream_stream_rpc_method_handler(handle)


class _Expiry:
    """Cancels the current task after a while and then says why."""

    __slots__ = ("_loop", "_message", "_task", "_timer", "fired")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, message: str) -> None:
        self._loop = loop
        self._task = asyncio.current_task(loop)
        self.fired = False
        self.restart(seconds, message)

    def restart(self, seconds: float, message: str) -> None:
        self._message = message
        self._timer = self._loop.call_later(seconds, self._fire)

    def stop(self) -> None:
        self._timer.cancel()

    def translate(self, error: BaseException) -> BaseException:
        if not (self.fired and isinstance(error, asyncio.CancelledError)):
            return error
        assert self._task is not None
        self._task.uncancel()
        return DeadlineExceeded(self._message)

    def _fire(self) -> None:
        self.fired = True
        if self._task is not None:
            self._task.cancel()


async def _fail(observed: Observed, context: Context, error: BaseException) -> None:
    """End the call with the error's status; always raises.

    gRPC keeps what it aborts with, whose frames refer to the context and so to itself: megabytes of a request or an
    answer in them would stay until Python next looks for cycles."""
    if isinstance(error, asyncio.CancelledError):
        observed.end("CANCELLED")  # by the caller, its deadline, or the shutdown
        _forget(observed, error)
        raise error
    known = typed(error)
    observed.end(known.grpc_code, known)
    if known.reason == "INTERNAL":
        log.error("unexpected error in request %s", observed.request_id, exc_info=error)
    code, message, trailers = status_of(known)
    _forget(observed, error)
    await context.abort(code, message, trailers)


def _forget(observed: Observed, error: BaseException | None) -> None:
    """Empty the frames that an error passed through, and those of the errors before it."""
    observed.facts = None
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def code_of(error: BaseException) -> str:
    """The gRPC status that a call which ends so has, by name."""
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"
    return typed(error).grpc_code if isinstance(error, Exception) else "INTERNAL"


def typed(error: BaseException) -> VecstoreError:
    """What the caller is told; details of unexpected errors stay in the log."""
    if isinstance(error, VecstoreError):
        return error
    if isinstance(error, DecodeError):
        return InvalidArgument("the request is no message of this call's type, or is nested too deep")
    if isinstance(error, TimeoutError):
        return DeadlineExceeded("the time for this request ran out")
    if isinstance(error, MemoryError):
        return ResourceExhausted("the server is out of memory for this request", reason="OUT_OF_MEMORY")
    if isinstance(error, Exception):
        return VecstoreError("an unexpected error, which the server has logged")
    raise error  # the interpreter is going down


def answer_too_large(size: int, bound: int) -> ResourceExhausted:
    message = f"the answer has {size} bytes, which exceeds message_bytes_max={bound}: ask for fewer points or fields"
    return ResourceExhausted(
        message, reason="LIMIT_EXCEEDED", metadata={"limit": "message_bytes_max", "bound": bound, "value": size}
    )


def facts(
    name: str, principal: Principal, context: Context, request: bytes, limits: Limits, own: Callable[[str], str]
) -> dict[str, Any]:
    """What a line in the log says of a call, besides its times: who, and about what, called by its own name."""
    found: dict[str, Any] = {"key": principal.name, "peer": context.peer(), "bytes": len(request)}
    if name == "Points/Query" and request:
        query = query_from_pb(points_pb2.QueryRequest.FromString(request), limits)
        query.collection = own(query.collection)
        return found | query_summary(query)
    collections = sorted(set(map(own, RULES[name].collections(request)))) if request else []
    return found | ({"collection": ",".join(collections)[:NAMES_CHARACTERS_MAX]} if collections else {})
