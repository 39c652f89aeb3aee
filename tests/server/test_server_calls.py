"""Every call once, with the answer that an embedded database gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from server_support import Client, failure, point, query

from vecstore.pb.v1 import collections_pb2 as cpb
from vecstore.pb.v1 import common_pb2
from vecstore.pb.v1 import operations_pb2 as opb
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.types import PointBatch, UpsertRequest, VectorBatch
from vecstore.wire.values import fields_from_pb
from vecstore.wire.writes import upsert_to_pb


@pytest.fixture
def fresh(client: Client) -> Client:
    """The shared server with nothing but five points in `docs`."""
    for info in client.collections.List(cpb.ListCollectionsRequest()).collections:
        client.collections.Delete(cpb.DeleteCollectionRequest(name=info.name))
    client.create()
    client.upsert(5)
    return client


def payloads(client: Client) -> dict[int, dict[str, Any]]:
    answer = client.points.Scroll(pb.ScrollRequest(collection="docs", limit=100))
    return {p.id.num: fields_from_pb(p.payload) for p in answer.points}


def test_collections(fresh: Client) -> None:
    stub = fresh.collections
    assert [info.name for info in stub.List(cpb.ListCollectionsRequest()).collections] == ["docs"]
    info = stub.Get(cpb.GetCollectionRequest(name="docs"))
    assert (info.points, info.schema.vectors["text"].dim, info.schema.vectors["bits"].kind) == (5, 4, 2)
    assert stub.Exists(cpb.CollectionExistsRequest(name="docs")).exists
    again = cpb.CreateCollectionRequest(name="docs", schema=info.schema)
    assert failure(stub.Create, again)[1].reason == "COLLECTION_EXISTS"
    again.exist_ok = True
    assert stub.Create(again).points == 5
    assert stub.Delete(cpb.DeleteCollectionRequest(name="docs")).deleted
    assert not stub.Delete(cpb.DeleteCollectionRequest(name="docs")).deleted
    assert not stub.Exists(cpb.CollectionExistsRequest(name="docs")).exists
    assert failure(stub.Get, cpb.GetCollectionRequest(name="docs"))[0] == "NOT_FOUND"


def test_metric_and_kind_have_defaults(fresh: Client) -> None:
    schema = {"vectors": {"a": {"dim": 3}, "b": {"dim": 8, "kind": "VECTOR_KIND_BINARY"}}}
    info = fresh.collections.Create(cpb.CreateCollectionRequest(name="other", schema=schema))
    assert [info.schema.vectors[name].metric for name in "ab"] == [cpb.METRIC_COSINE, cpb.METRIC_HAMMING]


def test_field_indexes_and_operations(fresh: Client) -> None:
    request = cpb.CreateFieldIndexRequest(collection="docs", key="n", kind="FIELD_KIND_INTEGER")
    operation = fresh.collections.CreateFieldIndex(request)
    states = list(fresh.operations.Watch(opb.WatchOperationRequest(id=operation.id), timeout=60))
    assert states[-1].state == opb.OPERATION_STATE_DONE
    assert fresh.operations.Get(opb.GetOperationRequest(id=operation.id)) == states[-1]
    listed = fresh.operations.List(opb.ListOperationsRequest(collection="docs")).operations
    assert operation.id in [o.id for o in listed]
    fresh.operations.Cancel(opb.CancelOperationRequest(id=operation.id))  # finished: nothing to stop
    info = fresh.collections.Get(cpb.GetCollectionRequest(name="docs"))
    assert dict(info.schema.fields) == {"n": cpb.FIELD_KIND_INTEGER}
    index = cpb.DeleteFieldIndexRequest(collection="docs", key="n")
    assert fresh.collections.DeleteFieldIndex(index).deleted
    assert not fresh.collections.DeleteFieldIndex(index).deleted
    for call, kind in (("Get", opb.GetOperationRequest), ("Watch", opb.WatchOperationRequest)):
        code, error = failure(getattr(fresh.operations, call), kind(id="none"))
        assert (code, error.reason) == ("NOT_FOUND", "OPERATION_NOT_FOUND")


@pytest.mark.parametrize("call", ["Compact", "Verify"])
def test_maintenance(fresh: Client, call: str) -> None:
    kind = {"Compact": cpb.CompactCollectionRequest, "Verify": cpb.VerifyRequest}[call]
    operation = getattr(fresh.collections, call)(kind(collection="docs"))
    last = list(fresh.operations.Watch(opb.WatchOperationRequest(id=operation.id), timeout=60))[-1]
    assert (last.state, last.error) == (opb.OPERATION_STATE_DONE, "")
    assert len(payloads(fresh)) == 5


def test_stats_and_info(fresh: Client) -> None:
    stats = fields_from_pb(fresh.collections.Stats(cpb.CollectionStatsRequest(collection="docs")).stats)
    assert stats["points"] == 5
    assert "version" in fresh.collections.Info(cpb.InfoRequest()).info


def test_upsert_by_rows_and_columns(fresh: Client) -> None:
    request = pb.UpsertRequest(collection="docs", points=[point(3), point(9)], mode="WRITE_MODE_INSERT_ONLY")
    answer = fresh.points.Upsert(request)
    assert (answer.changed, answer.skipped) == (1, 1)
    vectors = {"text": VectorBatch(np.eye(4, dtype=np.float32))}
    batch = PointBatch([20, "x", 21, 22], vectors, [b'{"a": 1}', None, None, b'{"a": 2}'])
    assert fresh.points.Upsert(upsert_to_pb(UpsertRequest("docs", batch))).changed == 4
    found = fresh.points.Query(query(nearest={"dense": {"values": [0, 0, 0, 1]}}, limit=1)).points
    assert [p.id.num for p in found] == [22]


def test_the_last_of_equal_ids_wins(fresh: Client) -> None:
    points = [point(1, payload={"n": {"integer_value": n}}) for n in (7, 8)]
    fresh.points.Upsert(pb.UpsertRequest(collection="docs", points=points))
    assert payloads(fresh)[1] == {"n": 8}


def test_get_scroll_count(fresh: Client) -> None:
    request = pb.GetPointsRequest(
        collection="docs", ids=[{"num": 4}, {"num": 99}, {"num": 0}], with_vectors={"include": {"names": ["bits"]}}
    )
    got = fresh.points.Get(request)
    assert [p.id.num for p in got.points] == [4, 0]
    assert got.points[0].vectors["bits"].binary.data == b"\4\0"
    assert list(got.points[0].vectors) == ["bits"]
    assert got.seq > 0
    first = fresh.points.Scroll(pb.ScrollRequest(collection="docs", limit=3, payload_encoding="PAYLOAD_ENCODING_JSON"))
    assert [p.payload_json for p in first.points] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    rest = fresh.points.Scroll(pb.ScrollRequest(collection="docs", limit=3, after=first.next_after))
    assert [p.id.num for p in rest.points] == [3, 4]
    assert not rest.HasField("next_after")
    some = {"must": [{"key": "n", "range": {"gte": {"integer": 3}}}]}
    assert fresh.points.Count(pb.CountRequest(collection="docs", filter=some)).count == 2


def test_delete_by_ids_and_filter(fresh: Client) -> None:
    assert fresh.points.Delete(pb.DeletePointsRequest(collection="docs", ids=[{"num": 0}, {"num": 77}])).changed == 1
    some = {"must": [{"key": "n", "range": {"gte": {"integer": 3}}}]}
    assert fresh.points.Delete(pb.DeletePointsRequest(collection="docs", filter=some)).changed == 2
    assert sorted(payloads(fresh)) == [1, 2]
    for request in (
        pb.DeletePointsRequest(collection="docs"),
        pb.DeletePointsRequest(collection="docs", ids=[{"num": 1}], filter=some),
    ):
        assert failure(fresh.points.Delete, request)[0] == "INVALID_ARGUMENT"
    assert sorted(payloads(fresh)) == [1, 2]


def test_payload_calls(fresh: Client) -> None:
    one, two = [{"num": 1}], [{"num": 2}]
    more = {"b": {"bool_value": True}}
    fresh.points.SetPayload(pb.SetPayloadRequest(collection="docs", ids=one, payload=more))
    fresh.points.OverwritePayload(pb.SetPayloadRequest(collection="docs", ids=two, payload_json=b'{"c":[1.5]}'))
    fresh.points.DeletePayload(pb.DeletePayloadRequest(collection="docs", ids=[{"num": 3}], keys=["n"]))
    some = {"must": [{"has_id": {"ids": [{"num": 4}]}}]}
    fresh.points.ClearPayload(pb.ClearPayloadRequest(collection="docs", filter=some))
    assert payloads(fresh) == {0: {"n": 0}, 1: {"n": 1, "b": True}, 2: {"c": [1.5]}, 3: {}, 4: {}}


def test_query(fresh: Client) -> None:
    answer = fresh.points.Query(query(limit=2, explain=True))
    assert [p.id.num for p in answer.points] == [0, 1]
    assert answer.points[0].score == pytest.approx(2 / np.sqrt(8))
    assert fields_from_pb(answer.points[0].payload) == {"n": 0}
    assert answer.HasField("explain")
    bits = fresh.points.Query(query(using="bits", nearest={"binary": {"data": b"\3\0"}}, limit=1, with_payload={}))
    assert [(p.id.num, p.score, dict(p.payload)) for p in bits.points] == [(3, 0.0, {})]
    some = {"must": [{"key": "n", "match_any": {"values": [{"integer_value": 2}, {"integer_value": 4}]}}]}
    filtered = fresh.points.Query(query(filter=some, offset=1))
    assert [p.id.num for p in filtered.points] == [4]


def test_query_batch(fresh: Client) -> None:
    queries = [query(limit=1), query(using="bits", nearest={"binary": {"data": b"\4\0"}}, limit=2)]
    answer = fresh.points.QueryBatch(pb.QueryBatchRequest(queries=queries))
    assert [[p.id.num for p in result.points][:1] for result in answer.results] == [[0], [4]]
    bad = query(nearest={"dense": {"values": [1]}})
    code, error = failure(fresh.points.QueryBatch, pb.QueryBatchRequest(queries=[*queries, bad]))
    assert (code, error.reason) == ("INVALID_ARGUMENT", "DIMENSION_MISMATCH")
    assert "queries[2]" in error.message


def test_many_hits_and_encodings_agree(fresh: Client) -> None:
    """Large answers are built off the event loop."""
    fresh.upsert(500)
    maps = fresh.points.Query(query(limit=400)).points
    jsons = fresh.points.Query(query(limit=400, payload_encoding=common_pb2.PAYLOAD_ENCODING_JSON)).points
    assert len(maps) == 400
    assert [p.payload_json for p in jsons] == [b'{"n":%d}' % p.payload["n"].integer_value for p in maps]


def test_reads_wait_for_the_seq_they_ask_for(fresh: Client) -> None:
    seq = fresh.upsert(1).seq
    assert fresh.points.Query(query(min_seq=seq)).seq >= seq
    code, _ = failure(fresh.points.Query, query(min_seq=seq + 100, timeout_ms=50))
    assert code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    "method", ["/vecstore.v1.Points/Forget", "/vecstore.v2.Points/Query", "/x/y", "/vecstore.v1.Points/"]
)
def test_what_is_not_built_says_so(client: Client, method: str) -> None:
    code, error = failure(client.raw, method)
    assert (code, error.reason) == ("UNIMPLEMENTED", "UNIMPLEMENTED")
    assert method in error.message
