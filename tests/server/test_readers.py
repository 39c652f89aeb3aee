"""`vecstore serve --readers`: several processes on one port behave as one server. The tests share them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pytest
from faults.server_process import ServerProcess
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_support import failure, query
from waiting import wait_until

import vecstore
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.client._sync.client import Client
from vecstore.client.channel import stubs
from vecstore.errors import IoFailed, NotFound, PermissionDenied, Unavailable
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.server.cores import shares
from vecstore.server.supervisor import hold_port

DIM = 8
READERS = 2
ROWS = 20_000
ADMIN = "correct-horse-battery"
LIMITED, RECORD = new_key("reads", "read", collections=("own",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("readers") / "db"
    keys = data.with_name("keys.json")
    change_keys(keys, lambda _: (RECORD,))
    settings = {
        "SERVER_API_KEY": ADMIN,
        "SERVER_KEYS_FILE": keys,
        "SERVER_READERS": READERS,
        "STORAGE_SEAL_ROWS": 2_000,
        "SERVER_LOG_LEVEL": "warning",
    }
    with ServerProcess(data, **settings) as process:
        with connected(process) as client:
            client.create_collection("own", vecstore.Dense(DIM))  # of the key for some collections
        yield process


@contextlib.contextmanager
def connected(server: ServerProcess, key: str | None = None) -> Iterator[Client]:
    """Over a connection of its own, which the system gives to some reader: of equal channels, gRPC shares it."""
    with vecstore.connect(f"grpc://{server.address}", api_key=ADMIN if key is None else key, timeout_s=60) as client:
        transport: Any = client._transport
        transport._channel.close()
        transport._channel = grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
        names = ("_collections", "_points", "_operations", "_snapshots")
        for name, stub in zip(names, stubs(transport._channel), strict=True):
            setattr(transport, name, stub)
        yield client


@contextlib.contextmanager
def stopped(server: ServerProcess) -> Iterator[None]:
    """The supervisor sees nothing of what happens meanwhile."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def pids(client: Client) -> dict[str, int]:
    return {one["name"]: int(one["pid"]) for one in client.info()["processes"]}


def eventually(holds: Callable[[], bool]) -> None:
    """While processes come and go, calls may fail."""

    def held() -> bool:
        with contextlib.suppress(vecstore.VecstoreError):
            return holds()
        return False

    wait_until(held)


def test_a_client_reads_its_own_writes(server: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(6)]
        clients[0].create_collection("mine", vecstore.Dense(DIM))
        rows = vectors(6 * 60)
        missed: list[Any] = []

        def work(number: int) -> None:
            collection = clients[number].collection("mine")
            for turn in range(60):
                point = 60 * number + turn
                collection.upsert([point], rows[point : point + 1])
                found = clients[number].collection("mine").query(rows[point], k=1)  # another handle
                got = collection.get([point])
                if [hit.id for hit in found] != [point] or len(got) != 1 or collection.count() <= turn:
                    missed.append(point)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not missed
        assert clients[1].collection("mine").info().points == 360


def test_changes_of_schemas_are_shown_by_every_process_at_once(server: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(8)]
        for turn in range(3):
            clients[turn].create_collection("made", vecstore.Dense(DIM))
            assert [client.collection("made").count() for client in clients] == [0] * 8
            clients[turn + 1].delete_collection("made")
            for client in clients:
                with pytest.raises(NotFound, match="made"):
                    client.collection("made").count()


def test_an_alias_is_switched_on_every_reader_in_order_with_the_writes(server: ServerProcess) -> None:
    """Whoever switched or wrote sees it at once on any reader; nobody waits for a seq of the collection before."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(6)]
        for name, count in (("blue", 5), ("green", 1)):
            collection = clients[0].create_collection(name, vecstore.Dense(DIM))
            for point in range(count):
                collection.upsert([point], vectors(1))
        clients[0].update_aliases([vecstore.CreateAlias("live", "blue")])
        handles = [client.collection("live") for client in clients]
        counts = {"blue": 5, "green": 1}
        for turn in range(12):
            live, other = ("green", "blue") if turn % 2 == 0 else ("blue", "green")
            client = clients[turn % len(clients)]
            client.update_aliases([vecstore.CreateAlias("live", live)])
            assert [handle.count() for handle in handles] == [counts[live]] * len(handles)
            writer = handles[(turn + 1) % len(handles)]
            assert writer.upsert([100 + turn], vectors(1)).collection == live
            counts[live] += 1
            assert writer.count() == counts[live]
            clients[(turn + 2) % len(clients)].collection(other).upsert([200 + turn], vectors(1))
            counts[other] += 1
            client.update_aliases([vecstore.CreateAlias("live", other)])
            assert handles[(turn + 2) % len(handles)].count() == counts[other]  # by a name that it did not write by
        with connected(server, LIMITED) as limited:
            clients[0].update_aliases([vecstore.CreateAlias("open", "own"), vecstore.CreateAlias("own2", "blue")])
            assert limited.collection("open").count() == limited.collection("own").count()
            with pytest.raises(PermissionDenied, match="'own2'"):
                limited.collection("own2").count()
        assert {one.alias for one in clients[3].list_aliases()} == {"live", "open", "own2"}
        clients[0].update_aliases([vecstore.DeleteAlias(name) for name in ("live", "open", "own2")])
        for name in ("blue", "green"):
            clients[0].delete_collection(name)


@pytest.fixture(scope="module")
def rest(server: ServerProcess) -> str:
    assert server.process.stdout is not None
    return server.process.stdout.readline().split(",")[0].split()[-1]


@contextlib.contextmanager
def asking(rest: str, count: int, key: str = ADMIN) -> Iterator[list[httpx.Client]]:
    """Clients with a connection each, which the system gives to some reader."""
    with contextlib.ExitStack() as stack:
        headers = {"api-key": key}
        yield [stack.enter_context(httpx.Client(base_url=rest, headers=headers, timeout=60)) for _ in range(count)]


def test_rest_is_answered_by_readers_and_sees_every_write(server: ServerProcess, rest: str) -> None:
    path = "/v1/collections/over-rest"
    with asking(rest, 8) as clients, connected(server) as client:
        assert clients[0].put(path, json={"schema": {"vectors": {"v": {"dim": 2}}}}).status_code == 200
        assert [one.post(f"{path}/points/count").json()["count"] for one in clients] == [0] * 8
        for turn in range(1, 41):
            points = {"points": [{"id": turn, "vectors": {"v": [1, turn]}}]}
            written = clients[turn % 8].put(f"{path}/points", json=points).json()
            found = clients[(turn + 1) % 8].post(f"{path}/points/query", json={"nearest": [1, turn], "limit": 1}).json()
            assert (found["points"][0]["id"], found["seq"]) == (turn, written["seq"])
            assert clients[(turn + 2) % 8].get(f"{path}/points/{turn}").status_code == 200
        assert client.collection("over-rest").count() == 40
        # The writer's own numbers: it was asked to write, and nothing else.
        told = clients[0].get("/metrics").text
        assert 'seconds_count{code="OK",method="upsert_points",protocol="rest"} 40' in told
        assert "count_points" not in told
        assert 'method="query_points"' not in told
        assert clients[5].delete(path).status_code == 200
        assert {one.post(f"{path}/points/count").status_code for one in clients} == {404}


def test_rest_reads_wait_for_what_was_written_over_grpc(server: ServerProcess, rest: str) -> None:
    with asking(rest, 4) as clients, connected(server) as client:
        docs = client.create_documents("texts")
        client.create_collection("other", vecstore.Dense(DIM))
        client.update_aliases([vecstore.CreateAlias("library", "other")])
        client.update_aliases([vecstore.CreateAlias("library", "texts")])
        for turn in range(12):
            seqs = {"texts": docs.add(f"Herring number{turn}.", id=f"{turn}").seq}
            asked = clients[turn % 4], f"/v1/collections/{('texts', 'library')[turn % 2]}"
            found = asked[0].post(f"{asked[1]}/documents/search", json={"question": f"number{turn}", "min_seqs": seqs})
            assert [one["document"]["id"] for one in found.json()["passages"]] == [str(turn)], found.text
            count = clients[(turn + 1) % 4].post(f"{asked[1]}/points/count", json={"min_seqs": seqs}).json()
            assert count["count"] == turn + 1
        late = {"question": "herring", "min_seqs": {"texts": 10_000}, "timeout_ms": 50}
        # in its own time, not in that of a call
        refused = clients[0].post("/v1/collections/library/documents/search", json=late, timeout=60)
        assert (refused.status_code, refused.json()["reason"]) == (504, "QUERY_TIMEOUT")
        client.update_aliases([vecstore.DeleteAlias("library")])


def test_rest_is_passed_on_as_it_came(server: ServerProcess, rest: str) -> None:
    path = "/v1/collections/passed"
    with asking(rest, 2) as (client, other):
        assert client.put(path, json={"schema": {"vectors": {"v": {"dim": 2}}}}).status_code == 200
        lines = [b'{"id": %d, "vectors": {"v": [1, %d]}}\n' % (n, n) for n in range(1_500)]
        sent = {"content-type": "application/x-ndjson"}
        assert client.post(f"{path}/import", content=iter(lines), headers=sent).json()["points"] == 1_500  # chunked
        assert len(other.post(f"{path}/export").text.splitlines()) == 1_500
        wrong = client.put(
            f"{path}/points", json={"points": [{"id": 1, "vectors": {"v": [1]}}]}, headers={"x-request-id": "mine"}
        )
        assert (wrong.status_code, wrong.json()["reason"], wrong.headers["x-request-id"]) == (
            400,
            "DIMENSION_MISMATCH",
            "mine",
        )
        assert wrong.json()["errors"][0]["path"] == "points[0].vectors.v"
        job = client.post(f"{path}/compact")
        assert job.status_code == 202
        with other.stream("GET", f"{job.headers['location']}/events") as events:
            assert "event: operation" in list(events.iter_lines())
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        giant = client.put(f"{path}/points", content=b"x" * (40 << 20), headers={"content-type": "application/json"})
        assert (giant.status_code, giant.json()["reason"]) == (413, "LIMIT_EXCEEDED")
        packed = {"accept-encoding": "gzip"}
        assert client.get("/v1/collections/passed/stats", headers=packed).json()["stats"]["points"] == 1_500
        assert other.get("/v1/nothing").json()["reason"] == "ROUTE_NOT_FOUND"
    with asking(rest, 4, LIMITED) as clients:
        for one in clients:
            assert one.post("/v1/collections/own/points/count").status_code == 200
            assert one.get("/v1/collections/own").status_code == 200
            assert one.post(f"{path}/points/count").status_code == 403
            assert one.get(path).status_code == 403
            assert one.post("/v1/collections/own/points/delete", json={"ids": [1]}).status_code == 403
    with asking(rest, 1, "wrong") as (stranger,):
        assert stranger.post(f"{path}/points/count").status_code == 401
        assert stranger.get(path).status_code == 401


def test_what_a_reader_passes_on_is_what_one_process_answers(server: ServerProcess) -> None:
    with connected(server) as client:
        collection = client.create_collection("calls", vecstore.Dense(DIM), indexes={"n": "integer"})
        with pytest.raises(vecstore.InvalidArgument) as bad:
            collection.upsert([1], np.zeros((1, DIM + 1), np.float32))
        assert bad.value.field_violations
        with pytest.raises(vecstore.AlreadyExists) as taken:
            client.create_collection("calls", vecstore.Dense(DIM))
        assert taken.value.reason == "COLLECTION_EXISTS"
        with pytest.raises(NotFound) as unknown:
            client.operation("none")
        assert unknown.value.reason == "OPERATION_NOT_FOUND"
        batches = [{"id": n, "vector": row, "payload": {"n": n}} for n, row in enumerate(vectors(3_000))]
        assert collection.upload(batches).changed == 3_000
        collection.set_payload({"n": 7}, [1, 2])
        assert collection.count(vecstore.F("n").eq(7)) == 3
        assert collection.compact().state is vecstore.OperationState.DONE  # watched
        assert collection.stats()["segments"][0]["kind"] == "sealed"
        assert [info.name for info in client.list_collections() if info.name == "calls"]
        assert collection.delete([1, 2, 3]).changed == 3
        assert collection.count() == 2_997


def test_streams_go_through(server: ServerProcess) -> None:
    key = (("api-key", ADMIN),)
    with connected(server) as client:
        client.create_collection("streams", vecstore.Dense(DIM))
        stubs_of: Any = client._transport
        rows = vectors(40)

        def upsert(number: int, row: np.ndarray) -> pb.UpsertRequest:
            vectors = {"default": {"dense": {"values": row}}}
            return pb.UpsertRequest(collection="streams", points=[pb.Point(id={"num": number}, vectors=vectors)])

        given = [upsert(n, row) for n, row in enumerate(rows)]
        acks = list(stubs_of._points.UpsertStream(iter(given), metadata=key, timeout=60))
        assert [ack.batch for ack in acks] == list(range(40))
        asked = [
            pb.QueryStreamRequest(
                tag=n,
                query=query(
                    collection="streams",
                    using="",
                    limit=1,
                    min_seq=acks[-1].result.seq,
                    nearest={"dense": {"values": row}},
                ),
            )
            for n, row in enumerate(rows)
        ]
        answers = {one.tag: one for one in stubs_of._points.QueryStream(iter(asked), metadata=key, timeout=60)}
        assert [answers[n].result.points[0].id.num for n in range(40)] == list(range(40))
        both = iter([given[0], upsert(1, rows[0][:3])])
        code, error = failure(stubs_of._points.UpsertStream, both, metadata=key)
        assert (code, error.metadata["batch"]) == ("INVALID_ARGUMENT", "1")


def test_the_processes_are_told_apart(server: ServerProcess) -> None:
    with connected(server) as client:
        processes = client.info()["processes"]
        assert sorted(one["name"] for one in processes) == ["reader-1", "reader-2", "writer"]
        assert all(one["seconds_behind"] < 60 for one in processes if one["name"] != "writer")
        asked = health_pb2_grpc.HealthStub(grpc.insecure_channel(server.address))
        for service in ("", "vecstore.writer"):
            answer = asked.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_readers_share_the_cores(server: ServerProcess) -> None:
    with connected(server) as client:
        found = pids(client)
    cores = sorted(os.sched_getaffinity(0))
    for name, share in zip(("reader-1", "reader-2"), shares(cores, 2), strict=True):
        assert sorted(os.sched_getaffinity(found[name])) == list(share)
        assert os.sched_getscheduler(found[name]) == os.SCHED_BATCH
    assert sorted(os.sched_getaffinity(found["writer"])) == cores
    assert os.sched_getscheduler(found["writer"]) == os.SCHED_OTHER


def test_segments_are_in_memory_once(server: ServerProcess) -> None:
    with connected(server) as client:
        collection = client.create_collection("large", vecstore.Dense(DIM, index="flat"))
        for start in range(0, ROWS, 5_000):
            collection.upsert(list(range(start, start + 5_000)), vectors(5_000, start))
        collection.compact()
        shares: list[float] = []

        def all_have_read_it() -> bool:
            with connected(server) as other:  # of whichever reader the system chooses
                other.collection("large").query(vectors(1)[0], exact=True)
            shares.clear()
            for name, pid in pids(client).items():
                maps = [one for one in psutil.Process(pid).memory_maps(grouped=False) if "/cache/" in one.path]
                rss, pss = (
                    sum(getattr(one, kind) for one in maps if one.size >= ROWS * DIM * 4) for kind in ("rss", "pss")
                )
                if name != "writer" and rss >= ROWS * DIM * 4:
                    shares.append(pss / rss)
            return len(shares) == READERS

        eventually(all_have_read_it)
        assert max(shares) < 0.6  # two or three processes share each page


def test_a_second_server_is_refused_on_the_port(server: ServerProcess, tmp_path: Path) -> None:
    port = server.address.rsplit(":")[-1]
    command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(tmp_path / "other"), "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ended.returncode != 0
    assert "cannot listen" in ended.stderr
    with pytest.raises(IoFailed, match=port):
        hold_port("127.0.0.1", int(port))


def test_a_killed_reader_is_replaced(server: ServerProcess) -> None:
    with connected(server) as client:
        collection = client.create_collection("of-readers", vecstore.Dense(DIM))
        collection.upsert([1, 2], vectors(2))
        before = pids(client)
        os.kill(before["reader-1"], signal.SIGKILL)
        eventually(lambda: collection.count() == 2)
        eventually(lambda: pids(client).get("reader-1", before["reader-1"]) != before["reader-1"])
        assert pids(client)["reader-2"] == before["reader-2"]


def test_without_the_writer_reads_go_on_and_writes_say_so(server: ServerProcess, rest: str) -> None:
    with connected(server) as client, contextlib.ExitStack() as stack:
        collection = client.create_collection("outlives", vecstore.Dense(DIM))
        seq = collection.upsert([1, 2], vectors(2)).seq
        eventually(lambda: all(one.get("batches_behind", 0) == 0 for one in client.info()["processes"]))
        before = pids(client)
        stack.enter_context(stopped(server))  # it starts no new writer meanwhile
        os.kill(before["writer"], signal.SIGKILL)
        with pytest.raises(Unavailable, match="queries are answered") as away:
            collection.delete(filter=vecstore.F("n").eq(1))  # not sent twice
        assert float(away.value.metadata["retry_after_s"]) > 0
        assert collection.count() == 2
        assert client.has_collection("outlives")
        with asking(rest, 1) as (over_rest,):
            path = "/v1/collections/outlives"
            refused = over_rest.post(f"{path}/points/delete", json={"ids": [9]})
            assert (refused.status_code, refused.json()["reason"]) == (503, "UNAVAILABLE")
            assert refused.headers["retry-after"] == "1"
            assert over_rest.post(f"{path}/points/count").json()["count"] == 2
            assert over_rest.get(path).json()["points"] == 2
        assert collection.info().seq == seq
        stack.close()
        eventually(lambda: pids(client)["writer"] != before["writer"])
        eventually(lambda: collection.upsert([3], vectors(1)).seq > seq)
        assert collection.count() == 3


def test_keys_hold_across_processes(server: ServerProcess) -> None:
    """Whoever answers: a key for some collections sees those, and one that reads writes nothing."""
    with connected(server) as client:
        client.create_collection("secret", vecstore.Dense(DIM))
    with connected(server, LIMITED) as client:
        assert [info.name for info in client.list_collections()] == ["own"]
        assert client.collection("own").count() >= 0
        for forbidden in (
            lambda: client.collection("secret").count(),
            lambda: client.collection("secret").info(),
            lambda: client.collection("own").upsert([1], vectors(1)),
            lambda: client.create_collection("own2", vecstore.Dense(DIM)),
        ):
            with pytest.raises(PermissionDenied):
                forbidden()
    with connected(server, "") as client, pytest.raises(vecstore.Unauthenticated):
        client.list_collections()


def test_a_failing_start_says_why(server: ServerProcess) -> None:
    directory = Path(server.process.args[4])  # type: ignore[index]
    command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(directory), "--port", "0", "--readers", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ended.returncode != 0
    assert "DIRECTORY_LOCKED" in ended.stderr


def test_it_drains_and_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "db"
    with ServerProcess(data, SERVER_READERS=1, SERVER_LOG_LEVEL="warning") as server, connected(server, "") as client:
        collection = client.create_collection("late", vecstore.Dense(DIM))
        left = list(pids(client).values())
        acked: list[int] = []

        def write() -> None:
            with contextlib.suppress(vecstore.VecstoreError):
                for n in range(100_000):
                    collection.upsert([n], vectors(1, n))
                    acked.append(n)

        thread = threading.Thread(target=write)
        thread.start()
        eventually(lambda: len(acked) > 20)
        server.process.terminate()
        assert server.process.wait(60) == 0
        thread.join()
    assert not any(psutil.pid_exists(pid) for pid in left)
    with vecstore.connect(data) as client:
        assert client.collection("late").count() >= len(acked)
