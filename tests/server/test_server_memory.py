"""What is refused leaves no megabytes behind, whenever Python next looks for cycles."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest
from server_support import Client, failure, point, serving

from vecstore.config import Limits
from vecstore.pb.v1 import points_pb2 as pb

TIMES, BOUND = 12, 1 << 20


@pytest.fixture
def client() -> Iterator[Client]:
    with serving(Limits(message_bytes_max=BOUND, payload_bytes_max=BOUND // 4)) as (handle, _):
        client = Client(handle.port)
        client.create()
        yield client
        client.channel.close()


def left_by(call: object, times: int = TIMES) -> int:
    """Bytes that stay after calls, without collections."""
    assert callable(call)
    call()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            call()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()


def test_answers_that_are_too_large(client: Client) -> None:
    text = "x" * (BOUND // 8)
    for number in range(12):
        one = point(number, payload_json=f'{{"t": "{text}"}}'.encode())
        client.points.Upsert(pb.UpsertRequest(collection="docs", points=[one]))
    everything = pb.ScrollRequest(collection="docs", limit=100)

    def refused() -> None:
        code, error = failure(client.points.Scroll, everything)
        assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")

    assert left_by(refused) < TIMES * BOUND / 4  # each was of 1.5 MiB


def test_requests_that_are_wrong(client: Client) -> None:
    def refused() -> None:
        request = pb.CountRequest(collection="docs").SerializeToString() + b"\xc2\x3e\x80\x80\x30" + bytes(786_432)
        count = client.channel.unary_unary(
            "/vecstore.v1.Points/Count", response_deserializer=pb.CountResponse.FromString
        )
        code, _ = failure(count, request + b"\x0f")  # a group that ends before it begins
        assert code == "INVALID_ARGUMENT"

    assert left_by(refused) < TIMES * BOUND / 4
