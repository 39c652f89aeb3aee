"""`wait="indexed"` of writes, over every way to a database, and what is refused on the wire."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from waiting import wait_until

import vecstore
from vecstore.client.channel import stubs
from vecstore.engine.maintenance import Maintenance
from vecstore.errors import DeadlineExceeded, InvalidArgument
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.schema import Metric, Schema, VectorField, VectorKind

ROWS = np.eye(8, dtype=np.float32)


def growing(docs: Any) -> int:
    return sum(one["rows"] for one in docs.stats()["segments"] if one["kind"] == "growing")


def test_every_write_waits_until_it_is_sealed_and_indexed(db: Any) -> None:
    docs = db.create_collection("docs", vectors={"v": vecstore.Dense(8, index=vecstore.IVF(2))})
    assert docs.upsert(range(8), ROWS).seq == 1
    assert growing(docs) == 8
    writes = [
        lambda: docs.upsert(range(8), ROWS, wait="indexed"),
        lambda: docs.update_vectors([1], ROWS[:1], wait="indexed"),
        lambda: docs.set_payload({"a": 1}, [2], wait="indexed"),
        lambda: docs.delete([3], wait="indexed"),
        lambda: docs.update_batch(vecstore.Batch().upsert([9], ROWS[:1]), wait="indexed"),
    ]
    for seq, write in enumerate(writes, 2):
        assert write().seq == seq
        assert growing(docs) == 0
    docs.upsert([10], ROWS[:1], wait="visible")
    assert growing(docs) == 1
    for bad in (True, "soon"):
        with pytest.raises(InvalidArgument, match="not one of visible, indexed"):
            docs.upsert([11], ROWS[:1], wait=bad)
        with pytest.raises(InvalidArgument, match="not one of visible, indexed"):
            docs.delete([1], wait=bad)
    assert docs.count() == 9


@pytest.mark.parametrize("where", ["memory", "grpc", "http"])
def test_time_that_runs_out_is_told_with_the_seq(
    where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, shared = ":memory:", None
    if where != "memory":
        shared = request.getfixturevalue("shared")
        target = f"{where}://127.0.0.1:{shared.ports[where]}"
    monkeypatch.setattr(Maintenance, "index_written", _never)
    with vecstore.connect(target, timeout_s=60) as client:
        docs = client.create_collection("docs", vectors={"v": vecstore.Dense(8)})
        for timeout_s in (0.4, 4, 40):  # a busy machine may not come to write in the first
            hasty = vecstore.Client(client._transport, target=target, timeout_s=timeout_s)
            if shared:
                hasty = vecstore.connect(target, timeout_s=timeout_s)
            with pytest.raises(DeadlineExceeded) as late, hasty if shared else nullcontext():
                hasty.collection("docs").upsert(range(8), ROWS, wait="indexed")
            if late.value.reason == "NOT_INDEXED_YET":
                break
        assert (late.value.reason, late.value.metadata["seq"]) == ("NOT_INDEXED_YET", str(docs.info().seq))
        assert docs.count() == 8
    if shared is not None:
        shared.empty()
        wait_until(lambda: shared.server._server._admission.running == 0)  # the slot that others had is free


def _never(self: Maintenance, collection: Any) -> Any:
    return self._operations.start("index_written", collection.record.name)


def test_what_the_wire_does_not_know_is_refused(shared: Any) -> None:
    shared.database.create_collection("docs", Schema({"v": VectorField(VectorKind.DENSE, 2, Metric.DOT)}))
    try:
        with grpc.insecure_channel(f"127.0.0.1:{shared.ports['grpc']}") as channel:
            points = stubs(channel)[1]
            one = pb.Point(id={"num": 1}, vectors={"v": {"dense": {"values": [1, 0]}}})
            given = pb.UpsertRequest(collection="docs", points=[one], wait=pb.WRITE_WAIT_INDEXED)
            with pytest.raises(grpc.RpcError, match="wait=INDEXED is not for streams"):
                list(points.UpsertStream(iter([given]), timeout=60))
            given.wait = 7  # type: ignore[assignment]
            with pytest.raises(grpc.RpcError, match="wait is 7, which is unknown"):
                points.Upsert(given, timeout=60)
            inner = pb.UpdateBatchRequest(collection="docs", operations=[pb.UpdateOperation(upsert=given)])
            inner.operations[0].upsert.wait = pb.WRITE_WAIT_INDEXED
            with pytest.raises(grpc.RpcError, match="wait is the whole batch's"):
                points.UpdateBatch(inner, timeout=60)
        path, line = "/v1/collections/docs/points", b'{"id": 1, "vectors": {"v": [1, 0]}}\n'
        lines = {"content-type": "application/x-ndjson"}
        with httpx.Client(base_url=f"http://127.0.0.1:{shared.ports['http']}", timeout=60) as http:
            body = {"points": [{"id": 1, "vectors": {"v": [1, 0]}}]}
            refused = [
                http.put(path, json={**body, "wait": "soon"}),
                http.put(path, json=body, params={"wait": "indexed"}),
                http.put(path, content=line, headers=lines, params={"wait": "soon"}),
                http.post("/v1/collections/docs/import", content=line, headers=lines, params={"wait": "indexed"}),
            ]
            for answer in refused:
                assert answer.status_code == 400, answer.text
                assert "wait" in answer.text
            assert shared.database.collection_info("docs").seq == 0
            given_lines = http.put(path, content=line, headers=lines, params={"wait": "indexed"})
            assert given_lines.json()["seq"] == 1
        assert [one["kind"] for one in shared.database.stats("docs")["segments"]] == ["sealed"]
    finally:
        shared.empty()
