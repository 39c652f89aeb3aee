"""Estimates through every client, against what stats say once the points are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore import Binary, Dense, InvalidArgument, Multi, NotFound, Sparse, Text

N, WITHIN = 1_500, 0.15
RNG = np.random.default_rng(20261129)
ROWS = RNG.standard_normal((N, 32)).astype(np.float32)
FIELDS: dict[str, Any] = {
    "vectors": {"d": Dense(32, index="flat")},
    "binary": {"b": Binary(32)},
    "sparse": {"s": Sparse(index="inverted")},
    "text": {"t": Text("none")},
    "multi": {"m": Multi(8)},
    "indexes": {"n": "integer", "k": "keyword", "flag": "bool"},
}
ENTRIES, TERMS = {"s": 12, "t": 3, "m": 4}, {"s": 200, "t": 50, "k": 9}


def filled(db: Any) -> Any:
    docs = db.create_collection("docs", **FIELDS)
    vectors = {
        "d": ROWS,
        "b": np.packbits(ROWS > 0, axis=1),
        "s": [(np.sort(RNG.permutation(200)[:12]), RNG.random(12) + 0.1) for _ in range(N)],
        "t": [" ".join(f"w{i}" for i in RNG.permutation(50)[:3]) for _ in range(N)],
        "m": list(RNG.standard_normal((N, 4, 8)).astype(np.float32)),
    }
    docs.upsert([f"id{i:06}" for i in range(N)], vectors, [{"n": i, "k": f"k{i % 9}", "flag": True} for i in range(N)])
    docs.compact()
    return docs


def test_a_schema_and_a_collection_are_estimated_as_stats_find_them(db: Any) -> None:
    payload = len(b'{"n":1000,"k":"k1","flag":true}')
    more = {"entries": ENTRIES, "terms": TERMS, "payload_bytes": payload, "id_bytes": 8}
    said = db.estimate(N, **FIELDS, **more)
    assert not db.list_collections(), "nothing is made"
    docs = filled(db)
    stats = docs.stats()
    known = docs.estimate()
    assert known["actual"]["bytes"] == stats["bytes"]
    assert {name: one["index"] for name, one in said["vectors"].items()} == {
        name: next(iter(one["served_by"])) for name, one in stats["vectors"].items()
    }
    for found in (said, known):
        assert found["bytes"].keys() == stats["bytes"].keys()
        for component, size in stats["bytes"].items():
            assert abs(found["bytes"][component] / size - 1) <= WITHIN, component
        for name, one in stats["vectors"].items():
            assert abs(sum(found["vectors"][name]["bytes"].values()) / sum(one["bytes"].values()) - 1) <= WITHIN, name
        every = found["components"].values()
        assert found["total"] == {key: pytest.approx(sum(o[key] for o in every), abs=9) for key in found["total"]}
        assert found["total"]["disk"] == pytest.approx(2 * sum(found["bytes"].values()), abs=99)
    tenfold = docs.estimate(10 * N)
    assert tenfold["bytes"]["vector"] == pytest.approx(10 * known["bytes"]["vector"], rel=0.01)
    assert tenfold["payload_bytes"] == known["payload_bytes"]
    assert docs.estimate(0)["total"]["disk"] == 0
    assert docs.estimate(N, payload_bytes=0)["bytes"]["payload"] == 8 * N


def test_the_index_that_the_engine_would_choose(db: Any) -> None:
    few = db.estimate(1_000, Dense(384))["vectors"]["default"]
    many = db.estimate(100_000, Dense(384))["vectors"]["default"]
    assert (few["index"], many["index"]) == ("flat", "graph")
    assert "scanned exactly" in few["why"]
    assert many["bytes"]["neighbours"] == 100_000 * 4 * 48
    assert db.estimate(100_000, Dense(384, index="ivf | int8"))["vectors"]["default"]["index"] == "ivf | int8"


def test_what_makes_no_sense_is_refused(db: Any) -> None:
    for how, reason, words in (
        ({"points": -1}, "BAD_ARGUMENT", "points=-1"),
        ({"points": 1 << 41}, "LIMIT_EXCEEDED", "points"),
        ({"points": 1.5}, "BAD_ARGUMENT", "points"),
        ({"points": 9, "entries": {"x": 3}}, "VECTOR_NAME_UNKNOWN", "no vector field named 'x'"),
        ({"points": 9, "entries": {"default": 3}}, "BAD_ARGUMENT", "does not apply to a dense field"),
        ({"points": 9, "payload_bytes": -1}, "BAD_ARGUMENT", "payload_bytes"),
        ({"points": 9, "payload_bytes": 1 << 30}, "LIMIT_EXCEEDED", "payload_bytes"),
        ({"points": 9, "id_bytes": "x"}, "BAD_ARGUMENT", "id_bytes"),
    ):
        with pytest.raises(InvalidArgument) as error:
            db.estimate(**{"vectors": Dense(4), **how})
        assert (error.value.reason, words in error.value.message) == (reason, True), error.value.message
    with pytest.raises(InvalidArgument, match="BAD_ARGUMENT"):
        db.estimate(9, sparse=Sparse(), entries={"default": 0})
    with pytest.raises(InvalidArgument, match="BAD_INDEX_SPEC"):
        db.estimate(9, Dense(4, index="mih"))
    with pytest.raises(NotFound):
        db.collection("nowhere").estimate()
