"""Aliases at the doors of a server: looked up once a call and before the key is asked, in streams for each message."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from server_support import SCHEMA, Client, failure, point, query
from waiting import wait_until

import vecstore
from vecstore.access import Principal
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.access.principal import ANYONE
from vecstore.aliases import CreateAlias
from vecstore.client.local import AsyncLocal
from vecstore.config import Server, Settings, Storage
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.errors import NotFound
from vecstore.gateway.serving import start_server
from vecstore.observe.logs import Event
from vecstore.pb.v1 import aliases_pb2, collections_pb2
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.server.names import READ_ON_LOOP_BYTES, Names
from vecstore.server.rules import RULES
from vecstore.types import PointBatch, UpsertRequest, VectorBatch

ROOT = "k" * 32


class Served(NamedTuple):
    """Collections blue (points 0 to 4) and green (0 to 2); docs is an alias of blue."""

    client: Client
    database: Database
    port: int
    rest: str
    keys: dict[str, str]

    def as_(self, key: str) -> Any:
        return (("authorization", f"Bearer {self.keys[key]}"),)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    file = tmp_path / "keys.json"
    made = {name: new_key(name, "admin", names) for name, names in (("blues", ("blue*",)), ("docs", ("docs",)))}
    change_keys(file, lambda _: tuple(record for _, record in made.values()))
    settings = Settings(
        server=Server(port=0, rest_port=0, api_key=ROOT, keys_file=str(file), slow_query_s=1e-9, log_level="info")
    )
    with Database.open(None, settings) as database, start_server(database, settings) as handle:
        client = Client(handle.port)
        keys = {"root": ROOT} | {name: key for name, (key, _) in made.items()}
        found = Served(client, database, handle.port, f"http://127.0.0.1:{handle.rest_port}", keys)
        for name, count in (("blue", 5), ("green", 3)):
            database.create_collection(name, SCHEMA)
            request = pb.UpsertRequest(collection=name, points=[point(n) for n in range(count)])
            client.points.Upsert(request, metadata=found.as_("root"))
        switch(database, "blue")
        yield found
        client.channel.close()


def switch(database: Database, collection: str) -> None:
    database.update_aliases([CreateAlias("docs", collection)])


def test_a_key_is_for_collections_and_an_alias_gives_no_right(served: Served) -> None:
    count = served.client.points.Count
    docs = pb.CountRequest(collection="docs")
    assert count(docs, metadata=served.as_("blues")).count == 5
    code, error = failure(count, docs, metadata=served.as_("docs"))  # the name is the key's, the collection is not
    assert (code, error.message) == ("PERMISSION_DENIED", "key 'docs' is not for collection 'docs'")
    switch(served.database, "green")
    code, error = failure(count, docs, metadata=served.as_("blues"))
    assert (code, error.message) == ("PERMISSION_DENIED", "key 'blues' is not for collection 'docs'")
    mixed = pb.QueryBatchRequest(queries=[query(collection="blue"), query()])
    assert failure(served.client.points.QueryBatch, mixed, metadata=served.as_("blues"))[0] == "PERMISSION_DENIED"
    big = pb.UpsertRequest(collection="docs", points=[point(n) for n in range(3_000)])
    assert big.ByteSize() > READ_ON_LOOP_BYTES
    assert failure(served.client.points.Upsert, big, metadata=served.as_("blues"))[0] == "PERMISSION_DENIED"
    streams = (
        lambda: served.client.points.UpsertStream(iter([big]), metadata=served.as_("blues"), timeout=60),
        lambda: served.client.points.UpsertStream(iter([big]), metadata=served.as_("docs"), timeout=60),
    )
    for stream in streams:
        assert failure(lambda stream=stream, **_: stream())[0] == "PERMISSION_DENIED"
    assert served.database.collection_info("green").points == 3
    stream = [pb.QueryStreamRequest(tag=n, query=query(collection=c)) for n, c in ((1, "blue"), (2, "docs"))]
    answers = served.client.points.QueryStream(iter(stream), metadata=served.as_("blues"), timeout=60)
    assert {one.tag: one.error.reason for one in answers} == {1: "", 2: "PERMISSION_DENIED"}


def test_the_same_over_http(served: Served) -> None:
    for key, collection, status in (("blues", "blue", 200), ("docs", "blue", 403), ("blues", "green", 403)):
        switch(served.database, collection)
        with httpx.Client(base_url=served.rest, headers={"api-key": served.keys[key]}, timeout=60) as client:
            answers = [
                client.post("/v1/collections/docs/points/count", json={}),
                client.get("/v1/collections/docs"),
                client.post("/v1/collections/docs/export", json={}),
                client.put("/v1/collections/docs/points", json={"points": [{"id": 1}]}),
            ]
            assert {one.status_code for one in answers} == {status}, [one.text for one in answers]
            assert status == 200 or not any(collection in one.text for one in answers)
            assert client.get("/v1/collections/docs/aliases").status_code == status
            assert client.get("/readyz?collection=docs").status_code == status
            listed = client.get("/v1/aliases").json()["aliases"]
            assert listed == ([{"alias": "docs", "collection": "blue"}] if status == 200 else [])
            assert client.get("/v1/aliases/docs").status_code == (200 if status == 200 else 404)


def test_a_key_of_some_collections_changes_their_aliases_only(served: Served) -> None:
    def update(*actions: Any) -> Any:
        request = aliases_pb2.UpdateAliasesRequest(actions=[{name: fields} for name, fields in actions])
        return served.client.collections.UpdateAliases(request, metadata=served.as_("blues"), timeout=60)

    made = update(("create", {"alias": "blues", "collection": "blue"}))
    assert [one.alias for one in made.aliases] == ["blues", "docs"]
    for action, code in (
        (("create", {"alias": "mine", "collection": "blue"}), "PERMISSION_DENIED"),  # could be another's collection
        (("create", {"alias": "blues", "collection": "green"}), "PERMISSION_DENIED"),
        (("rename", {"alias": "blues", "new_alias": "mine"}), "PERMISSION_DENIED"),
    ):
        assert failure(lambda action=action, **_: update(action))[0] == code
    switch(served.database, "green")
    for action in (("delete", {"alias": "docs"}), ("swap", {"alias": "docs", "other": "blues"})):
        code, error = failure(lambda action=action, **_: update(action))
        assert (code, error.reason) == ("NOT_FOUND", "ALIAS_NOT_FOUND")
    listing = served.client.collections.ListAliases
    every = aliases_pb2.ListAliasesRequest()
    assert [one.alias for one in listing(every, metadata=served.as_("blues")).aliases] == ["blues"]
    green = aliases_pb2.ListAliasesRequest(collection="green")
    assert failure(listing, green, metadata=served.as_("blues"))[0] == "PERMISSION_DENIED"
    nothing = aliases_pb2.UpdateAliasesRequest(actions=[{}])
    code, error = failure(served.client.collections.UpdateAliases, nothing, metadata=served.as_("root"))
    assert (code, error.field_violations[0][0]) == ("INVALID_ARGUMENT", "actions[0]")
    with httpx.Client(base_url=served.rest, headers={"api-key": served.keys["blues"]}, timeout=60) as client:
        assert client.put("/v1/aliases/blue_live", json={"collection": "blue"}).status_code == 200
        assert client.put("/v1/aliases/other", json={"collection": "blue"}).status_code == 403
        assert client.put("/v1/aliases/blue_x", json={"collection": "green"}).status_code == 403
        assert client.delete("/v1/aliases/docs").json()["reason"] == "ALIAS_NOT_FOUND"
        both = {"actions": [{"delete": {"alias": "blues"}, "swap": {"alias": "a", "other": "b"}}]}
        assert client.post("/v1/aliases", json=both).json()["reason"] == "BAD_ARGUMENT"
        assert client.delete("/v1/aliases/blue_live").json() == {"deleted": True}


def test_a_stream_of_queries_sees_one_collection_or_the_other(served: Served) -> None:
    """While the alias is switched to and fro, and the collection that it left is dropped and made again."""
    stop = threading.Event()

    def requests() -> Iterator[pb.QueryStreamRequest]:
        tag = 0
        while not stop.is_set():
            tag += 1
            yield pb.QueryStreamRequest(tag=tag, query=query(limit=10))

    found: set[frozenset[int]] = set()
    wrong = []

    def read() -> None:
        for answer in served.client.points.QueryStream(requests(), metadata=served.as_("root"), timeout=60):
            found.add(frozenset(one.id.num for one in answer.result.points))
            if answer.HasField("error"):
                wrong.append(answer.error)

    reader = threading.Thread(target=read)
    reader.start()
    live, other = ("blue", 5), ("green", 3)
    for _ in range(15):
        switch(served.database, other[0])
        served.database.delete_collection(live[0])
        served.database.create_collection(live[0], SCHEMA)
        again = pb.UpsertRequest(collection=live[0], points=[point(n) for n in range(live[1])])
        served.client.points.Upsert(again, metadata=served.as_("root"))
        live, other = other, live
    stop.set()
    reader.join()
    assert not wrong
    assert found == {frozenset(range(5)), frozenset(range(3))}


def test_a_call_whose_collection_is_dropped_on_its_way_goes_where_the_alias_does(served: Served) -> None:
    """It was looked up, then waited, and meanwhile the alias was switched and the old collection dropped."""
    database = served.database
    asked: list[str] = []

    async def call(data: bytes) -> int:
        name = pb.CountRequest.FromString(data).collection
        asked.append(name)
        if len(asked) == 1:
            switch(database, "green")
            database.delete_collection("blue")
        return database.collection_info(name).points

    async def run(principal: Principal, collection: str) -> int:
        with ThreadPoolExecutor(1) as executor:
            names = Names(database, executor, follows=False)
            data = pb.CountRequest(collection=collection).SerializeToString()
            return await names.run(RULES["Points/Count"], principal, data, 5.0, call)

    assert asyncio.run(run(ANYONE, "docs")) == 3
    assert asked == ["blue", "green"]
    with pytest.raises(NotFound, match="blue"):
        asyncio.run(run(ANYONE, "blue"))


def test_the_same_over_http_when_it_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    count, asked = AsyncLocal.count, []

    async def late(self: AsyncLocal, request: Any) -> Any:
        asked.append(request.collection)
        if len(asked) == 1:
            switch(served.database, "green")
            served.database.delete_collection("blue")
        return await count(self, request)

    monkeypatch.setattr(AsyncLocal, "count", late)
    with httpx.Client(base_url=served.rest, headers={"api-key": ROOT}, timeout=60) as client:
        assert client.post("/v1/collections/docs/points/count", json={}).json()["count"] == 3
    assert asked == ["blue", "green"]


def test_logs_name_the_collection_itself(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "vecstore.server"):
        served.client.points.Count(pb.CountRequest(collection="docs"), metadata=served.as_("root"))
        served.client.points.Query(query(), metadata=served.as_("root"))
        with httpx.Client(base_url=served.rest, headers={"api-key": ROOT}, timeout=60) as client:
            client.post("/v1/collections/docs/points/count", json={})

        def said() -> list[str]:
            return [record.msg.fields["collection"] for record in caplog.records if isinstance(record.msg, Event)]

        wait_until(lambda: len(said()) >= 3)  # a line comes after the answer
    assert said() == ["blue"] * 3


def test_a_collection_is_made_and_dropped_by_its_own_name(served: Served) -> None:
    delete, create = served.client.collections.Delete, served.client.collections.Create
    request = collections_pb2.DeleteCollectionRequest(name="docs")
    assert failure(delete, request, metadata=served.as_("root"))[1].reason == "NAME_IS_ALIAS"
    assert failure(delete, request, metadata=served.as_("blues"))[0] == "PERMISSION_DENIED"
    made = collections_pb2.CreateCollectionRequest(name="docs", schema={"vectors": {"v": {"dim": 4}}})
    assert failure(create, made, metadata=served.as_("root"))[1].reason == "ALIAS_EXISTS"
    refused = pytest.raises(vecstore.FailedPrecondition, match="COLLECTION_HAS_ALIASES")
    with vecstore.connect(served.rest, api_key=ROOT) as client, refused:
        client.delete_collection("blue")


def test_a_reader_looks_up_among_what_the_caller_has_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows neither the switch nor the write that went by it, until what it follows has come to the write."""
    fed = Settings(storage=Storage(feed=True, maintenance=False))
    with Database.open(tmp_path / "db", fed) as writer:
        for name in ("blue", "green"):
            writer.create_collection(name, SCHEMA)
        switch(writer, "blue")
        with Follower.open(tmp_path / "db") as reader, ThreadPoolExecutor(1) as executor:
            go, apply = threading.Event(), reader._apply
            monkeypatch.setattr(reader, "_apply", lambda *batch: (go.wait(60), apply(*batch)))
            switch(writer, "green")
            vectors = {"text": VectorBatch(np.ones((1, 4), np.float32))}
            assert writer.write(UpsertRequest("docs", PointBatch([1], vectors))).collection == "green"
            names = Names(reader, executor, follows=True)

            async def answer(data: bytes) -> str:
                return pb.CountRequest.FromString(data).collection

            def asked(**seqs: int) -> str:
                data = pb.CountRequest(collection="docs", min_seqs=seqs).SerializeToString()
                return asyncio.run(names.run(RULES["Points/Count"], ANYONE, data, 60.0, answer))

            assert asked() == "blue"
            threading.Timer(0.2, go.set).start()
            assert asked(green=1) == "green"
