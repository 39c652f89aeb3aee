"""What a client may send, and how slowly; what is past the bound is cut off without harm to others."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import zstandard
from gateway_support import DOCS, JSON, client_of, fill, refused, serving
from waiting import wait_until

from vecstore.config import Limits
from vecstore.engine.database import Database
from vecstore.gateway.protocol import HEAD_BYTES_MAX
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.server.running import ServerHandle
from vecstore.types import DeleteRequest

BOUND = 1 << 20
QUERY = {"nearest": [1, 2, 3, 4], "using": "text", "limit": 1}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ServerHandle, Database]]:
    with serving(Limits(message_bytes_max=BOUND, rpcs_in_flight_max=2, rpcs_queued_max=2)) as (handle, database):
        with client_of(handle) as client:
            fill(client)
        yield handle, database


@pytest.fixture
def small(served: tuple[ServerHandle, Database]) -> ServerHandle:
    return served[0]


@pytest.fixture(scope="module")
def impatient() -> Iterator[ServerHandle]:
    with serving(Limits(receive_deadline_s=2, rpcs_in_flight_max=2, rpcs_queued_max=2)) as (handle, database):
        database.create_collection("docs", Schema({"text": VectorField(VectorKind.DENSE, 4, Metric.COSINE)}))
        yield handle


def raw(handle: ServerHandle) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", handle.rest_port or 0), timeout=60)
    found.settimeout(60)
    return found


def head(length: int, *more: str) -> bytes:
    lines = [f"PUT {DOCS}/points HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    return "\r\n".join([*lines, f"content-length: {length}", *more, "", ""]).encode()


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = b""
    while piece := connection.recv(1 << 16):
        found += piece
    return found


def answers(handle: ServerHandle) -> None:
    """Others are served."""
    with client_of(handle) as client:
        assert client.post(f"{DOCS}/points/query", json=QUERY).status_code == 200


def padded(size: int) -> bytes:
    body = json.dumps({"points": [{"id": 1, "payload": {"a": 1}}]}).encode()
    return body[:-1] + b" " * (size - len(body)) + body[-1:]


def test_a_body_at_the_bound_passes_and_one_byte_more_does_not(small: ServerHandle) -> None:
    with client_of(small) as client:
        assert client.put(f"{DOCS}/points", content=padded(BOUND), headers=JSON).status_code == 200
        problem = refused(client.put(f"{DOCS}/points", content=padded(BOUND + 1), headers=JSON), 413, "LIMIT_EXCEEDED")
        assert problem["metadata"]["limit"] == "message_bytes_max"
        chunked = client.put(f"{DOCS}/points", content=iter([padded(BOUND), b" "]), headers=JSON)
        refused(chunked, 413, "LIMIT_EXCEEDED")


def test_a_giant_body_is_refused_before_it_is_sent(small: ServerHandle) -> None:
    with raw(small) as connection:
        connection.sendall(head(1 << 40))
        assert received(connection).startswith(b"HTTP/1.1 413 ")
    answers(small)


def test_a_giant_chunked_body_is_cut_at_the_bound(small: ServerHandle) -> None:
    with raw(small) as connection:
        start = head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
        connection.sendall(start)
        sent = 0
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            while sent < 64 * BOUND:
                connection.sendall(piece)
                sent += 65536
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 64 * BOUND
    answers(small)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_compressed_bodies_are_read_and_bombs_refused(small: ServerHandle, coding: str) -> None:
    pack: Any = gzip.compress if coding == "gzip" else zstandard.ZstdCompressor().compress
    headers = {**JSON, "content-encoding": coding}
    with client_of(small) as client:
        body = json.dumps(QUERY).encode()
        assert client.post(f"{DOCS}/points/query", content=pack(body), headers=headers).status_code == 200
        bomb = pack(b" " * (64 << 20))
        assert len(bomb) < BOUND
        refused(client.put(f"{DOCS}/points", content=bomb, headers=headers), 413, "LIMIT_EXCEEDED")
        for broken in (pack(body)[:-3], pack(body) + b"more", b"nothing of the kind"):
            refused(client.put(f"{DOCS}/points", content=broken, headers=headers), 400, "BAD_ENCODING")


def test_a_slow_body_is_cut_off_while_others_are_served(impatient: ServerHandle) -> None:
    slow = [raw(impatient) for _ in range(3)]  # more than may run at once: one that only sends holds no slot
    for connection in slow:
        connection.sendall(head(1000) + b"{")
    answers(impatient)
    for connection in slow:
        assert received(connection).startswith(b"HTTP/1.1 408 ")
        connection.close()
    answers(impatient)


@pytest.mark.parametrize("start", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nhost: a"])
def test_a_head_that_does_not_come_is_not_waited_for(impatient: ServerHandle, start: bytes) -> None:
    with raw(impatient) as connection:
        connection.sendall(start)
        assert received(connection).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_end_is_refused(small: ServerHandle) -> None:
    with raw(small) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        connection.sendall(b"".join(b"x-%d: %s\r\n" % (n, b"y" * 500) for n in range(HEAD_BYTES_MAX // 500 + 2)))
        assert received(connection).startswith(b"HTTP/1.1 431 ")
    with raw(small) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 400 ")
    answers(small)


def test_more_calls_than_there_is_room_for(served: tuple[ServerHandle, Database]) -> None:
    """A read that waits for a write holds its slot until that comes."""
    small, database = served
    body = {"min_seq": database.collection_info("docs").seq + 1}
    found: list[httpx.Response] = []

    def ask() -> None:
        with client_of(small) as client:
            found.append(client.post(f"{DOCS}/points/count", json=body, headers={"x-timeout-ms": "60000"}))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    with client_of(small) as client:
        wait_until(lambda: 'vecstore_requests_open{state="calls"} 4' in client.get("/metrics").text)
        full = client.post(f"{DOCS}/points/count", json=body)
        refused(full, 429, "OVERLOADED")
        assert int(full.headers["retry-after"]) >= 1
        assert client.get("/livez").status_code == 200  # answered also when the server is full
    database.write(DeleteRequest("docs", [1 << 40]))
    for thread in threads:
        thread.join()
    assert [response.status_code for response in found] == [200] * 4
    answers(small)


def test_answers_are_compressed_where_the_client_asks(small: ServerHandle) -> None:
    with client_of(small) as client:
        plain = client.get("/openapi.json")
        for coding in ("gzip", "zstd"):
            asked = client.get("/openapi.json", headers={"accept-encoding": coding})
            assert asked.headers["content-encoding"] == coding
            assert int(asked.headers["content-length"]) < len(plain.content) // 3
            assert asked.content == plain.content
        for none in ("identity", "br", "gzip;q=0, zstd;q=0", "nonsense;q=x"):
            assert "content-encoding" not in client.get("/openapi.json", headers={"accept-encoding": none}).headers


def test_pages_of_other_origins(small: ServerHandle) -> None:
    with client_of(small) as client:
        page = {"origin": "https://evil.example"}
        refused(client.post(f"{DOCS}/points/query", json=QUERY, headers=page), 403, "ORIGIN_NOT_ALLOWED")
        assert "access-control-allow-origin" not in client.get("/healthz", headers=page).headers
        assert "access-control-allow-methods" not in client.options(f"{DOCS}/points", headers=page).headers
        own = {"origin": str(client.base_url).rstrip("/")}
        assert client.post(f"{DOCS}/points/query", json=QUERY, headers=own).status_code == 200
        refused(client.get("/healthz", headers={"host": "evil.example"}), 403, "HOST_NOT_ALLOWED")
    with serving(cors_origins="https://app.example, http://localhost:3000") as (handle, _), client_of(handle) as client:
        page = {"origin": "https://app.example"}
        asked = client.options(f"{DOCS}/points", headers=page)
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == "https://app.example"
        assert asked.headers["access-control-allow-methods"] == "OPTIONS, PUT"
        answer = client.put("/v1/collections/x", json={"schema": {"vectors": {"v": {"dim": 2}}}}, headers=page)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        refused(client.delete("/v1/collections/x", headers={"origin": "https://b"}), 403, "ORIGIN_NOT_ALLOWED")


def test_two_requests_at_once_on_one_connection(small: ServerHandle) -> None:
    with raw(small) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 2)
        found = b""
        while found.count(b"alive") < 2:
            found += connection.recv(1 << 16)
        assert found.count(b"HTTP/1.1 200 ") == 2
