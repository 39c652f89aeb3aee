"""A real server over a real database in memory, in this process, and clients for it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from served import served

from vecstore.config import Limits
from vecstore.engine.database import Database
from vecstore.errors import IoFailed, VecstoreError
from vecstore.pb.v1 import collections_pb2, collections_pb2_grpc, operations_pb2_grpc, points_pb2, points_pb2_grpc
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.server.running import ServerHandle, start_server
from vecstore.wire.errors import error_from_rpc
from vecstore.wire.schemas import schema_to_pb

DIM = 4
SCHEMA = Schema(
    {
        "text": VectorField(VectorKind.DENSE, DIM, Metric.COSINE),
        "bits": VectorField(VectorKind.BINARY, 16, Metric.HAMMING),
    }
)


class Client:
    """Stubs of the three services on a channel of their own."""

    def __init__(self, port: int, *, metadata: Any = None, options: Any = ()) -> None:
        local = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[*local, *options])
        self.collections = collections_pb2_grpc.CollectionsStub(self.channel)
        self.points = points_pb2_grpc.PointsStub(self.channel)
        self.operations = operations_pb2_grpc.OperationsStub(self.channel)

    def raw(self, method: str, data: bytes = b"", **options: Any) -> bytes:
        return self.channel.unary_unary(method)(data, **{"timeout": 60, **options})

    def create(self, name: str = "docs", schema: Schema = SCHEMA) -> None:
        request = collections_pb2.CreateCollectionRequest(name=name, schema=schema_to_pb(schema))
        self.collections.Create(request, timeout=60)

    def upsert(self, count: int = 5, collection: str = "docs") -> Any:
        points = [point(n) for n in range(count)]
        return self.points.Upsert(points_pb2.UpsertRequest(collection=collection, points=points), timeout=60)

    def state(self, collection: str = "docs") -> tuple[int, int]:
        """The collection's seq and points: equal before and after means that nothing was written."""
        info = self.collections.Get(collections_pb2.GetCollectionRequest(name=collection))
        return info.seq, info.points


def point(number: int, **fields: Any) -> points_pb2.Point:
    vectors = {
        "text": {"dense": {"values": [1 + number, 1, 0, 0]}},
        "bits": {"binary": {"data": bytes([number % 256, 0])}},
    }
    payload = {} if "payload_json" in fields else {"n": {"integer_value": number}}
    return points_pb2.Point(**{"id": {"num": number}, "vectors": vectors, "payload": payload, **fields})


def query(**fields: Any) -> points_pb2.QueryRequest:
    defaults = {"collection": "docs", "using": "text", "nearest": {"dense": {"values": [1.0] * DIM}}}
    return points_pb2.QueryRequest(**{**defaults, **fields})


def failure(call: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[str, VecstoreError]:
    """The status code's name and the error of a call that must fail."""
    named.setdefault("timeout", 60)
    try:
        answer = call(*arguments, **named)
        if hasattr(answer, "__iter__"):
            answer = list(answer)
    except grpc.RpcError as error:
        return error.code().name, error_from_rpc(error)
    pytest.fail(f"answered {answer!r:.200}")


def serving(
    limits: Limits | None = None, **server: Any
) -> contextlib.AbstractContextManager[tuple[ServerHandle, Database]]:
    return served(start_server, limits, port=0, **server)


@contextlib.contextmanager
def measured(**server: Any) -> Iterator[tuple[ServerHandle, Database, int]]:
    """With the port of its metrics, which was free a moment before; another where somebody else took it since."""
    with contextlib.ExitStack() as stack:
        for left in reversed(range(5)):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            try:
                served = stack.enter_context(serving(metrics_port=port, **server))
            except IoFailed:
                if not left:
                    raise
            else:
                break
        yield *served, port


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)
