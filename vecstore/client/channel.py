"""What a gRPC channel to a server is made of."""

from __future__ import annotations

from typing import Any

import grpc

from vecstore.client.tls import Tls
from vecstore.config import Limits
from vecstore.pb.v1.collections_pb2_grpc import CollectionsStub
from vecstore.pb.v1.operations_pb2_grpc import OperationsStub
from vecstore.pb.v1.points_pb2_grpc import PointsStub
from vecstore.pb.v1.snapshots_pb2_grpc import SnapshotsStub

MARGIN_S = 0.25  # the server, which knows more about a late query, answers before the channel gives up


def channel_options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_send_message_length", limits.message_bytes_max),
        ("grpc.max_receive_message_length", -1),  # the size of an answer is up to the question
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]


def stubs(channel: Any) -> tuple[Any, Any, Any, Any]:
    """Collections, Points, Operations and Snapshots, whose calls block or are awaited as the channel has it."""
    kinds: tuple[Any, ...] = (CollectionsStub, PointsStub, OperationsStub, SnapshotsStub)
    collections, points, operations, snapshots = (kind(channel) for kind in kinds)
    return collections, points, operations, snapshots


def credentials(tls: Tls) -> grpc.ChannelCredentials:
    """TLS with the given roots, or with those that gRPC trusts (GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names others)."""
    return grpc.ssl_channel_credentials(tls.ca, tls.key, tls.cert)


def metadata(api_key: str | None) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()


def rpc_deadline_s(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else timeout_s + MARGIN_S
