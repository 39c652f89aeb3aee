"""A reader process passes what is not its own to the writer: the same bytes, with the caller's key, over a Unix socket.

Both processes check the caller's key and role; its collections are checked by the one that answers, which looks up what
aliases stand for. Queries are never passed on.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from vecstore.config import Limits
from vecstore.errors import RETRY_AFTER, Unavailable, VecstoreError
from vecstore.server.incoming import next_message
from vecstore.wire.errors import error_from_rpc

PACKAGE = "vecstore.v1"
# What a reader answers from what it follows. What it does not know, or knows a moment late, the writer answers.
LOCAL = frozenset({
    "Points/Query", "Points/QueryBatch", "Points/QueryGroups", "Points/QueryStream", "Points/WhyNot",
    "Points/Explain",
    "Points/DistanceMatrix", "Points/Get", "Points/Scroll", "Points/Count", "Points/Facet",
})  # fmt: skip
# And these it answers itself while the writer is away.
MEANWHILE = frozenset({
    "Collections/Get", "Collections/List", "Collections/Exists", "Collections/ListAliases", "Collections/Stats",
    "Collections/Estimate",
})  # fmt: skip
RETRY_AFTER_S = 0.5
_PASSED_ON = frozenset({"authorization", "api-key", "traceparent", "tracestate", "x-request-id"})


class Writer:
    """The way to the writer process. Belongs to one event loop."""

    def __init__(self, address: str, limits: Limits) -> None:
        """`address` is gRPC's, such as unix:/path."""
        options = [
            ("grpc.max_send_message_length", limits.message_bytes_max),
            ("grpc.max_receive_message_length", -1),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 250),  # it is back in a second or so
        ]
        self._channel: Any = grpc.aio.insecure_channel(address, options=options)

    async def call(self, name: str, request: bytes, remaining_s: float, context: Any) -> bytes:
        """The writer's answer. Raises what it raised, and Unavailable when it is not there."""
        method = self._channel.unary_unary(f"/{PACKAGE}.{name}")
        try:
            answer: bytes = await method(request, timeout=remaining_s, metadata=_metadata(context))
        except grpc.RpcError as rpc:
            raise _error(rpc) from None
        return answer

    async def stream(self, name: str, context: Any, draining: asyncio.Event) -> None:
        """Pass messages both ways until either side ends; when this process drains, nothing more is taken in."""
        method = self._channel.stream_stream(f"/{PACKAGE}.{name}")
        call = method(timeout=context.time_remaining(), metadata=_metadata(context))

        async def answers() -> None:
            async for answer in call:
                await context.write(answer)

        answering = asyncio.create_task(answers())
        try:
            while (data := await next_message(context, draining, answering)) is not None:
                await call.write(data)
            await call.done_writing()
            await answering
        except grpc.RpcError as rpc:
            raise _error(rpc) from None
        except asyncio.InvalidStateError:  # the writer ended the call while a message was on its way
            await answering
        finally:
            answering.cancel()
            call.cancel()
        if draining.is_set():
            raise Unavailable("the server is shutting down")

    async def close(self) -> None:
        await self._channel.close()


def _metadata(context: Any) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in context.invocation_metadata() or () if key in _PASSED_ON]


def _error(rpc: grpc.RpcError) -> VecstoreError:
    error = error_from_rpc(rpc)
    if isinstance(error, Unavailable) and not error.metadata:  # gRPC's own: nobody answered
        message = "the process that writes is not there now; queries are answered meanwhile"
        return Unavailable(message, metadata={RETRY_AFTER: RETRY_AFTER_S})
    return error
