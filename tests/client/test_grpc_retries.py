"""What is sent again, and what is not: a server that fails on purpose, then answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

import vecstore
from vecstore import DeadlineExceeded, Dense, FailedPrecondition, ResourceExhausted, Schema, Unavailable, VecstoreError
from vecstore.client._async.grpc import AsyncGrpcTransport
from vecstore.client._sync.client import Client
from vecstore.client._sync.grpc import GrpcTransport
from vecstore.client.retry import Attempts, RetryPolicy
from vecstore.config import Settings
from vecstore.errors import overloaded
from vecstore.pb.v1 import collections_pb2, points_pb2
from vecstore.types import CollectionInfo
from vecstore.wire.errors import status_of
from vecstore.wire.schemas import collection_to_pb

QUICK = RetryPolicy(attempts=4, first_s=0.001, longest_s=0.004)


class Flaky(grpc.GenericRpcHandler):
    """Answers every call after raising the queued errors, and counts the calls by method."""

    def __init__(self) -> None:
        self.errors: list[VecstoreError] = []
        self.calls: dict[str, int] = {}
        self.wait_s = 0.0
        self.metadata: dict[str, Any] = {}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        name = details.method.rpartition("/")[2]
        self.metadata = dict(details.invocation_metadata)

        def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls[name] = self.calls.get(name, 0) + 1
            time.sleep(self.wait_s)
            if self.errors:
                code, text, trailers = status_of(self.errors.pop(0))
                context.set_trailing_metadata(trailers)
                context.abort(code, text)
            return self.answers(name).SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)

    @staticmethod
    def answers(name: str) -> Any:
        if name == "Get":
            return collection_to_pb(CollectionInfo("docs", Schema(vectors={"v": Dense(4)}), 1, 1))
        return {
            "Count": points_pb2.CountResponse(count=3, seq=1),
            "Query": points_pb2.QueryResponse(seq=1),
            "Upsert": points_pb2.WriteResponse(seq=2, changed=1),
            "Delete": points_pb2.WriteResponse(seq=2, changed=1),
            "SetPayload": points_pb2.WriteResponse(seq=2, changed=1),
            "Exists": collections_pb2.CollectionExistsResponse(exists=True),
        }[name]


@pytest.fixture
def flaky() -> Flaky:
    return Flaky()


@pytest.fixture
def address(flaky: Flaky) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=(flaky,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def docs(address: str) -> Iterator[Any]:
    transport = GrpcTransport(address, timeout_s=60.0, settings=Settings(), retry=QUICK, api_key="sesame")
    with Client(transport, target=address, timeout_s=60.0) as client:
        yield client.get_collection("docs")


def unavailable(count: int) -> list[VecstoreError]:
    return [Unavailable("restarting") for _ in range(count)]


IDEMPOTENT: dict[str, Callable[[Any], object]] = {
    "Count": lambda docs: docs.count(),
    "Query": lambda docs: docs.query(np.ones(4)),
    "Upsert": lambda docs: docs.upsert([1], np.ones((1, 4))),
    "Delete": lambda docs: docs.delete([1]),
    "SetPayload": lambda docs: docs.set_payload({"a": 1}, [1]),
}
ONCE: dict[str, Callable[[Any], object]] = {
    "Upsert": lambda docs: docs.upsert([1], np.ones((1, 4)), mode="insert_only"),
    "Delete": lambda docs: docs.delete(filter={"key": "a", "match": {"value": 1}}),
    "SetPayload": lambda docs: docs.set_payload({"a": 1}, filter={"key": "a", "match": {"value": 1}}),
}


@pytest.mark.parametrize("name", IDEMPOTENT)
def test_unavailable_is_tried_again(docs: Any, flaky: Flaky, name: str) -> None:
    flaky.errors = unavailable(3)
    IDEMPOTENT[name](docs)
    assert flaky.calls[name] == 4


@pytest.mark.parametrize("name", ONCE)
def test_what_counts_twice_is_sent_once(docs: Any, flaky: Flaky, name: str) -> None:
    flaky.errors = unavailable(1)
    with pytest.raises(Unavailable):
        ONCE[name](docs)
    assert flaky.calls[name] == 1


def test_attempts_are_bounded(docs: Any, flaky: Flaky) -> None:
    flaky.errors = unavailable(10)
    with pytest.raises(Unavailable, match="restarting"):
        docs.count()
    assert flaky.calls["Count"] == QUICK.attempts


def test_overload_is_tried_again_only_with_a_hint(docs: Any, flaky: Flaky) -> None:
    flaky.errors = [overloaded("busy", 0.05)]
    started = time.monotonic()
    assert docs.count() == 3
    assert time.monotonic() - started >= 0.05
    flaky.errors = [ResourceExhausted("disk full", reason="DISK_FULL")]
    with pytest.raises(ResourceExhausted) as refused:
        docs.count()
    assert refused.value.reason == "DISK_FULL"
    assert flaky.calls["Count"] == 3


def test_other_errors_are_final(docs: Any, flaky: Flaky) -> None:
    flaky.errors = [FailedPrecondition("read only", reason="READ_ONLY"), *unavailable(1)]
    with pytest.raises(FailedPrecondition) as refused:
        docs.count()
    assert refused.value.reason == "READ_ONLY"
    assert flaky.calls["Count"] == 1


def test_the_deadline_spans_the_retries(docs: Any, flaky: Flaky) -> None:
    flaky.errors = [overloaded("busy", 300.0)]
    with pytest.raises(ResourceExhausted):  # waiting 300 s would pass the 60 s given
        docs.count()
    assert flaky.calls["Count"] == 1
    flaky.wait_s = 0.5
    with pytest.raises(DeadlineExceeded):
        docs.query(np.ones(4), timeout_s=0.01)


def test_the_api_key_is_sent(docs: Any, flaky: Flaky) -> None:
    docs.count()
    assert flaky.metadata["authorization"] == "Bearer sesame"


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with vecstore.connect("grpc://127.0.0.1:1", timeout_s=60.0) as client, pytest.raises(Unavailable):
        client.list_collections()


def test_a_closed_client_says_so(address: str) -> None:
    client = vecstore.connect(f"grpc://{address}")
    client.close()
    with pytest.raises(FailedPrecondition) as refused:
        client.list_collections()
    assert refused.value.reason == "CLOSED"


def test_the_async_transport_retries_alike(address: str, flaky: Flaky) -> None:
    async def run() -> bool:
        transport = AsyncGrpcTransport(address, timeout_s=60.0, settings=Settings(), retry=QUICK)
        try:
            flaky.errors = [*unavailable(2), overloaded("busy", 0.01)]
            return await transport.has_collection("docs")
        finally:
            await transport.close()

    assert asyncio.run(run())
    assert flaky.calls["Exists"] == 4


def test_waits_grow_and_stay_random() -> None:
    longest = []
    for sent in range(1, 6):
        attempts = Attempts(RetryPolicy(attempts=10, first_s=0.1, longest_s=0.5), timeout_s=60.0, idempotent=True)
        for _ in range(sent):
            attempts.remaining_s()
        waits = [attempts.delay_s(Unavailable("x"), None) or 0.0 for _ in range(200)]
        assert len(set(waits)) > 100
        longest.append(max(waits))
    for wait, ceiling in zip(longest, [0.1, 0.2, 0.4, 0.5, 0.5], strict=True):
        assert ceiling * 0.8 < wait <= ceiling
