"""Who may call: every call of every service against every kind of credential."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from server_support import Client, failure, query, serving

from vecstore.access.exposure import is_loopback
from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.pb.v1 import collections_pb2, operations_pb2, points_pb2
from vecstore.server.running import serve, start_server

KEY = "correct-horse-battery"
FILES = (collections_pb2, points_pb2, operations_pb2, health_pb2, reflection_pb2)
METHODS = [
    (f"/{service.full_name}/{method.name}", method.client_streaming, method.server_streaming)
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
# The one call that needs no key.
OPEN = "/grpc.health.v1.Health/Check"
DENIED: dict[str, Any] = {
    "no key": (),
    "empty": (("api-key", ""),),
    "wrong": (("api-key", "wrong"),),
    "cut": (("api-key", KEY[:-1]),),
    "longer": (("api-key", KEY + "x"),),
    "other case": (("api-key", KEY.upper()),),
    "not bearer": (("authorization", KEY),),
    "basic": (("authorization", f"Basic {KEY}"),),
    "wrong bearer": (("authorization", "Bearer wrong"),),
    "spaces": (("authorization", f"Bearer  {KEY}"),),
    "two right": (("api-key", KEY), ("authorization", f"Bearer {KEY}")),
    "right and wrong": (("api-key", KEY), ("api-key", "wrong")),
}
ALLOWED: dict[str, Any] = {
    "api-key": (("api-key", KEY),),
    "bearer": (("authorization", f"Bearer {KEY}"),),
    "lower case scheme": (("authorization", f"bearer {KEY}"),),
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Client]:
    with serving(api_key=KEY) as (handle, _):
        client = Client(handle.port)
        yield client
        client.channel.close()


def call(client: Client, method: str, client_streams: bool, server_streams: bool, metadata: Any) -> str:
    """The code of an empty request: anything but UNAUTHENTICATED shows that the door was open."""
    kind = ("stream" if client_streams else "unary") + "_" + ("stream" if server_streams else "unary")
    request: Any = iter([]) if client_streams else b""
    try:
        answer = getattr(client.channel, kind)(method)(request, metadata=metadata, timeout=60)
        if server_streams and "Health" not in method:
            list(answer)
        elif server_streams:
            next(answer)
            answer.cancel()
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


@pytest.mark.parametrize("credential", DENIED)
def test_denied(guarded: Client, credential: str) -> None:
    for method in METHODS:
        expected = "OK" if method[0] == OPEN else "UNAUTHENTICATED"
        assert call(guarded, *method, DENIED[credential]) == expected, method


@pytest.mark.parametrize("credential", ALLOWED)
def test_allowed(guarded: Client, credential: str) -> None:
    for method in METHODS:
        assert call(guarded, *method, ALLOWED[credential]) != "UNAUTHENTICATED", method


def test_every_call_of_the_contract_is_built(guarded: Client) -> None:
    for method in METHODS:
        if method[0].startswith("/vecstore."):
            assert call(guarded, *method, ALLOWED["bearer"]) != "UNIMPLEMENTED", method


def test_unknown_calls_do_not_answer_without_a_key(guarded: Client) -> None:
    assert failure(guarded.raw, "/vecstore.v1.Points/Nothing")[0] == "UNAUTHENTICATED"


def test_denied_calls_read_no_body(guarded: Client) -> None:
    """The stream ends with the refusal although its sender has only begun, and waits."""
    stream = guarded.channel.stream_stream("/vecstore.v1.Points/UpsertStream")
    refused = threading.Event()

    def begun() -> Iterator[bytes]:
        yield b""
        refused.wait(60)

    code, error = failure(stream, begun())
    refused.set()
    assert (code, error.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert KEY not in error.message


def test_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="vecstore")
    with serving(api_key=KEY) as (handle, _):
        client = Client(handle.port)
        failure(client.points.Query, query(), metadata=(("api-key", KEY + "1"),))
        failure(client.points.Query, query(), metadata=(("api-key", KEY),))
        client.channel.close()
    assert "UNAUTHENTICATED" in caplog.text
    assert "COLLECTION_NOT_FOUND" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_no_server_for_others_without_a_key(host: str) -> None:
    settings = Settings(server=Server(host=host, port=0))
    with pytest.raises(InvalidArgument, match="not loopback") as raised:
        serve("/nonexistent/never-opened", settings)
    assert raised.value.reason == "BAD_CONFIG"
    with Database.open(None, settings) as database, pytest.raises(InvalidArgument, match="not loopback"):
        start_server(database)


def test_a_server_for_others_with_a_key() -> None:
    with serving(host="0.0.0.0", api_key=KEY) as (handle, _):
        client = Client(handle.port)
        assert failure(client.points.Query, query())[0] == "UNAUTHENTICATED"
        assert failure(client.points.Query, query(), metadata=ALLOWED["bearer"])[0] == "NOT_FOUND"
        stub = health_pb2_grpc.HealthStub(client.channel)
        assert stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        client.channel.close()


def test_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.example", ""))
