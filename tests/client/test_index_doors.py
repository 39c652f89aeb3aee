"""Index specs and search parameters through every client: the same answers and the same refusals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from vecstore import (
    IVF,
    PCA,
    RRF,
    SAQ,
    AlreadyExists,
    Auto,
    Binary,
    Dense,
    Flat,
    Graph,
    HammingIVF,
    InvalidArgument,
    Prefetch,
    RaBitQ,
    VecstoreError,
    parse_index,
)
from vecstore.engine import left_out, search
from vecstore.kernels.stop import check_stop
from vecstore.quality import Quality

RNG = np.random.default_rng(20261122)
ROWS = RNG.standard_normal((100, 16)).astype(np.float32)
SPEC = IVF(nlist=4, quantizer=RaBitQ(bits=4), transforms=(PCA(8),))
FORMS = [
    SPEC,
    "pca(8) | ivf(nlist=4) | rabitq(bits=4)",
    {"type": "ivf", "nlist": 4, "quantizer": {"type": "rabitq", "bits": 4}, "transforms": [{"type": "pca", "dim": 8}]},
]


def test_every_form_of_a_spec_is_the_same_collection(db: Any) -> None:
    for form in FORMS:
        docs = db.create_collection("docs", vectors={"text": Dense(16, index=form)}, exist_ok=True)
        assert docs.schema().vectors["text"].index == SPEC
        db.create_collection("docs", vectors={"text": {"dim": 16, "index": form}}, exist_ok=True)
    assert db.get_collection("docs").schema().vectors["text"].index == SPEC
    db.create_collection("docs", vectors={"text": Dense(16)}, exist_ok=True)  # says nothing, so any will do
    with pytest.raises(AlreadyExists):
        db.create_collection("docs", vectors={"text": Dense(16, index="flat")}, exist_ok=True)
    bits = db.create_collection("bits", binary=Binary(64, index="hamming_ivf(nlist=8)"))
    assert bits.schema().vectors["default"].index == HammingIVF(8)
    walked = db.create_collection("walked", Dense(16, index="graph(degree=48, ef=64) | saq(bits=1.5) | rerank(int8)"))
    assert walked.schema().vectors["default"].index == Graph(48, SAQ(1.5), "int8", 64)


@pytest.mark.parametrize(
    ("field", "path"),
    [
        (Dense(16, index="pca(17) | int8"), "vectors.default.index.transforms[0].dim"),
        (Dense(16, index="mih"), "vectors.default.index"),
        (Binary(64, index="ivf"), "vectors.default.index"),
        (Dense(16, index="rabitq(bits=9)"), "vectors.default.index.quantizer.bits"),
        (Dense(16, index="graph(degree=20)"), "vectors.default.index.degree"),
        (Binary(64, index="graph"), "vectors.default.index"),
    ],
)
def test_a_spec_that_does_not_suit_is_refused(db: Any, field: Any, path: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        db.create_collection("docs", vectors=field)
    assert error.value.reason == "BAD_INDEX_SPEC"
    assert error.value.field_violations[0][0] == path
    assert not db.has_collection("docs")


def test_text_that_is_no_spec_is_refused_where_it_is_written() -> None:
    with pytest.raises(InvalidArgument, match="at position 6 expected"):
        Dense(16, index="ivf | hnsw")
    with pytest.raises(InvalidArgument, match="BAD_INDEX_SPEC"):
        Dense(16, index={"type": "hnsw"})


def test_update_index_and_stats(db: Any) -> None:
    docs = db.create_collection("docs", vectors=Dense(16))
    docs.upsert(range(100), ROWS)
    assert docs.stats()["vectors"]["default"]["index"] == "auto"
    assert docs.schema().vectors["default"].index == Auto()
    docs.update_index("default", "ivf | int8")
    assert docs.schema().vectors["default"].index == parse_index("ivf | int8")
    stats = docs.stats()["vectors"]["default"]
    assert (stats["index"], stats["index_state"], stats["rows_indexed"]) == ("ivf | int8", "ready", 0)
    docs.update_index("default", None)
    assert docs.schema().vectors["default"].index == Auto()
    docs.update_index("default", "flat")
    assert docs.schema().vectors["default"].index == Flat()
    stats = docs.stats()["vectors"]["default"]
    assert (stats["index"], stats["index_state"], stats["served_by"]) == ("flat", "none", {"flat": 100})
    with pytest.raises(InvalidArgument, match="BAD_INDEX_SPEC"):
        docs.update_index("default", "mih")
    with pytest.raises(InvalidArgument, match="VECTOR_NAME_UNKNOWN"):
        docs.update_index("other", "ivf")


def test_tuning_needs_an_index(db: Any) -> None:
    docs = db.create_collection("docs", vectors=Dense(16))
    docs.upsert(range(100), ROWS)
    with pytest.raises(VecstoreError, match="NOTHING_TO_TUNE"):
        docs.tune(ROWS)
    with pytest.raises(InvalidArgument, match="TOO_FEW_QUERIES"):
        docs.tune(ROWS[:5])
    with pytest.raises(InvalidArgument, match="NAN_OR_INF"):
        docs.tune(ROWS * np.float32(np.nan))
    with pytest.raises(InvalidArgument, match="VECTOR_NAME_UNKNOWN"):
        docs.tune(ROWS, using="other")


def test_parameters_of_queries(db: Any) -> None:
    docs = db.create_collection("docs", vectors=Dense(16, metric="l2"))
    docs.upsert(range(100), ROWS)
    truth = np.argsort(((ROWS - ROWS[3]) ** 2).sum(axis=1), kind="stable")[:5].tolist()
    assert docs.query(ROWS[3], k=5, exact=True).ids.tolist() == truth
    assert (
        docs.query(ROWS[3], k=5, nprobe=2, ef=10_000, oversampling=4, rescore=False, recall=0.9).ids.tolist() == truth
    )
    short = np.argsort(((ROWS - ROWS[3])[:, :4] ** 2).sum(axis=1), kind="stable")[:5].tolist()
    assert docs.query(ROWS[3], k=5, truncate_dim=4).ids.tolist() == short
    assert docs.query_batch(ROWS[3:5], k=5, truncate_dim=4, ef=1)[0].ids.tolist() == short
    explained = docs.query(ROWS[3], k=5, explain=True).explain["segments"][0]
    assert explained["strategy"] == "exact_scan"


@pytest.mark.parametrize(
    "how",
    [
        {"nprobe": 0}, {"nprobe": -1}, {"nprobe": 1 << 21}, {"oversampling": 0.5}, {"oversampling": 1e9}, {"recall": 0},
        {"recall": 1.5}, {"truncate_dim": 17}, {"truncate_dim": -1}, {"nprobe": 2.5}, {"oversampling": float("nan")},
        {"exact": "yes"}, {"oversampling": "many"}, {"ef": 0}, {"ef": 10_001}, {"ef": -1}, {"ef": 2.5}, {"ef": True},
    ],
)  # fmt: skip
def test_parameters_out_of_bounds_are_refused(db: Any, how: dict[str, Any]) -> None:
    docs = db.create_collection("docs", vectors=Dense(16))
    docs.upsert(range(100), ROWS)
    with pytest.raises(InvalidArgument) as error:
        docs.query(ROWS[3], **how)
    assert error.value.reason == "BAD_ARGUMENT"
    assert next(iter(how)).split("_")[0] in error.value.message


def test_what_is_left_out_is_told_through_every_door(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = db.create_collection("docs", vectors=Dense(16, index="ivf(nlist=4)"))
    docs.upsert(range(100), ROWS)
    only = docs.query(ROWS[0], k=5, indexed_only=True)
    assert len(only) == 0
    assert only.quality == Quality(None, False, "none", "", 1, 100)
    whole = docs.query(ROWS[0], k=5)
    assert whole.quality == Quality(1.0, True, "exact_scan", "exact")
    parts = [Prefetch(vector=ROWS[0], k=5), Prefetch(vector=ROWS[1], k=5, indexed_only=True)]
    fused = docs.query(prefetch=parts, fusion=RRF(), k=10)
    assert (len(fused), fused.quality.complete, fused.quality.skipped_points) == (5, False, 100)
    assert [len(hits) for hits in docs.query_batch(ROWS[:2], k=5, indexed_only=True)] == [0, 0]

    def endless(*_args: Any) -> Any:
        while True:
            check_stop()
            time.sleep(0.001)

    monkeypatch.setattr(search, "search_segment", endless)
    monkeypatch.setattr(left_out, "RESERVE", 0.99)  # of 20 s, so that the answer comes in time from a busy machine
    monkeypatch.setattr(left_out, "RESERVE_MAX_S", 60.0)
    partial = docs.query(ROWS[0], k=5, allow_partial=True, timeout_s=20.0)
    assert partial.quality == Quality(None, False, "none", "", 1, 100, True)
    for name in ("indexed_only", "allow_partial"):
        with pytest.raises(InvalidArgument, match=name):
            docs.query(ROWS[0], **{name: 1})
