"""Changes of a living collection: what they do to queries, what is built for them and what is not, and that they hold
after a crash, in segments that are being built, and for those who follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_support import SMALL, settle, vectors_of
from faults.faulty_kv import Fault, FaultyKV
from index_support import INDEXED, load, stored_blobs

from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.errors import FailedPrecondition, IoFailed
from vecstore.estimating import EstimateRequest
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.index_queried import QUERIED, built_alike
from vecstore.index_spec import IVF, Auto, Flat, Graph, HammingIVF, Int8, Plaid
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.schema import Metric, Schema, SearchDefaults, VectorField, VectorKind
from vecstore.schema_update import UpdateCollectionRequest, VectorUpdate
from vecstore.storage.open import open_storage
from vecstore.types import GetRequest, Prefetch, QueryRequest

ROWS = 1_200


def schema(index: Any, metric: Metric = Metric.L2) -> Schema:
    bits = VectorField(VectorKind.BINARY, 16, Metric.HAMMING)
    return Schema({"v": VectorField(VectorKind.DENSE, 16, metric, index=index), "b": bits})


def update(db: Database, **changes: Any) -> Any:
    updated = db.update_collection(UpdateCollectionRequest("c", {"v": VectorUpdate(**changes)}))
    if updated.operation is not None:
        settle(db, updated.operation)
    return updated


def made(db: Database, index: Any) -> None:
    db.create_collection("c", schema(index))
    load(db, 0, ROWS)
    settle(db, db.compact("c"))


def explained(db: Database, params: SearchParams = DEFAULT_PARAMS, *, staged: bool = False) -> dict[str, int]:
    vector = vectors_of([7])[0]
    request = QueryRequest("c", vector, "v", k=5, explain=True, params=params)
    if staged:
        below = Prefetch(vector, "v", k=5, params=params)
        request = QueryRequest("c", prefetch=[below], fusion=Fusion(FusionMethod.RRF), k=5, explain=True)
    explain = db.query(request).explain
    assert explain is not None
    if staged:
        explain = explain["prefetch"][0]
    (segment,) = explain["segments"]
    return dict(segment["counters"])


@pytest.mark.parametrize("staged", [False, True])
def test_queries_that_say_nothing_take_the_fields_settings(reopen: Callable[..., Database], staged: bool) -> None:
    db = reopen(INDEXED)
    made(db, IVF(32, quantizer=Int8()))
    assert update(db, search={"nprobe": 3}).operation is None
    own = explained(db, staged=staged)
    assert own == explained(db, SearchParams(nprobe=3), staged=staged)
    assert own != explained(db, SearchParams(nprobe=20), staged=staged), "a query has the last word"
    update(db, search={"nprobe": 20})
    assert explained(db, staged=staged) == explained(db, SearchParams(nprobe=20), staged=staged)
    db = reopen(INDEXED)
    assert explained(db, staged=staged) == explained(db, SearchParams(nprobe=20), staged=staged)


@pytest.mark.parametrize(
    ("before", "after"), [(IVF(32, quantizer=Int8(), nprobe=2), IVF(32, quantizer=Int8(), nprobe=20)),
                          (Graph(ef=16), Graph(ef=256))],
)  # fmt: skip
def test_what_only_queries_use_of_an_index_is_not_built(
    reopen: Callable[..., Database], before: Any, after: Any
) -> None:
    db = reopen(INDEXED)
    made(db, before)
    blobs, little = stored_blobs(db), explained(db)
    assert update(db, index=after).operation is not None
    assert stored_blobs(db) == blobs
    more = explained(db)
    assert more["rows_scanned"] > 2 * little["rows_scanned"]
    db = reopen(INDEXED)
    assert explained(db) == more
    assert stored_blobs(db) == blobs
    update(db, index=msgspec.structs.replace(after, rerank="int8"))
    assert stored_blobs(db) != blobs, "what else differs is built"


def test_specs_that_differ_in_what_queries_use_only() -> None:
    for kind, setting in QUERIED.items():
        for other in (IVF, Graph, HammingIVF, Plaid, Auto, Flat):
            assert built_alike(kind(**{setting: 9}), other()) == (kind is other)
    assert not built_alike(IVF(8), IVF(16, nprobe=3))
    assert not built_alike(Graph(32), Graph(64))


def test_a_change_that_is_not_durable_is_none(tmp_path: Path) -> None:
    """The change is one write: after a crash it is there whole, index and all, or not at all."""
    for survives in (False, True):
        path = tmp_path / str(survives)
        storage = open_storage(path, INDEXED.storage)
        faulty = FaultyKV(storage.kv, Fault.FAIL_DURABLE, 10**9)
        storage = dataclasses.replace(storage, kv=faulty)
        db = Database(storage, INDEXED)
        made(db, Flat())
        if not survives:
            faulty.fault, faulty.at, faulty._calls = Fault.FAIL_WRITE, 1, 0
            with pytest.raises(IoFailed):
                update(db, index=IVF(8), search={"ef": 9}, device="auto")
        else:
            update(db, index=IVF(8), search={"ef": 9}, device="auto")
        db.close()
        with Database.open(path, INDEXED) as db:
            info, field = db.collection_info("c"), db.collection_info("c").schema.vectors["v"]
            expected = (2, IVF(8), SearchDefaults(ef=9), "auto") if survives else (1, Flat(), None, None)
            assert (info.version, field.index, field.search, field.device) == expected
            assert db.stats("c")["vectors"]["v"]["served_by"].keys() == {"ivf(nlist=8)" if survives else "flat"}


def test_segments_that_are_there_and_those_being_built_take_the_settings(
    reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = reopen(INDEXED)
    made(db, Flat())
    collection = db.collection("c")
    update(db, device="auto")
    assert {segment.field("v").device for segment in collection.sealed.values()} == {"auto"}
    load(db, ROWS, ROWS + 50)
    changed: list[str] = []
    derived = db._maintenance._derived
    real = derived.index_merged

    def late(*arguments: Any) -> None:
        """The new segment has been opened and is in no view."""
        real(*arguments)
        changed.append(f"cuda:{len(changed)}")
        db.update_collection(UpdateCollectionRequest("c", {"v": VectorUpdate(device=changed[-1])}))

    monkeypatch.setattr(derived, "index_merged", late)
    settle(db, db.compact("c"))
    assert changed
    assert {segment.field("v").device for segment in collection.sealed.values()} == {changed[-1]}


def test_those_who_follow_show_the_change(tmp_path: Path) -> None:
    storage = msgspec.structs.replace(INDEXED.storage, feed=True)
    with Database.open(tmp_path / "data", msgspec.structs.replace(INDEXED, storage=storage)) as db:
        made(db, IVF(32, quantizer=Int8(), nprobe=2))
        with Follower.open(tmp_path / "data", SMALL, "reader") as reader:
            little = explained(reader)
            assert little == explained(db)
            seen = reader.collection("c")
            update(db, index=IVF(32, quantizer=Int8(), nprobe=20), search={"recall": 0.5}, device="auto")
            db.shown()
            assert reader.collection("c") is seen
            assert reader.collection_info("c") == db.collection_info("c")
            assert reader.collection_info("c").version == 2
            assert {segment.field("v").device for segment in seen.sealed.values()} == {"auto"}
            assert explained(reader) == explained(db) != little
            update(db, search=None)
            db.shown()
            assert explained(reader) == explained(db)
            assert explained(reader)["rows_scanned"] > 2 * little["rows_scanned"]
            assert len(reader.get(GetRequest("c", [1, 2]))[0]) == 2
            assert reader.estimate(EstimateRequest("c"))["actual"] == db.estimate(EstimateRequest("c"))["actual"]
            asked = QueryRequest("c", vectors_of([7])[0], "v")
            assert reader.explain(asked) == db.explain(asked)
            with pytest.raises(FailedPrecondition, match="READ_ONLY"):
                update(reader, device=None)
