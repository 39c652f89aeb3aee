"""Messages too large, packed, broken or nested beyond reason: refused, and the server goes on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from server_support import Client, failure, point, query, serving

from vecstore.config import Limits
from vecstore.pb.v1 import points_pb2 as pb

ROOT = Path(__file__).resolve().parents[2]
BOUND = 1 << 20
QUERY = "/vecstore.v1.Points/Query"
UPSERT = "/vecstore.v1.Points/Upsert"


@pytest.fixture
def small() -> Iterator[Client]:
    with serving(Limits(message_bytes_max=BOUND, connections_max=3)) as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert()
        yield client
        client.channel.close()


def padded(size: int) -> bytes:
    """A query of exactly `size` bytes: a field that is not known is skipped, whatever its length."""
    body = query().SerializeToString()
    for pad in range(size - len(body) - 8, size - len(body)):
        length, rest = b"", pad
        while rest > 127:
            length, rest = length + bytes([rest & 127 | 128]), rest >> 7
        data = body + b"\xfa\x3e" + length + bytes([rest]) + b"\0" * pad
        if len(data) == size:
            return data
    raise AssertionError(size)


def test_message_bytes_max(small: Client) -> None:
    assert pb.QueryResponse.FromString(small.raw(QUERY, padded(BOUND))).points
    for size in (BOUND + 1, 40 * BOUND):
        code, error = failure(small.raw, QUERY, padded(size))
        assert code == "RESOURCE_EXHAUSTED"
        assert error.reason == "LIMIT_EXCEEDED"
        assert "message_bytes_max" in error.message
    assert small.points.Query(query()).points


PROGRAM = """
from vecstore.config import Limits, Server, Settings
from vecstore.server.running import serve
settings = Settings(limits=Limits(message_bytes_max=1 << 20), server=Server(port=0))
serve(None, settings, lambda port, _: print(port, flush=True))
"""


def test_a_gzip_bomb_is_not_unpacked() -> None:
    """About 300 KiB on the wire, 300 MiB unpacked; the server's memory at its highest is measured from outside."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        client = Client(int(process.stdout.readline()))
        before = highest_kib(process.pid)
        code, error = failure(client.raw, UPSERT, b"\0" * (300 << 20), compression=grpc.Compression.Gzip, timeout=240)
        assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
        assert highest_kib(process.pid) - before < 32 << 10
        client.channel.close()
    finally:
        process.terminate()
        process.communicate(timeout=240)


def highest_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("no /proc to read a process's memory from")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])  # type: ignore[index]


def test_packed_messages_of_legal_size_are_read(small: Client) -> None:
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert small.points.Query(query(), compression=compression).points


def test_an_answer_that_is_too_large_says_so(small: Client) -> None:
    payload = b'{"t":"%s"}' % (b"x" * 60_000)
    for number in range(20):
        small.points.Upsert(pb.UpsertRequest(collection="docs", points=[point(number, payload_json=payload)]))
    code, error = failure(small.points.Query, query(limit=20))
    assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
    assert f"message_bytes_max={BOUND}" in error.message
    assert len(small.points.Query(query(limit=15)).points) == 15


BROKEN = [b"\xff", b"\x0a\xff", b"\x12\x02\x08", b"\x0a\x02\xff\xfe", b"\x0b" * 50, b"\x0b" * 100_000]


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: data[:4].hex())
def test_bytes_that_are_no_message(small: Client, data: bytes) -> None:
    code, _ = failure(small.raw, QUERY, data)
    assert code == "INVALID_ARGUMENT"
    assert small.points.Query(query()).points


@pytest.mark.parametrize("depth", [33, 45, 1_000, 50_000])
def test_deep_filters(small: Client, depth: int) -> None:
    """Built from bytes, as protobuf itself refuses to build them."""
    body = b""
    for _ in range(depth):
        body = _field(19, body)  # Condition.filter
        body = _field(1, body)  # Filter.must
        if len(body) > BOUND - 100:
            break
    request = pb.QueryRequest(collection="docs", using="text").SerializeToString()
    vector = query().SerializeToString()
    code, error = failure(small.raw, QUERY, vector + request + _field(3, body))
    assert code == "INVALID_ARGUMENT"
    assert "filter_depth_max=32" in error.message or "nested too deep" in error.message


def _field(number: int, body: bytes) -> bytes:
    tag, length = number << 3 | 2, len(body)
    out = b""
    for value in (tag, length):
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        out += bytes([value])
    return out + body


def test_connections_max(small: Client) -> None:
    """The fixture holds one connection; two more fit."""
    port = int(small.channel._channel.target().rpartition(b":")[2])
    clients = [Client(port) for _ in range(4)]
    codes = []
    for client in clients:
        try:
            codes.append(len(client.points.Query(query(), timeout=60).points))
        except grpc.RpcError as error:
            codes.append(error.code().name)
    assert codes == [5, 5, "UNAVAILABLE", "UNAVAILABLE"]
    for client in clients:
        client.channel.close()
    assert small.points.Query(query()).points
