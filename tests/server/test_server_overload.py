"""More calls than fit: some run, some wait in order, the rest are told when to come back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from server_support import Client, failure, point, query, serving
from waiting import wait_until

from vecstore.config import Limits
from vecstore.engine.database import Database
from vecstore.memory.budget import PEAK_COPIES
from vecstore.memory.room import ROOM
from vecstore.pb.v1 import points_pb2 as pb

RUNNING, QUEUED = 3, 2


class Gate:
    """Holds the database's `count` until it is opened."""

    def __init__(self, database: Database) -> None:
        self.opened = threading.Event()
        self.entered = 0
        self._lock = threading.Lock()
        inner = database.count

        def held(request: Any) -> Any:
            with self._lock:
                self.entered += 1
            self.opened.wait(60)
            return inner(request)

        database.count = held  # type: ignore[method-assign]


@pytest.fixture
def held() -> Iterator[tuple[Client, Gate]]:
    with serving(Limits(rpcs_in_flight_max=RUNNING, rpcs_queued_max=QUEUED)) as (handle, database):
        client = Client(handle.port)
        client.create()
        client.upsert()
        gate = Gate(database)
        yield client, gate
        gate.opened.set()
        client.channel.close()


def test_slots_and_queue_fill_and_the_next_is_refused(held: tuple[Client, Gate]) -> None:
    client, gate = held
    count = pb.CountRequest(collection="docs")
    calls = [client.points.Count.future(count, timeout=60) for _ in range(RUNNING)]
    wait_until(lambda: gate.entered == RUNNING)
    calls += [client.points.Count.future(count, timeout=60) for _ in range(QUEUED)]

    patience = itertools.count(1)

    def refused() -> bool:
        # The queued calls may still be on their way: until they are counted, a further one would wait with them.
        probe = client.points.Query.future(query(), timeout=0.3 * next(patience))
        return probe.exception().code().name == "RESOURCE_EXHAUSTED"

    wait_until(refused)
    assert gate.entered == RUNNING  # the queued ones have not begun
    code, error = failure(client.points.Query, query())
    assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    assert f"rpcs_in_flight_max={RUNNING}" in error.message
    assert f"rpcs_queued_max={QUEUED}" in error.message
    assert float(error.metadata["retry_after_s"]) > 0
    gate.opened.set()
    assert [call.result().count for call in calls] == [5] * (RUNNING + QUEUED)
    assert client.points.Query(query()).points


def test_callers_that_give_up_free_their_place(held: tuple[Client, Gate]) -> None:
    client, gate = held
    count = pb.CountRequest(collection="docs")
    running = [client.points.Count.future(count, timeout=60) for _ in range(RUNNING)]
    wait_until(lambda: gate.entered == RUNNING)
    for _ in range(3 * QUEUED):
        # A busy server may not have heard yet that the last ones have gone.
        wait_until(lambda: failure(client.points.Count, count, timeout=0.05)[0] == "DEADLINE_EXCEEDED")
    gate.opened.set()
    assert all(call.result().count == 5 for call in running)
    assert client.points.Count(count).count == 5
    assert gate.entered == RUNNING + 1  # nothing ran for those who had gone


def test_streams_do_not_take_the_calls_places(held: tuple[Client, Gate]) -> None:
    client, _ = held
    stop = threading.Event()

    def idle() -> Iterator[pb.QueryStreamRequest]:
        yield pb.QueryStreamRequest(tag=1, query=query())
        stop.wait(60)

    streams = [client.points.QueryStream(idle(), timeout=60) for _ in range(RUNNING + QUEUED)]
    assert all(next(stream).tag == 1 for stream in streams)
    assert client.points.Query(query()).points
    code, error = failure(client.points.QueryStream, idle())
    assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    stop.set()
    assert [list(stream) for stream in streams] == [[]] * len(streams)


def test_many_callers_are_all_answered_or_refused(held: tuple[Client, Gate]) -> None:
    client, gate = held
    gate.opened.set()

    def one(_: int) -> str:
        try:
            return str(len(client.points.Query(query(limit=2), timeout=60).points))
        except Exception as error:
            return error.code().name  # type: ignore[attr-defined, no-any-return]

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(one, range(300)))
    assert answers <= {"2", "RESOURCE_EXHAUSTED"}
    assert "2" in answers
    assert client.points.Query(query()).points


def test_bytes_of_requests_are_bounded_together() -> None:
    limits = Limits(message_bytes_max=100_000, request_bytes_held_max=150_000)
    with serving(limits) as (handle, database):
        client = Client(handle.port)
        client.create()
        client.upsert()
        gate = Gate(database)
        count = client.channel.unary_unary(
            "/vecstore.v1.Points/Count", response_deserializer=pb.CountResponse.FromString
        )
        unknown = b"\xc2\x3e" + bytes([0xE0, 0xA7, 0x04]) + bytes(70_624)  # field 1000, which nobody knows
        large = pb.CountRequest(collection="docs").SerializeToString() + unknown
        running = [count.future(large, timeout=60) for _ in range(2)]
        wait_until(lambda: gate.entered == 2)
        code, error = failure(count, large)
        assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert "request_bytes_held_max=150000" in error.message
        assert float(error.metadata["retry_after_s"]) > 0
        assert client.points.Query(query()).points  # a small one has room
        gate.opened.set()
        assert [call.result().count for call in running] == [5, 5]
        assert count(large).count == 5
        client.channel.close()


def test_what_the_memory_has_no_room_for_is_refused_and_small_things_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert()
        assert ROOM.budget > 0  # as the server found it
        held = [0]
        monkeypatch.setattr(ROOM, "_held", lambda: held[0])
        text = "x" * 60_000
        points = [point(100 + n, payload_json=f'{{"t": "{text}"}}'.encode()) for n in range(8)]
        large = pb.UpsertRequest(collection="docs", points=points)
        size = large.ByteSize()
        held[0] = ROOM.budget - ROOM.budget // 8 - (PEAK_COPIES - 1) * size + 1
        before = client.state()
        code, error = failure(client.points.Upsert, large)
        assert (code, error.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert f"a request of {size} bytes" in error.message
        assert float(error.metadata["retry_after_s"]) > 0
        assert client.state() == before
        assert client.upsert().seq == before[0] + 1
        delete = pb.DeletePointsRequest(collection="docs", ids=[{"num": 1}])
        assert client.points.Delete(delete).seq == before[0] + 2
        assert client.points.Query(query()).points
        held[0] -= 1
        assert client.points.Upsert(large).seq == before[0] + 3
        wait_until(lambda: not ROOM.taken)  # the answer may be here before the room is given back
        client.channel.close()
