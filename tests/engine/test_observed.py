"""Queries that followers answer are checked by them, counted by the writer, and tuned on there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_support import settle, vectors_of
from index_support import load, query, questions, schema
from waiting import wait_until

from vecstore.config import Search, Settings, Storage
from vecstore.engine import observed, scan
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.engine.observed import Checked, decoded
from vecstore.errors import Corruption
from vecstore.index.base import SearchParams
from vecstore.index_text import parse_index
from vecstore.rows import Rows
from vecstore.schema import DataType, Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.storage.arrays import pack
from vecstore.tokens import TokenRows

pytestmark = pytest.mark.usefixtures("no_scans")

STORAGE = Storage(seal_rows=10_000, in_place_rows=100_000, disk_reserve_bytes=0, index_rows_min=300, feed=True)
SETTINGS = Settings(storage=STORAGE, search=Search(shadow_sample=1.0, shadow_cpu_share=1.0))
ASKED = 60


def test_what_followers_see_is_counted_and_tuned_on_by_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    monkeypatch.setattr(observed, "LIVE_MIN", ASKED)
    rng = np.random.default_rng(3)
    rows = vectors_of(range(2_000))
    live = [-rows[rng.integers(2_000, size=40)].mean(axis=0) for _ in range(ASKED)]
    told: list[tuple[str, str, float]] = []
    with Database.open(tmp_path / "db", SETTINGS) as writer:
        writer.create_collection("c", schema(parse_index("ivf(nlist=32) | int8")))
        load(writer, 0, 2_000, 1_000)
        settle(writer, writer.compact("c"))
        writer.probes.on_recall = lambda *seen: told.append(seen)
        with Follower.open(tmp_path / "db", SETTINGS, "reader") as follower:
            shadow = follower.reader.shadow
            assert shadow is not None
            monkeypatch.setattr(shadow, "_recall", lambda sampled: 0.5)
            for vector in live:
                assert query(follower, vector, params=SearchParams(recall_target=0.9)).quality.est_recall > 0.8
                assert shadow.wait_idle(60)
            wait_until(lambda: len(told) == ASKED)
            assert told[-1] == ("c", "v", 0.5)
            wait_until(lambda: any(one.kind == "tune" for one in writer.list_operations()))
            (operation,) = [one for one in writer.list_operations() if one.kind == "tune"]
            writer.wait_operation(operation.id, 60)
            writer.shown()
            (segment,) = follower.collection("c").sealed.values()
            index = segment.index("v")
            assert index is not None
            np.testing.assert_array_equal(index.arrays()["asked"], np.array(live, np.float32))
            monkeypatch.undo()
            monkeypatch.setattr(scan, "FEW_ROWS", 20)
            for vector in questions(3):
                query(follower, vector, params=SearchParams(nprobe=3))
                assert shadow.wait_idle(60)
            wait_until(lambda: len(told) == ASKED + 3)
            (seen,) = writer.stats("c")["observed_recall"]
            assert (seen["checked"], seen["strategy"]) == (3, "ivf")


FIELDS: dict[str, tuple[VectorField, Rows]] = {
    "dense": (VectorField(VectorKind.DENSE, 3, Metric.COSINE), np.array([[1, 2, 3]], np.float32)),
    "bits": (VectorField(VectorKind.BINARY, 16, Metric.HAMMING), np.array([[7, 9]], np.uint8)),
    "sparse": (
        VectorField(VectorKind.SPARSE, 0, Metric.DOT),
        SparseRows(np.array([0, 2]), np.array([3, 8], np.uint32), np.array([0.5, 2], np.float32)),
    ),
    "tokens": (
        VectorField(VectorKind.MULTI, 2, Metric.MAXSIM, DataType.FLOAT16),
        TokenRows(np.array([0, 3]), np.arange(6, dtype=np.float32).reshape(3, 2)),
    ),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_what_is_told_is_what_was_seen(kind: str) -> None:
    field, query = FIELDS[kind]
    schemas = {"c": Schema({"v": field})}
    sent = Checked("c", "v", "ivf", 0.75, 0.9, None, query)
    got = decoded(sent.encoded(), schemas.get)
    assert got is not None
    assert got.query is not None
    np.testing.assert_equal(observed.row_arrays("q", got.query), observed.row_arrays("q", query))
    assert (got.strategy, got.recall, got.promised, got.unfamiliar) == ("ivf", 0.75, 0.9, None)
    texts = Checked("c", "v", "ivf", 1.0, None, True, None)
    assert decoded(texts.encoded(), schemas.get) == texts
    assert decoded(sent.encoded(), {}.get) is None  # dropped meanwhile
    others = {"c": Schema({"v": FIELDS["tokens" if kind != "tokens" else "dense"][0]})}
    assert decoded(sent.encoded(), others.get) is None  # made anew with another field
    wider = {
        "dense": VectorField(VectorKind.DENSE, 4, Metric.COSINE),
        "bits": VectorField(VectorKind.BINARY, 24, Metric.HAMMING),
    }
    if kind in wider:
        assert decoded(sent.encoded(), {"c": Schema({"v": wider[kind]})}.get) is None
    with pytest.raises(Corruption):
        decoded(b"".join(pack({"collection": "c", "name": "v", "more": 1}, {})), schemas.get)
