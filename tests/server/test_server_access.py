"""Every call against every kind of key. What a call needs is written here again, apart from the server's own table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import msgspec
import pytest
from server_support import Client, failure, point, query, serving

from vecstore.access import access as access_module
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.pb.v1 import collections_pb2, operations_pb2, points_pb2, snapshots_pb2
from vecstore.server import calls as calls_module
from vecstore.server import names as names_module
from vecstore.server.rules import RULES
from vecstore.server.running import start_server

READS = {
    "Collections": "Get List Exists ListAliases Stats Estimate Info",
    "Points": "Get Scroll Count Facet DistanceMatrix Query QueryGroups Explain WhyNot QueryBatch QueryStream",
    "Operations": "Get List Watch",
}
WRITES = {
    "Points": "Upsert Delete SetPayload OverwritePayload DeletePayload ClearPayload UpdateVectors DeleteVectors"
    " UpdateBatch UpsertStream"
}
ADMINISTERS = {
    "Collections": "Create Delete Update UpdateAliases CreateFieldIndex UpdateIndex Tune DeleteFieldIndex Compact"
    " Verify",
    "Operations": "Cancel",
    "Snapshots": "Create List Delete Restore",
}
NEEDS = {
    role: [f"{service}/{name}" for service, names in table.items() for name in names.split()]
    for role, table in (("read", READS), ("write", WRITES), ("admin", ADMINISTERS))
}
ROLES = list(NEEDS)
# Calls that name no collection: they answer, and show what the key may see.
FILTERED = {
    "Collections/List",
    "Collections/Info",
    *(f"Operations/{name}" for name in ("Get", "List", "Watch", "Cancel")),
}
PER_MESSAGE = {"Points/QueryStream"}  # the error is one of the query, not of the stream
METHODS = {
    f"{service.name}/{method.name}": method
    for file in (collections_pb2, points_pb2, operations_pb2, snapshots_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class Served(NamedTuple):
    client: Client
    keys: dict[str, str]
    path: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    keys = {role: _add(path, role, role) for role in ROLES}
    keys |= {f"{role} of docs": _add(path, f"{role}-docs", role, "docs") for role in ROLES}
    keys |= {f"{role} of other": _add(path, f"{role}-other", role, "oth*") for role in ROLES}
    keys |= {"root": "a-word", "wrong": new_key("nobody", "admin")[0]}
    with serving(api_key="a-word", keys_file=str(path)) as (handle, database):
        client = Client(handle.port)
        admin = meta(keys["admin"])
        for name in ("docs", "other"):
            request = collections_pb2.CreateCollectionRequest(name=name)
            request.schema.vectors["text"].dim = 4
            client.collections.Create(request, metadata=admin)
            database.wait_operation(database.compact(name).id)
        yield Served(client, keys, path)
        client.channel.close()


def _add(path: Path, name: str, role: str, *collections: str) -> str:
    key, record = new_key(name, role, collections or None)
    change_keys(path, lambda keys: (*keys, record))
    return key


def meta(key: str | None) -> Any:
    return () if key is None else (("authorization", f"Bearer {key}"),)


def request_for(name: str, collection: str) -> bytes:
    """A request that names the collection and lacks all else."""
    message = METHODS[name].input_type._concrete_class()
    fields = message.DESCRIPTOR.fields_by_name
    if "collection" in fields:
        message.collection = collection
    elif "queries" in fields:
        message.queries.add(collection=collection)
    elif "query" in fields:
        message.query.collection = collection
    elif "name" in fields:
        message.name = collection
    elif "actions" in fields:
        message.actions.add().rename.new_alias = collection
    return bytes(message.SerializeToString())


def outcome(served: Served, name: str, who: str | None, collection: str = "docs") -> tuple[str, str]:
    """The code and message of a call."""
    method = METHODS[name]
    kind = ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
    data = request_for(name, collection)
    call = getattr(served.client.channel, kind)(f"/{method.containing_service.full_name}/{method.name}")
    try:
        answer = call(iter([data]) if method.client_streaming else data, metadata=meta(who), timeout=60)
        if method.server_streaming:
            answers = list(answer)
            if name in PER_MESSAGE:
                error = points_pb2.QueryStreamResponse.FromString(answers[0]).error
                return error.code or "OK", error.message
    except grpc.RpcError as error:
        return error.code().name, error.details() or ""
    return "OK", ""


def test_every_call_has_a_rule_and_a_row_here() -> None:
    assert set(RULES) == set(METHODS)
    assert sorted(name for names in NEEDS.values() for name in names) == sorted(METHODS)


def test_a_call_without_a_rule_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "RULES", {name: rule for name, rule in RULES.items() if name != "Points/Facet"})
    with Database.open(None) as database, pytest.raises(KeyError, match="Points/Facet"):
        start_server(database, Settings(server=Server(port=0)))


@pytest.mark.parametrize("who", [None, "wrong"])
def test_nobody_may_do_anything(served: Served, who: str | None) -> None:
    for name in METHODS:
        assert outcome(served, name, who and served.keys[who])[0] == "UNAUTHENTICATED", name


@pytest.mark.parametrize("role", [*ROLES, "root"])
@pytest.mark.parametrize("of", ["", " of docs"])
def test_each_role_may_do_its_own_and_what_is_below(served: Served, role: str, of: str) -> None:
    key = served.keys["root" if role == "root" else role + of]
    reach = ROLES.index("admin" if role == "root" else role)
    for needed, names in NEEDS.items():
        for name in sorted(names, key=lambda name: name == "Collections/Delete"):
            code = outcome(served, name, key)[0]
            assert code != "UNAUTHENTICATED", name
            whole = name.startswith("Snapshots/") and of and role != "root"  # of every collection
            assert (code == "PERMISSION_DENIED") == bool(ROLES.index(needed) > reach or whole), (name, code)
    if reach == 2:  # admins have deleted it
        assert outcome(served, "Collections/Exists", served.keys["admin"])[0] == "OK"
        request = collections_pb2.CreateCollectionRequest(name="docs")
        request.schema.vectors["text"].dim = 4
        served.client.collections.Create(request, metadata=meta(served.keys["admin"]))


@pytest.mark.parametrize("role", ROLES)
def test_a_key_of_another_collection_learns_nothing(served: Served, role: str) -> None:
    """What exists and what does not give the same code and the same words."""
    key = served.keys[f"{role} of other"]
    reach = ROLES.index(role)
    for needed, names in NEEDS.items():
        for name in names:
            there, nowhere = outcome(served, name, key), outcome(served, name, key, "nil8")
            assert there[0] == nowhere[0], name
            assert there[1].replace("docs", "nil8") == nowhere[1], name
            if ROLES.index(needed) > reach or name not in FILTERED:
                assert there[0] == "PERMISSION_DENIED", name
            else:
                assert there[0] in ("OK", "NOT_FOUND"), name
    assert outcome(served, "Collections/Get", key, "other")[0] == "OK"


def test_requests_are_whole_before_they_are_refused(served: Served) -> None:
    """One allowed collection in a batch opens nothing for the others, and one bad message ends no other's query."""
    key = meta(served.keys["write of docs"])
    points = served.client.points
    both = points_pb2.QueryBatchRequest(queries=[query(), query(collection="other")])
    assert failure(points.QueryBatch, both, metadata=key)[0] == "PERMISSION_DENIED"
    stream = [points_pb2.QueryStreamRequest(tag=n, query=query(collection=c)) for n, c in ((1, "docs"), (2, "other"))]
    errors = {answer.tag: answer.error.reason for answer in points.QueryStream(iter(stream), metadata=key, timeout=60)}
    assert errors == {1: "", 2: "PERMISSION_DENIED"}
    text = {"vectors": {"text": {"dense": {"values": [1.0, 0, 0, 0]}}}}
    batches = [points_pb2.UpsertRequest(collection=c, points=[point(4711, **text)]) for c in ("docs", "other")]
    assert failure(points.UpsertStream, iter(batches), metadata=key)[0] == "PERMISSION_DENIED"
    admin = meta(served.keys["admin"])
    there = [
        points.Get(points_pb2.GetPointsRequest(collection=c, ids=[{"num": 4711}]), metadata=admin)
        for c in ("docs", "other")
    ]
    assert [len(one.points) for one in there] == [1, 0]
    big = points_pb2.UpsertRequest(collection="other", points=[point(n, **text) for n in range(3_000)])
    assert big.ByteSize() > names_module.READ_ON_LOOP_BYTES
    assert failure(points.Upsert, big, metadata=key)[0] == "PERMISSION_DENIED"
    wrong = failure(served.client.raw, "/vecstore.v1.Points/Upsert", b"\xff\xff", metadata=key)
    assert wrong[0] == "INVALID_ARGUMENT"


def test_lists_and_facts_show_what_a_key_may_see(served: Served) -> None:
    client, keys = served.client, served.keys
    listing, operations = collections_pb2.ListCollectionsRequest(), operations_pb2.ListOperationsRequest()
    for who, expected in (("admin", {"docs", "other"}), ("read of other", {"other"}), ("read of docs", {"docs"})):
        found = client.collections.List(listing, metadata=meta(keys[who])).collections
        assert {info.name for info in found} == expected
        found = client.operations.List(operations, metadata=meta(keys[who])).operations
        assert {operation.collection for operation in found} <= expected
        info = facts(client, keys[who])
        assert info["collections"] == len(expected)
        assert ("epoch" in info) == (who == "admin")
        assert info["key"]["name"] == who.replace(" of ", "-")
    assert set(facts(client, keys["admin"])["keys"]) >= {"server.api_key", "read", "admin-other"}
    assert "keys" not in facts(client, keys["write"])
    assert "keys" not in facts(client, keys["admin of docs"])
    assert not any(key in str(facts(client, keys["admin"])) for key in keys.values())


def facts(client: Client, key: str) -> dict[str, Any]:
    from vecstore.wire.values import fields_from_pb

    answer = client.collections.Info(collections_pb2.InfoRequest(), metadata=meta(key))
    return dict(fields_from_pb(answer.info))


def test_operations_of_others_are_not_there(served: Served) -> None:
    client, keys = served.client, served.keys
    done = client.collections.Compact(
        collections_pb2.CompactCollectionRequest(collection="other"), metadata=meta(keys["admin"])
    )
    get, cancel, watch = operations_pb2.GetOperationRequest, client.operations.Cancel, client.operations.Watch
    key = meta(keys["admin of docs"])
    for id in (done.id, "op-none"):
        for call, request in (
            (client.operations.Get, get(id=id)),
            (cancel, operations_pb2.CancelOperationRequest(id=id)),
            (watch, operations_pb2.WatchOperationRequest(id=id)),
        ):
            code, error = failure(call, request, metadata=key)
            assert (code, error.reason) == ("NOT_FOUND", "OPERATION_NOT_FOUND")
            assert error.message == f"no operation {id!r}"
    assert client.operations.Get(get(id=done.id), metadata=meta(keys["admin of other"])).id == done.id
    code, error = failure(client.collections.Verify, collections_pb2.VerifyRequest(), metadata=key)
    assert (code, error.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
    assert "concerns all" in error.message


def test_a_revoked_key_ends_streams_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "RELOAD_S", 0.0)
    key = _add(served.path, "brief", "read")

    def queries() -> Iterator[Any]:
        yield points_pb2.QueryStreamRequest(tag=1, query=query())
        while len(answers) < 1:
            pass
        change_keys(served.path, lambda keys: tuple(one for one in keys if one.name != "brief"))
        yield points_pb2.QueryStreamRequest(tag=2, query=query())

    answers: list[Any] = []
    for answer in served.client.points.QueryStream(queries(), metadata=meta(key), timeout=60):
        answers.append(answer)  # noqa: PERF402
    assert [answer.error.reason for answer in answers] == ["", "UNAUTHENTICATED"]
    assert failure(served.client.points.Query, query(), metadata=meta(key))[0] == "UNAUTHENTICATED"


def test_a_key_that_loses_its_role_ends_writes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "RELOAD_S", 0.0)
    key = _add(served.path, "demoted", "write", "docs")
    text = {"vectors": {"text": {"dense": {"values": [1.0, 0, 0, 0]}}}}
    answers: list[Any] = []

    def demote(keys: Any) -> Any:
        return tuple(msgspec.structs.replace(one, role="read") if one.name == "demoted" else one for one in keys)

    def batches() -> Iterator[Any]:
        yield points_pb2.UpsertRequest(collection="docs", points=[point(1, **text)])
        while not answers:
            pass
        change_keys(served.path, demote)
        yield points_pb2.UpsertRequest(collection="docs", points=[point(2, **text)])

    def run() -> None:
        answers.extend(served.client.points.UpsertStream(batches(), metadata=meta(key), timeout=60))

    with pytest.raises(grpc.RpcError) as refused:
        run()
    assert refused.value.code().name == "PERMISSION_DENIED"
    assert len(answers) == 1


def test_a_server_with_a_file_of_keys_may_listen_anywhere(served: Served) -> None:
    with serving(host="0.0.0.0", keys_file=str(served.path)) as (handle, _):
        client = Client(handle.port)
        assert failure(client.points.Query, query())[0] == "UNAUTHENTICATED"
        assert failure(client.points.Query, query(), metadata=meta(served.keys["read"]))[0] == "NOT_FOUND"
        client.channel.close()
    settings = Settings(server=Server(port=0, keys_file="/nonexistent/keys.json"))
    with Database.open(None) as database, pytest.raises(InvalidArgument, match="nonexistent"):
        start_server(database, settings)
