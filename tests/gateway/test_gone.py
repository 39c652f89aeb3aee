"""A client that closes its connection ends what was read for it, and nothing else."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from endless import Endless
from gateway_support import DOCS, client_of, fill, serving
from waiting import wait_until

from vecstore.engine import coalesce
from vecstore.engine.database import Database
from vecstore.engine.patience import Patience
from vecstore.kernels.stop import check_stop
from vecstore.server.running import ServerHandle

QUERY = {"nearest": [0.1, 0.2, 0.3, 0.4], "using": "text", "limit": 1}
OTHER = {"nearest": [0.4, 0.3, 0.2, 0.1], "using": "text", "limit": 1}
BODIES = {"query": QUERY, "query/batch": {"queries": [QUERY, OTHER]}, "count": {"min_seq": 1 << 40}}

Served = tuple[ServerHandle, Database]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as (handle, database):
        with client_of(handle) as client:
            fill(client)
        yield handle, database


def ask(handle: ServerHandle, path: str, body: Any, method: str = "POST") -> socket.socket:
    data = json.dumps(body).encode()
    lines = [f"{method} {DOCS}/points{path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json",
             f"content-length: {len(data)}", "", ""]  # fmt: skip
    made = socket.create_connection(("127.0.0.1", handle.rest_port or 0), timeout=60)
    made.sendall("\r\n".join(lines).encode() + data)
    return made


def whole(connection: socket.socket) -> bytes:
    """One answer, which may come in pieces."""
    found = b""
    while b"\r\n\r\n" not in found or len(found.partition(b"\r\n\r\n")[2]) < length(found):
        piece = connection.recv(1 << 16)
        assert piece, found
        found += piece
    return found


def length(answer: bytes) -> int:
    (value,) = re.findall(rb"(?i)^content-length: *(\d+)", answer, re.MULTILINE)
    return int(value)


def number(handle: ServerHandle, name: str, *labels: str) -> float:
    with client_of(handle) as client:
        page = client.get("/metrics").text
    found = [line for line in page.splitlines() if line.startswith(name) and all(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def cancelled(handle: ServerHandle, method: str) -> float:
    labels = ('protocol="rest"', f'method="{method}"', 'code="CANCELLED"')
    return number(handle, "vecstore_request_duration_seconds_count", *labels)


@pytest.mark.parametrize("path", sorted(BODIES))
def test_a_read_ends_when_its_client_has_gone(served: Served, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    handle, database = served
    search = Endless()
    monkeypatch.setattr(database.reader, "count" if path == "count" else "run", search)
    monkeypatch.setattr(coalesce, "INLINE_S", 0)
    method = {"query": "query_points", "query/batch": "query_batch", "count": "count_points"}[path]
    before = cancelled(handle, method)
    with ask(handle, f"/{path}", BODIES[path]):
        assert search.heard.get(timeout=60) == "begun"
        time.sleep(0.1)
        assert search.heard.empty()
    assert search.heard.get(timeout=60) == "stopped"  # long before its deadline
    wait_until(lambda: cancelled(handle, method) == before + 1)
    wait_until(lambda: number(handle, "vecstore_requests_open") == 0)


def test_others_of_a_batch_are_answered(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    handle, database = served
    sizes: list[int] = []
    go = threading.Event()
    run = database.reader.run

    def slow(collection: Any, request: Any, vectors: Any) -> Any:
        sizes.append(len(vectors))
        while not go.wait(0.001):
            check_stop()
        return run(collection, request, vectors)

    monkeypatch.setattr(database.reader, "run", slow)
    monkeypatch.setattr(coalesce, "INLINE_S", 0)
    monkeypatch.setattr(coalesce, "WINDOW_S", 60)
    monkeypatch.setattr(Patience, "target", lambda self, shortage: 3)
    before = cancelled(handle, "query_points")
    first, second, third = (ask(handle, "/query", body) for body in (QUERY, OTHER, QUERY))
    with first, third:
        wait_until(lambda: sizes == [3])
        second.close()
        wait_until(lambda: cancelled(handle, "query_points") == before + 1)
        go.set()
        answers = [whole(one) for one in (first, third)]
    assert sizes == [3]
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["points"]) == 1


def test_a_write_is_finished(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    handle, database = served
    begun, go = threading.Event(), threading.Event()
    submit = database.submit

    def slow(request: Any) -> Any:
        begun.set()
        assert go.wait(60)
        return submit(request)

    def written() -> float:
        labels = ('method="upsert_points"', 'code="OK"')
        return number(handle, "vecstore_request_duration_seconds_count", *labels)

    monkeypatch.setattr(database, "submit", slow)
    before = written()
    with ask(handle, "", {"points": [{"id": 4711, "payload": {"n": 1}}]}, "PUT"):
        assert begun.wait(60)
    time.sleep(0.1)
    go.set()
    wait_until(lambda: written() == before + 1)
    with client_of(handle) as client:
        assert client.get(f"{DOCS}/points/4711").json()["payload"] == {"n": 1}
