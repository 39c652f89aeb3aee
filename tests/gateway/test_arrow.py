"""Arrow bodies that are compressed, too large once they are not, or broken."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from gateway_support import client_of, refused, serving

from vecstore.config import Limits
from vecstore.gateway.bulk import ARROW

SEED = 20261127
BOUND = 1 << 20
HEADERS = {"content-type": ARROW}
COLLECTION = "/v1/collections/arrow"
BROKEN = 300
DOORS = [("PUT", f"{COLLECTION}/points"), ("POST", f"{COLLECTION}/import")]


@pytest.fixture(scope="module")
def client() -> Any:
    with serving(Limits(message_bytes_max=BOUND)) as (handle, _), client_of(handle) as client:
        schema = {"vectors": {"v": {"dim": 2}}}
        assert client.put(COLLECTION, json={"schema": schema}).status_code == 200
        yield client


def stream(columns: dict[str, Any], compression: str | None, batches: int = 1) -> bytes:
    sink = io.BytesIO()
    block = pa.RecordBatch.from_pydict(columns)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, block.schema, options=options) as writer:
        for _ in range(batches):
            writer.write_batch(block)
    return sink.getvalue()


def columns(text: str, encoded: bool) -> dict[str, Any]:
    texts = pa.array([text, "b"])
    return {
        "id": pa.array([1, 2], pa.uint64()),
        "v": pa.array([[1, 2], None], pa.list_(pa.float32())),
        "text": texts.dictionary_encode() if encoded else texts,
    }


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_what_is_held_is_bounded(
    client: httpx.Client, door: tuple[str, str], encoded: bool, compression: str | None
) -> None:
    good = stream(columns("a" * 1000, encoded), compression)
    assert client.request(*door, content=good, headers=HEADERS).status_code == 200
    points = client.post(f"{COLLECTION}/points/get", json={"ids": [1, 2], "with_vectors": True}).json()["points"]
    assert points[0]["payload"] == {"text": "a" * 1000}
    assert [point["vectors"] for point in points] == [{"v": [1, 2]}, {}]
    bomb = stream(columns("a" * (BOUND + 1), encoded), compression)
    assert compression is None or len(bomb) < BOUND // 16
    refused(client.request(*door, content=bomb, headers=HEADERS), 413, "LIMIT_EXCEEDED")


def test_batches_that_are_put_are_bounded_together(client: httpx.Client) -> None:
    several = stream(columns("a" * (BOUND // 4), False), "zstd", batches=4)
    refused(client.put(f"{COLLECTION}/points", content=several, headers=HEADERS), 413, "LIMIT_EXCEEDED")


@pytest.mark.parametrize("door", DOORS)
def test_rows_that_take_no_bytes(client: httpx.Client, door: tuple[str, str]) -> None:
    body = stream({"id": pa.nulls(1 << 24)}, None)
    refused(client.request(*door, content=body, headers=HEADERS), 400, "LIMIT_EXCEEDED")


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_broken_streams_are_the_clients_fault(client: httpx.Client, compression: str | None) -> None:
    rng = np.random.default_rng(SEED)
    good = stream(columns("a whale" * 9, True), compression)
    seen = set()
    for turn in range(BROKEN):
        body = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            body[rng.integers(len(body))] = rng.integers(256)
        response = client.request(*DOORS[turn % 2], content=bytes(body[: rng.integers(len(body) // 2, len(body) + 1)]),
                                  headers=HEADERS)  # fmt: skip
        seen.add(response.status_code)
        assert response.status_code < 500, (SEED, turn, response.text)
    assert 400 in seen
