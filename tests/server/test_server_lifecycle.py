"""Health, reflection, draining, and the process with its signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from server_support import Client, failure, point, query, serving

from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.errors import IoFailed
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.server.running import start_server
from vecstore.types import CountRequest, GetRequest

SERVICES = ["vecstore.v1.Collections", "vecstore.v1.Operations", "vecstore.v1.Points", "vecstore.v1.Snapshots"]
ROOT = Path(__file__).resolve().parents[2]


def status(client: Client, service: str = "") -> str:
    stub = health_pb2_grpc.HealthStub(client.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def listed(client: Client) -> list[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    answer = next(iter(stub.ServerReflectionInfo(requests, timeout=60)))
    return sorted(service.name for service in answer.list_services_response.service)


def test_health_of_every_service(client: Client) -> None:
    assert [status(client, service) for service in ("", *SERVICES)] == ["SERVING"] * 5
    assert failure(client.raw, "/grpc.health.v1.Health/Check", b"\x0a\x01x")[0] == "NOT_FOUND"


def test_reflection(client: Client) -> None:
    assert [name for name in listed(client) if name.startswith("vecstore")] == SERVICES
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="vecstore.v1.Points")
    answer = next(iter(stub.ServerReflectionInfo(iter([asked]), timeout=60)))
    assert answer.file_descriptor_response.file_descriptor_proto


def test_reflection_can_be_off() -> None:
    with serving(reflection=False) as (handle, _):
        client = Client(handle.port)
        stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
        assert failure(stub.ServerReflectionInfo, iter([]))[0] == "UNIMPLEMENTED"
        client.channel.close()


def one_then_wait(event: threading.Event) -> Iterator[pb.QueryStreamRequest]:
    yield pb.QueryStreamRequest(tag=1, query=query())
    event.wait(60)


def rest_of(stream: Any, timeout: float) -> list[Any]:
    return list(stream)


def test_draining_lets_open_calls_finish_and_refuses_new_ones() -> None:
    with serving() as (handle, database):
        client = Client(handle.port)
        client.create()
        client.upsert()
        entered, opened = threading.Event(), threading.Event()
        inner = database.count

        def held(request: Any) -> Any:
            entered.set()
            opened.wait(60)
            return inner(request)

        database.count = held  # type: ignore[method-assign]
        open_call = client.points.Count.future(pb.CountRequest(collection="docs"), timeout=60)
        assert entered.wait(60)
        idle = client.points.QueryStream(one_then_wait(opened), timeout=60)
        assert next(idle).tag == 1
        stopping = threading.Thread(target=handle.stop, args=(60,))
        stopping.start()
        while status(client) != "NOT_SERVING":
            time.sleep(0.01)
        code, error = failure(client.points.Query, query())
        assert code == "UNAVAILABLE"
        assert "shutting down" in error.message
        assert failure(rest_of, idle)[0] == "UNAVAILABLE"  # an idle stream does not hold the drain up
        assert stopping.is_alive()
        opened.set()
        assert open_call.result().count == 5
        stopping.join(60)
        assert not stopping.is_alive()
        assert failure(client.points.Query, query())[0] == "UNAVAILABLE"
        client.channel.close()
        assert database.count(CountRequest("docs")) == (5, 1)  # the database stays open


def test_calls_that_outlast_the_drain_are_cut_off() -> None:
    with serving() as (handle, database):
        client = Client(handle.port)
        client.create()
        inner, entered, go = database.count, threading.Event(), threading.Event()

        def held(request: Any) -> Any:
            entered.set()
            go.wait(60)
            return inner(request)

        database.count = held  # type: ignore[method-assign]
        call = client.points.Count.future(pb.CountRequest(collection="docs"), timeout=60)
        assert entered.wait(60)
        stopping = threading.Thread(target=handle.stop, args=(0.1,))
        stopping.start()
        assert call.exception().code().name in ("UNAVAILABLE", "CANCELLED")
        assert not go.is_set()
        go.set()
        stopping.join()
        client.channel.close()


def test_a_port_in_use_is_a_typed_error() -> None:
    with serving() as (handle, database), pytest.raises(IoFailed, match=f"cannot listen on .*:{handle.port}"):
        start_server(database, Settings(server=Server(port=handle.port)))


PROGRAM = """
import sys
from vecstore.config import Server, Settings
from vecstore.server.running import serve
serve(sys.argv[1], Settings(server=Server(port=0, drain_s=60)), lambda port, _: print(port, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_drain_under_load_and_close_the_database(tmp_path: Path, number: int) -> None:
    """Every acknowledged write is there afterwards, and the process ends by itself with status 0."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "db")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    client = Client(int(process.stdout.readline()))
    client.create()
    acknowledged: list[int] = []
    codes: set[str] = set()

    def write(start: int) -> None:
        for number in range(start, start + 100_000):
            try:
                client.points.Upsert(pb.UpsertRequest(collection="docs", points=[point(number)]), timeout=60)
            except grpc.RpcError as error:
                codes.add(error.code().name)
                return
            acknowledged.append(number)

    writers = [threading.Thread(target=write, args=(1_000_000 * n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    while len(acknowledged) < 50:
        time.sleep(0.01)
    process.send_signal(number)
    _, log = process.communicate(timeout=240)
    for writer in writers:
        writer.join(60)
    client.channel.close()
    assert process.returncode == 0, log
    assert codes <= {"UNAVAILABLE"}
    assert "draining" in log
    with Database.open(tmp_path / "db") as database:
        found, _ = database.get(GetRequest("docs", acknowledged))
        assert len(found) == len(acknowledged)
