"""Time: the caller's deadline, the server's own, and a bound on receiving."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from endless import Endless
from server_support import Client, failure, query, serving

from vecstore.config import Limits
from vecstore.engine import coalesce
from vecstore.engine.database import Database
from vecstore.kernels.stop import current_stop
from vecstore.pb.v1 import points_pb2 as pb


@pytest.fixture
def slow() -> Iterator[tuple[Client, Database]]:
    with serving(Limits(deadline_default_s=0.3)) as (handle, database):
        client = Client(handle.port)
        client.create()
        client.upsert()
        yield client, database
        client.channel.close()


@pytest.fixture
def impatient() -> Iterator[Client]:
    with serving(Limits(receive_deadline_s=0.3)) as (handle, _):
        client = Client(handle.port)
        yield client
        client.channel.close()


def hold(database: Database, name: str) -> threading.Event:
    """Calls of `name` wait for the event."""
    inner, go = getattr(database, name), threading.Event()

    def held(request: Any) -> Any:
        go.wait(60)
        return inner(request)

    setattr(database, name, held)
    return go


def test_a_call_without_a_deadline_gets_one(slow: tuple[Client, Database]) -> None:
    client, database = slow
    go = hold(database, "count")
    code, error = failure(client.points.Count, pb.CountRequest(collection="docs"), timeout=None)
    go.set()
    assert (code, error.reason) == ("DEADLINE_EXCEEDED", "QUERY_TIMEOUT")
    assert "deadline_default_s=0.3" in error.message


def test_a_longer_deadline_of_the_caller_is_kept(slow: tuple[Client, Database]) -> None:
    client, database = slow
    threading.Timer(0.8, hold(database, "count").set).start()
    assert client.points.Count(pb.CountRequest(collection="docs"), timeout=60).count == 5


def test_the_engine_hears_of_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    with serving(Limits(deadline_default_s=100)) as (handle, database):
        client = Client(handle.port)
        client.create()
        client.upsert()
        inner = database.reader.run

        def run(collection: Any, requests: Any, vectors: Any) -> Any:
            stop = current_stop()
            assert stop is not None
            seen.append(stop.deadline - time.monotonic())
            return inner(collection, requests, vectors)

        monkeypatch.setattr(database.reader, "run", run)
        client.points.Query(query(), timeout=200)
        client.points.Query(query(timeout_ms=50_000), timeout=200)
        client.points.Query(query(), timeout=None)
        client.points.Query(query(timeout_ms=300_000), timeout=200)
        client.channel.close()
    assert 150 < seen[0] <= 202  # gRPC sends three digits
    assert 0 < seen[1] <= 50
    assert 50 < seen[2] <= 100
    assert 150 < seen[3] <= 202


def test_a_query_past_its_own_timeout(slow: tuple[Client, Database]) -> None:
    client, _ = slow
    code, _ = failure(client.points.Query, query(min_seq=10**6, timeout_ms=20))
    assert code == "DEADLINE_EXCEEDED"


@pytest.fixture
def endless(slow: tuple[Client, Database], monkeypatch: pytest.MonkeyPatch) -> tuple[queue.Queue[str], Client]:
    """Searches that go on until they are stopped, and what is heard of them."""
    client, database = slow
    search = Endless()
    monkeypatch.setattr(database.reader, "run", search)
    monkeypatch.setattr(coalesce, "INLINE_S", 0)
    return search.heard, client


@pytest.mark.parametrize("name", ["Query", "QueryBatch"])
def test_a_caller_who_goes_away_frees_the_thread(endless: tuple[queue.Queue[str], Client], name: str) -> None:
    heard, client = endless
    message = query() if name == "Query" else pb.QueryBatchRequest(queries=[query(), query()])
    call = getattr(client.points, name).future(message, timeout=60)
    assert heard.get(timeout=60) == "begun"
    call.cancel()
    assert heard.get(timeout=60) == "stopped"


@pytest.mark.parametrize("name", ["Query", "QueryBatch"])
def test_an_expired_query_says_how_long_it_took(endless: tuple[queue.Queue[str], Client], name: str) -> None:
    heard, client = endless
    for timeout_ms in (200, 2_000, 20_000):  # a busy machine may not come to begin in the first
        one = query(timeout_ms=timeout_ms)
        message = one if name == "Query" else pb.QueryBatchRequest(queries=[one])
        code, error = failure(getattr(client.points, name), message, timeout=60)
        assert (code, error.reason) == ("DEADLINE_EXCEEDED", "QUERY_TIMEOUT")
        elapsed_ms = float(error.metadata["elapsed_ms"])
        assert elapsed_ms >= timeout_ms - 10  # the loop's clock counts whole milliseconds
        assert float(error.metadata["timeout_s"]) == timeout_ms / 1000
        if not heard.empty():
            break
    assert [heard.get(timeout=60), heard.get(timeout=60)] == ["begun", "stopped"]


def test_a_request_that_does_not_arrive_is_given_up(impatient: Client) -> None:
    """The client opens the call and never sends its message."""
    over = threading.Event()

    def never() -> Iterator[bytes]:
        over.wait(60)
        yield b""

    call = impatient.channel.stream_unary("/vecstore.v1.Points/Query")
    code, error = failure(call, never(), timeout=60)
    over.set()
    assert code == "DEADLINE_EXCEEDED"
    assert "receive_deadline_s=0.3" in error.message


def test_a_call_that_ends_without_a_message(client: Client) -> None:
    call = client.channel.stream_unary("/vecstore.v1.Points/Query")
    assert failure(call, iter([]))[0] == "INVALID_ARGUMENT"


def test_a_connection_that_says_nothing_is_closed(impatient: Client) -> None:
    port = int(impatient.channel._channel.target().rpartition(b":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n")  # the preface begins, and never ends
        while connection.recv(4096):  # what the server says first, then the end
            pass
