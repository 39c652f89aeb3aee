"""/metrics and the health pages of a live server, read as Prometheus and load balancers read them."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families
from server_support import Client, failure, measured, point, query, serving
from waiting import wait_until

from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.engine.database import Database
from vecstore.errors import Corruption
from vecstore.observe import listener as listener_module
from vecstore.pb.v1 import collections_pb2, points_pb2
from vecstore.server.running import ServerHandle


class Watched(NamedTuple):
    client: Client
    handle: ServerHandle
    database: Database
    port: int

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def metrics(self, **headers: str) -> dict[str, float]:
        """Samples by their text, such as `name{label="value"}`."""
        status, body, _ = self.get("/metrics", **headers)
        assert status == 200, body
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(body.decode()):
            assert family.documentation, family.name
            for sample in family.samples:
                labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                key = f"{sample.name}{{{labels}}}" if labels else sample.name
                assert key not in found, f"{key} is given twice"
                found[key] = sample.value
        return found


@pytest.fixture
def watched() -> Iterator[Watched]:
    with measured(metrics_collections_max=2) as (handle, database, port):
        client = Client(handle.port)
        yield Watched(client, handle, database, port)
        client.channel.close()


def test_calls_batches_and_writes_are_counted(watched: Watched) -> None:
    client = watched.client
    client.create()
    client.upsert(5)
    for _ in range(3):
        client.points.Query(query())
    assert failure(client.points.Query, query(collection="nil8"))[0] == "NOT_FOUND"
    assert failure(client.raw, "/vecstore.v1.Points/MadeUp1")[0] == "UNIMPLEMENTED"
    assert failure(client.raw, "/made.up/Two")[0] == "UNIMPLEMENTED"
    stream = [points_pb2.QueryStreamRequest(tag=n, query=query()) for n in range(4)]
    assert len(list(client.points.QueryStream(iter(stream)))) == 4
    batches = [points_pb2.UpsertRequest(collection="docs", points=[point(n)]) for n in range(3)]
    assert len(list(client.points.UpsertStream(iter(batches)))) == 3
    found = watched.metrics()

    def calls(method: str, code: str = "OK") -> float:
        labels = f'{{code="{code}",method="{method}",protocol="grpc"}}'
        seconds = found[f"vecstore_request_duration_seconds_sum{labels}"]
        assert seconds > 0 or code == "UNIMPLEMENTED"
        return found[f"vecstore_request_duration_seconds_count{labels}"]

    assert calls("Points/Query") == 3
    assert calls("Points/Query", "NOT_FOUND") == 1
    assert calls("unknown", "UNIMPLEMENTED") == 2
    assert calls("Points/QueryStream") == 1
    assert calls("Points/QueryStream.query") == 4
    assert calls("Points/UpsertStream.batch") == 3
    assert not any("MadeUp1" in name for name in found)
    assert found["vecstore_query_batch_queries_sum"] == 7
    assert found["vecstore_query_batch_seconds_count"] == found["vecstore_query_batch_queries_count"] <= 7
    assert found["vecstore_write_group_writes_sum"] == 4
    assert found["vecstore_fsync_seconds_count"] == found["vecstore_write_group_writes_count"]
    assert found['vecstore_requests_open{state="running"}'] == 0


def test_open_calls_are_seen(watched: Watched) -> None:
    watched.client.create()
    stop = threading.Event()

    def queries() -> Iterator[Any]:
        yield points_pb2.QueryStreamRequest(tag=1, query=query())
        stop.wait(60)

    answers = watched.client.points.QueryStream(queries())
    next(answers)
    assert watched.metrics()['vecstore_requests_open{state="streams"}'] == 1
    stop.set()
    list(answers)


def test_collections_have_gauges_up_to_a_bound(watched: Watched) -> None:
    client, database = watched.client, watched.database
    for count, name in ((50, "a"), (4, "b"), (5, "c"), (6, "d")):
        client.create(name)
        client.upsert(count, name)
    database.wait_operation(database.compact("a").id)
    client.upsert(4, "a")  # replaces sealed ones, too few to be compacted away
    database.probes.on_recall("a", "text", 0.97)
    database.probes.on_recall("d", "text", 0.5)
    database.probes.on_recall("gone", "text", 0.5)
    found = watched.metrics()
    assert found["vecstore_collections"] == 4
    assert found['vecstore_collection_points{collection="a"}'] == 50
    assert found['vecstore_collection_deleted_rows{collection="a"}'] == 4
    assert found['vecstore_collection_growing_rows{collection="a"}'] == 4
    assert found['vecstore_collection_sealed_segments{collection="a"}'] == 1
    assert found['vecstore_collection_sealed_bytes{collection="a"}'] > 0
    assert found['vecstore_collection_growing_bytes{collection="b"}'] > 0
    assert found['vecstore_collection_points{collection="(others)"}'] == 5 + 6
    assert found['vecstore_collection_up{collection="(others)"}'] == 1
    assert found['vecstore_index_state{collection="a",field="text",state="ready"}'] == 1
    assert found['vecstore_index_state{collection="a",field="text",state="building"}'] == 0
    assert {k: v for k, v in found.items() if "recall" in k} == {
        'vecstore_shadow_recall{collection="a",field="text"}': 0.97
    }
    assert {k.split('"')[1] for k in found if k.startswith(("vecstore_collection_", "vecstore_index_"))} == {
        "a", "b", "(others)"
    }  # fmt: skip
    assert found['vecstore_operations_running{kind="compact"}'] == 0
    database.collection("d").failed = Corruption("gone")
    assert watched.metrics()['vecstore_collection_up{collection="(others)"}'] == 0


def test_what_runs_here(watched: Watched) -> None:
    found = watched.metrics()
    [info] = [name for name in found if name.startswith("vecstore_build_info")]
    assert 'version="' in info
    assert 'kernels="' in info
    assert found["process_resident_memory_bytes"] > 1 << 20
    assert found["process_start_time_seconds"] > 1e9
    assert (
        found['vecstore_memory_limit_bytes{use="filter_cache"}'] == watched.database.settings.search.filter_cache_bytes
    )
    _, body, headers = watched.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_pages_of_health(watched: Watched) -> None:
    watched.client.create()
    status, body, _ = watched.get("/livez")
    assert (status, json.loads(body)) == (200, {"status": "alive"})
    assert watched.get("/healthz")[0] == 200
    database = watched.database
    found = json.loads(watched.get("/readyz")[1])["collections"]["docs"]
    assert (found["state"], found["verified"]) == ("ready", None)
    assert found["indexes"] == {"text": "ready", "bits": "ready"}
    before = time.time()
    database.wait_operation(database.verify().id)
    found = json.loads(watched.get("/readyz?collection=docs")[1])
    assert before - 1 <= found["verified"] <= time.time() + 1
    assert watched.get("/readyz?collection=nil8")[0] == 404
    database.collection("docs").failed = Corruption("its log is not what was written")
    status, body, _ = watched.get("/readyz?collection=docs")
    assert (status, json.loads(body)["state"]) == (503, "failed")
    assert "its log" in json.loads(body)["why"]
    assert watched.get("/readyz")[0] == 200  # one damaged collection does not take the others out of service


def test_a_server_that_stops_is_not_ready(watched: Watched) -> None:
    watched.client.create()
    entered, stop, count = threading.Event(), threading.Event(), watched.database.count

    def held(request: Any) -> Any:
        entered.set()
        assert stop.wait(60)
        return count(request)

    def queries() -> Iterator[Any]:
        stop.wait(60)
        yield from ()

    watched.database.count = held  # type: ignore[method-assign]
    open_call = watched.client.points.Count.future(points_pb2.CountRequest(collection="docs"), timeout=60)
    assert entered.wait(60)
    list_of = watched.client.points.QueryStream(queries())
    wait_until(lambda: watched.metrics()['vecstore_requests_open{state="streams"}'] > 0)
    call = watched.client.points.UpsertStream(queries())  # ends when told to drain
    stopping = threading.Thread(target=watched.handle.stop, args=(60,))
    stopping.start()
    wait_until(lambda: watched.get("/readyz")[0] == 503)
    assert watched.get("/livez")[0] == 200
    stop.set()
    stopping.join()
    assert open_call.result().count == 0
    del list_of, call


def test_what_is_no_request_of_ours(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched.get("/")[0] == 404
    assert watched.get("/metrics/..")[0] == 404
    assert watched.get("/livez", "POST")[0] == 405
    status, body, headers = watched.get("/livez", "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "19")
    for sent in (b"GET / nothing\r\n\r\n", b"\x16\x03\x01\r\n\r\n"):
        assert raw(watched.port, sent).startswith(b"HTTP/1.1 400")
    monkeypatch.setattr(listener_module, "HEAD_S", 0.2)
    for sent in (b"GET /livez HTTP/1.1\r\n", b"GET /" + b"x" * 70_000, b""):  # slow, giant, silent
        assert raw(watched.port, sent) == b""
    monkeypatch.undo()
    assert watched.get("/livez")[0] == 200


def raw(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sender:
        try:
            sender.sendall(sent)
            return sender.makefile("rb").read()
        except ConnectionError:
            return b""


def test_names_and_numbers_are_for_keys(tmp_path: Path) -> None:
    path, keys = tmp_path / "keys.json", {}
    for name, role, collections in (("monitor", "read", None), ("tenant", "read", ("a",))):
        keys[name], record = new_key(name, role, collections)
        change_keys(path, lambda there, record=record: (*there, record))  # type: ignore[misc]
    with measured(keys_file=str(path), api_key="root") as (handle, database, port):
        client = Client(handle.port)
        watched = Watched(client, handle, database, port)
        for name in ("a", "b"):
            request = collections_pb2.CreateCollectionRequest(name=name)
            request.schema.vectors["text"].dim = 4
            client.collections.Create(request, metadata=(("api-key", "root"),))
        assert watched.get("/metrics")[0] == 401
        assert watched.get("/metrics", api_key="wrong")[0] == 401
        assert watched.get("/metrics", api_key="root", Authorization="Bearer root")[0] == 401
        assert watched.get("/metrics", api_key=keys["tenant"])[0] == 403
        assert watched.metrics(Authorization=f"Bearer {keys['monitor']}")["vecstore_collections"] == 2
        assert json.loads(watched.get("/readyz")[1]) == {"status": "ok"}
        assert watched.get("/readyz?collection=a")[0] == 401
        seen = json.loads(watched.get("/readyz", api_key=keys["tenant"])[1])
        assert list(seen["collections"]) == ["a"]
        assert watched.get("/readyz?collection=a", api_key=keys["tenant"])[0] == 200
        there, nowhere = (watched.get(f"/readyz?collection={c}", api_key=keys["tenant"]) for c in ("b", "z"))
        assert there[0] == nowhere[0] == 403
        assert there[1].replace(b"'b'", b"'z'") == nowhere[1]
        denied = '{code="UNAUTHENTICATED",method="Points/Query",protocol="grpc"}'
        assert failure(client.points.Query, query())[0] == "UNAUTHENTICATED"
        found = watched.metrics(api_key="root")
        assert found[f"vecstore_request_duration_seconds_count{denied}"] == 1
        assert not any(key in text for text in found for key in keys.values())
        client.channel.close()


def test_metrics_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    file = str(tmp_path / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with measured(tls_cert=file, tls_key=file) as (_, _, port):
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 200
        connection.close()
        assert raw(port, b"GET /livez HTTP/1.1\r\n\r\n").find(b"200") == -1


def test_a_taken_port_is_told_of() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with (
            pytest.raises(Exception, match="for metrics") as raised,
            serving(metrics_port=taken.getsockname()[1]),
        ):
            pass
    assert type(raised.value).__name__ == "IoFailed"
