"""The wall clock jumps under a server: nothing is lost or re-ordered, and deadlines go by another clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from faults.preload import CLOCK, build_preload
from faults.server_process import ServerProcess

import vecstore
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.pb.v1 import points_pb2_grpc
from vecstore.wire.errors import error_from_rpc

JUMPS = [(3_600, 0), (-86_400, 0), (0, 4_102_444_800), (0, 1)]  # seconds to add, or where it is stuck: in 2100, in 1970
DEADLINE_S = 0.4
BATCH = 20


def test_the_wall_clock_may_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, data, gone = tmp_path / "clock", tmp_path / "db", set()
    vectors = np.random.default_rng(0).standard_normal((BATCH * len(JUMPS), 8), dtype=np.float32)
    monkeypatch.setenv("LD_PRELOAD", str(build_preload(tmp_path, CLOCK)))
    monkeypatch.setenv("VECSTORE_CLOCK", str(clock))
    settings = {"LIMITS_DEADLINE_DEFAULT_S": DEADLINE_S, "STORAGE_SEAL_ROWS": 50, "SERVER_REST": "false"}
    with ServerProcess(data, **settings) as server, vecstore.connect(f"grpc://{server.address}", timeout_s=60) as db:
        docs = db.create_collection("docs", {"v": vecstore.Dense(8)})
        for turn, (offset, stuck) in enumerate(JUMPS):
            clock.write_text(f"{offset} {stuck}")
            first = turn * BATCH
            ids = list(range(first, first + BATCH))
            assert docs.upsert(ids, vectors[first : first + BATCH]).seq == 2 * turn + 1
            assert docs.delete([first]).seq == 2 * turn + 2
            gone.add(first)
            assert docs.count() == (BATCH - 1) * (turn + 1)
            assert docs.query(vectors[first + 1], k=1)[0].id == first + 1
            operation = docs.compact()
            expected = stuck or time.time() + offset
            assert operation.started_at == pytest.approx(expected, abs=60)  # or the clock did not jump
            _check_deadline(server.address, lambda: clock.write_text("-7200 0"))
    monkeypatch.undo()
    with vecstore.connect(data) as db:
        points = {point.id: point for point in db.collection("docs").get(list(range(len(vectors))), with_vectors=True)}
        assert set(points) == set(range(len(vectors))) - gone
        assert all(np.array_equal(point.vectors["v"], vectors[one]) for one, point in points.items())


def _check_deadline(address: str, jump: Callable[[], object]) -> None:
    """A call that waits for a write which nobody makes, with a jump meanwhile."""
    timer = threading.Timer(DEADLINE_S / 2, jump)
    timer.start()
    started = time.monotonic()
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
        points_pb2_grpc.PointsStub(channel).Count(pb.CountRequest(collection="docs", min_seq=10**6))
    assert time.monotonic() - started >= DEADLINE_S
    timer.join()
    assert error_from_rpc(raised.value).grpc_code == "DEADLINE_EXCEEDED"
