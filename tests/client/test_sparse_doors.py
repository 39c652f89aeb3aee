"""Sparse fields through every client: every form of a vector is the same vector, and the same things are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import (
    Dense,
    InvalidArgument,
    PointBatch,
    ResourceExhausted,
    Seismic,
    Settings,
    Sparse,
    SparseVector,
    parse_index,
)
from vecstore.client.batches import row_bytes
from vecstore.config import Limits, Server
from vecstore.sparse import SparseRows, sparse_rows
from vecstore.types import UpsertRequest, VectorBatch

SEED = 20261127
BIG = (1 << 32) - 1
COLUMNS = [0, 3, 17, 70_000, BIG]


def made(count: int) -> list[dict[int, float]]:
    """Small whole weights, so that inner products are exact; some rows are empty."""
    rng = np.random.default_rng(SEED)
    rows = []
    for _ in range(count):
        chosen = rng.choice(COLUMNS, rng.integers(0, len(COLUMNS) + 1), replace=False)
        rows.append({int(one): float(rng.integers(1, 5)) for one in chosen})
    return rows


ROWS = made(60)
QUERY = {17: 2.0, BIG: 1.0, 5: 9.0}


def pair(row: dict[int, float]) -> tuple[list[int], list[float]]:
    return list(row.keys()), list(row.values())


def vector(row: dict[int, float]) -> SparseVector:
    return SparseVector(np.array(list(row), np.uint32), np.array(list(row.values()), np.float32))


def scipy_rows(rows: list[dict[int, float]]) -> Any:
    sparse = pytest.importorskip("scipy.sparse")
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    indices = np.array([one for row in rows for one in row], np.int64)
    values = np.array([one for row in rows for one in row.values()])
    return sparse.csr_array((values, (places, indices)), shape=(len(rows), 1 << 32))


FORMS: dict[str, Callable[[list[dict[int, float]]], Any]] = {
    "dictionaries": list,
    "pairs": lambda rows: [pair(row) for row in rows],
    "arrays": lambda rows: [tuple(map(np.array, pair(row))) for row in rows],
    "vectors": lambda rows: [vector(row) for row in rows],
    "rows": lambda rows: sparse_rows([vector(row) for row in rows]),
    "scipy": scipy_rows,
    "scipy coo": lambda rows: scipy_rows(rows).tocoo(),
}


def expected(query: dict[int, float], live: range = range(60)) -> list[tuple[float, int]]:
    """(score, id) of the rows that share an index with the query, best first."""
    found = [
        (sum(weight * query.get(one, 0.0) for one, weight in ROWS[row].items()), row)
        for row in live
        if ROWS[row].keys() & query.keys()
    ]
    return sorted(found, key=lambda one: (-one[0], one[1]))


def answer(hits: Any) -> list[tuple[float, int]]:
    return [(hit.score, hit.id) for hit in hits]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_vector(db: Any, form: str) -> None:
    docs = db.create_collection("docs", sparse=Sparse())
    assert docs.schema().vectors == {"default": Sparse(index="auto")}
    docs.upsert(range(60), FORMS[form](ROWS), [{"n": row} for row in range(60)])
    stored = docs.get(range(60), with_vectors=True)
    for row, point in zip(ROWS, stored, strict=True):
        found = point.vectors["default"]
        assert found.indices.dtype == np.uint32
        assert found.values.dtype == np.float32
        assert found.indices.tolist() == sorted(row)
        assert dict(zip(found.indices.tolist(), found.values.tolist(), strict=True)) == row
    one, many = FORMS[form]([QUERY]), FORMS[form]([*ROWS[:5], QUERY])
    if isinstance(one, list):
        one = one[0]
    assert answer(docs.query(one, k=60)) == expected(QUERY)
    assert [answer(hits) for hits in docs.query_batch(many, k=60)] == [expected(row) for row in [*ROWS[:5], QUERY]]


def test_a_stored_vector_is_a_query(db: Any) -> None:
    docs = db.create_collection("docs", sparse={"terms": Sparse(datatype="float16")})
    docs.upsert(range(60), {"terms": ROWS})
    hits = docs.query(QUERY, k=3, with_vectors=["terms"], with_payload=False)
    assert answer(hits) == expected(QUERY)[:3]
    near = hits[0].vectors["terms"]
    assert isinstance(near, SparseVector)
    assert answer(docs.query(near, k=60)) == expected(ROWS[hits[0].id])
    docs.upsert([100, 101], {"terms": [hit.vectors["terms"] for hit in list(hits)[:2]]})
    copied = docs.get(100, with_vectors=True)[0].vectors["terms"]
    assert copied.indices.tolist() == near.indices.tolist()
    assert copied.values.tolist() == near.values.tolist()


def test_points_without_the_vector_filters_and_thresholds(db: Any) -> None:
    docs = db.create_collection(
        "docs", vectors={"d": Dense(4)}, sparse={"s": Sparse(index="flat")}, indexes={"n": "integer"}
    )
    given: list[Any] = [None if row % 4 == 1 else terms for row, terms in enumerate(ROWS)]
    docs.upsert(range(60), {"s": given, "d": np.eye(4)[np.arange(60) % 4]}, [{"n": row} for row in range(60)])
    having = [row for row in range(60) if row % 4 != 1]
    assert docs.count(vecstore.has_vector("s")) == len(having)
    assert docs.get(1, with_vectors=True)[0].vectors.keys() == {"d"}
    scores = [one for one in expected(QUERY) if one[1] in having]
    assert answer(docs.query(QUERY, k=60, using="s")) == scores
    late = [one for one in scores if one[1] >= 30]
    assert answer(docs.query(QUERY, k=5, using="s", filter=vecstore.F("n").gte(30))) == late[:5]
    assert answer(docs.query(QUERY, k=5, offset=5, using="s", filter=vecstore.F("n").gte(30))) == late[5:10]
    bound = scores[len(scores) // 2][0]
    assert answer(docs.query(QUERY, k=60, using="s", score_threshold=bound)) == [s for s in scores if s[0] >= bound]
    assert len(docs.query({5: 1.0}, k=60, using="s")) == 0  # nothing in common with any point
    assert len(docs.query({}, k=60, using="s")) == 0
    docs.delete(range(30))
    assert answer(docs.query(QUERY, k=60, using="s")) == late


def test_points_one_by_one_and_upload(db: Any) -> None:
    docs = db.create_collection("docs", sparse=Sparse())
    done = docs.upload(({"id": row, "vector": terms} for row, terms in enumerate(ROWS[:30])), batch_bytes=500)
    assert done.points == 30
    assert done.requests > 3
    docs.upload(ids=range(30, 60), vectors=ROWS[30:], progress=False)
    assert answer(docs.query(QUERY, k=60)) == expected(QUERY)
    docs.upload([{"id": 7, "vectors": {"default": pair(ROWS[8])}}, {"id": 8}])
    first, second = docs.get([7, 8], with_vectors=True)
    assert dict(zip(*map(np.ndarray.tolist, first.vectors["default"]), strict=True)) == ROWS[8]
    assert not second.vectors


def raw(indices: Any, values: Any, offsets: Any = None) -> SparseRows:
    indices, values = np.array(indices), np.array(values)
    return SparseRows(np.array([0, len(indices)] if offsets is None else offsets), indices, values)


BAD_VECTORS: dict[str, tuple[str, str, Any]] = {  # the reason, the path within the field, what is given for two points
    "an index twice": ("BAD_VECTOR", "[1]", [{1: 1.0}, ([4, 2, 4], [1.0, 2.0, 3.0])]),
    "a negative index": ("BAD_VECTOR", "[1]", [{1: 1.0}, {-1: 1.0}]),
    "an index of 2^32": ("BAD_VECTOR", "[1]", [{1: 1.0}, {1 << 32: 1.0}]),
    "an index beyond any integer": ("BAD_VECTOR", "[1]", [{1: 1.0}, {1 << 70: 1.0}]),
    "a fraction for an index": ("BAD_VECTOR", "[1]", [{1: 1.0}, {1.5: 1.0}]),
    "NaN": ("NAN_OR_INF", "[1]", [{1: 1.0}, {2: float("nan")}]),
    "beyond float32": ("NAN_OR_INF", "[1]", [{1: 1.0}, {2: 1e39}]),
    "a squared length beyond float32": ("NAN_OR_INF", "[1]", [{1: 1.0}, {2: 3e38}]),
    "lengths that differ": ("BAD_VECTOR", "[1]", [{1: 1.0}, ([1, 2], [1.0])]),
    "three runs": ("BAD_VECTOR", "[1]", [{1: 1.0}, ([1], [1.0], [2.0])]),
    "numbers for runs": ("BAD_VECTOR", "[1]", [{1: 1.0}, (1, 2.0)]),
    "words for numbers": ("BAD_VECTOR", "[1]", [{1: 1.0}, {2: "x"}]),
    "a dense vector": ("BAD_VECTOR", "[0]", np.ones((2, 4))),
    "dense lists": ("BAD_VECTOR", "[0]", [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]),
    "a text": ("BAD_VECTOR", "[1]", [{1: 1.0}, "a fox"]),
    "one text for all": ("BAD_VECTOR", "", "a fox"),
    "one vector for two points": ("BAD_VECTOR", "", [{1: 1.0}]),
    "rows: a negative index": ("BAD_VECTOR", "[1]", raw([1, -2], [1.0, 1.0], [0, 1, 2])),
    "rows: an index of 2^32": ("BAD_VECTOR", "[1]", raw([1, 1 << 32], [1.0, 1.0], [0, 1, 2])),
    "rows: an index twice": ("BAD_VECTOR", "[1]", raw([1, 2, 2], [1.0, 1.0, 1.0], [0, 1, 3])),
    "rows: NaN": ("NAN_OR_INF", "[1]", raw([1, 2], [1.0, np.nan], [0, 1, 2])),
    "rows: lengths that differ": ("BAD_VECTOR", "", raw([1, 2], [1.0], [0, 1, 2])),
    "rows: offsets that fall": ("BAD_VECTOR", "", raw([1, 2], [1.0, 1.0], [0, 3, 2])),
    "rows: complex numbers": ("BAD_VECTOR", "", raw([1, 2], [1j, 1j], [0, 1, 2])),
}


def test_bad_vectors_are_refused_alike(db: Any) -> None:
    docs = db.create_collection("docs", vectors={"d": Dense(4)}, sparse={"s": Sparse()})
    for case, (reason, place, given) in BAD_VECTORS.items():
        try:
            check_refused(docs, reason, place, given)
        except BaseException as error:
            error.add_note(f"case: {case}")
            raise
    assert docs.count() == 0


def check_refused(docs: Any, reason: str, place: str, given: Any) -> None:
    calls = [({f"vectors.s{place}"}, lambda: docs.upsert([1, 2], {"s": given}))]
    if isinstance(given, SparseRows):  # at which no client looks
        batch = PointBatch([1, 2], {"s": VectorBatch(given)})
        calls.append(({f"vectors.s{place}"}, lambda: docs.upload([batch])))
    if not (isinstance(given, list) and len(given) == 1):  # the client's word, the engine's, the server's for a batch
        paths = {f"vectors{place}", f"queries{place}", f"queries{place}.query"}
        calls.append((paths, lambda: docs.query_batch(given, using="s")))
    for paths, call in calls:
        with pytest.raises(InvalidArgument) as refused:
            call()
        assert refused.value.reason == reason, refused.value
        assert refused.value.field_violations[0][0] in paths, refused.value


BAD_QUERIES: dict[str, tuple[str, str, Any]] = {  # the reason, the field, the query
    "an index twice": ("BAD_VECTOR", "s", ([4, 2, 4], [1.0, 2.0, 3.0])),
    "a negative index": ("BAD_VECTOR", "s", {-1: 1.0}),
    "an index of 2^32": ("BAD_VECTOR", "s", {1 << 32: 1.0}),
    "infinite": ("NAN_OR_INF", "s", {1: float("inf")}),
    "lengths that differ": ("BAD_VECTOR", "s", ([1, 2], [1.0])),
    "a dense vector": ("BAD_VECTOR", "s", np.ones(4)),
    "a list of numbers": ("BAD_VECTOR", "s", [0.1, 0.2]),
    "a text": ("BAD_VECTOR", "s", "a fox"),
    "several": ("BAD_VECTOR", "s", raw([1, 2], [1.0, 1.0], [0, 1, 2])),
    "rows: a negative index": ("BAD_VECTOR", "s", raw([-2], [1.0])),
    "a dictionary for a dense field": ("BAD_VECTOR", "d", {1: 1.0}),
    "a sparse vector for a dense field": ("BAD_VECTOR", "d", vector({1: 1.0})),
    "rows for a dense field": ("BAD_VECTOR", "d", raw([1], [1.0])),
    "a text for a dense field": ("BAD_VECTOR", "d", "a fox"),
}


def test_bad_queries_are_refused_alike(db: Any) -> None:
    docs = db.create_collection("docs", vectors={"d": Dense(4)}, sparse={"s": Sparse()})
    docs.upsert([1], {"d": np.ones((1, 4)), "s": [{1: 1.0}]})
    for case, (reason, using, given) in BAD_QUERIES.items():
        with pytest.raises(InvalidArgument) as refused:
            docs.query(given, using=using)
        assert refused.value.reason == reason, (case, refused.value)
        assert refused.value.field_violations[0][0] in ("vector", "query"), (case, refused.value)


def test_sparse_vectors_for_a_dense_field_are_refused(db: Any) -> None:
    docs = db.create_collection("docs", vectors=Dense(4))
    for given in ([{1: 1.0}], [vector({1: 1.0})], raw([1], [1.0]), scipy_rows([{1: 1.0}]), ["a fox"]):
        with pytest.raises(InvalidArgument) as refused:
            docs.upsert([1], given)
        assert refused.value.reason == "BAD_VECTOR", (given, refused.value)
        assert refused.value.field_violations[0][0].startswith("vectors.default"), refused.value
    batch = PointBatch([1], {"default": VectorBatch(raw([1], [1.0]))})
    with pytest.raises(InvalidArgument) as refused:
        docs.upload([batch])
    assert (refused.value.reason, refused.value.field_violations[0][0]) == ("BAD_VECTOR", "vectors.default")
    assert docs.count() == 0


def test_bad_fields_are_refused_alike(db: Any) -> None:
    for part, spec in (
        ("dim", {"kind": "sparse", "dim": 5}),
        ("metric", {"kind": "sparse", "metric": "cosine"}),
        ("datatype", {"kind": "sparse", "datatype": "bfloat16"}),
        ("analysis", {"kind": "sparse", "analysis": {"language": "none"}}),
        ("index", {"kind": "sparse", "index": "ivf"}),
        ("index", {"kind": "dense", "dim": 4, "index": "seismic"}),
    ):
        with pytest.raises(InvalidArgument) as refused:
            db.create_collection("docs", vectors=spec)
        assert refused.value.field_violations[0][0] == f"vectors.default.{part}", refused.value
        assert not db.has_collection("docs")


def test_indexes_and_the_parameters_of_queries(db: Any) -> None:
    spec = Seismic(postings=500, summary="max")
    for form in (spec, "seismic(postings=500, summary=max)", {"type": "seismic", "postings": 500, "summary": "max"}):
        docs = db.create_collection("docs", sparse=Sparse(index=form), exist_ok=True)
        assert docs.schema().vectors["default"].index == spec
    docs.upsert(range(60), ROWS)
    for how in ({"block_factor": 1.5}, {"nprobe": 3}, {"recall": 0.9}, {"recall": 1}, {"exact": True}):
        assert answer(docs.query(QUERY, k=60, **how)) == expected(QUERY), how
        assert answer(docs.query_batch([QUERY], k=60, **how)[0]) == expected(QUERY), how
    for how in (
        {"block_factor": 0}, {"block_factor": -1.0}, {"block_factor": 1e9}, {"block_factor": float("nan")},
        {"block_factor": "x"}, {"nprobe": 0}, {"recall": 1.5}, {"truncate_dim": 4},
    ):  # fmt: skip
        with pytest.raises(InvalidArgument) as refused:
            docs.query(QUERY, **how)
        assert refused.value.reason == "BAD_ARGUMENT", (how, refused.value)
        assert next(iter(how)).split("_")[0] in refused.value.message
    for text in ("inverted", "flat", "seismic"):
        docs.update_index("default", text)
        assert docs.schema().vectors["default"].index == parse_index(text)
        assert docs.stats()["vectors"]["default"]["index"] == text
        assert answer(docs.query(QUERY, k=60)) == expected(QUERY)
    copied = parse_index("seismic(values=fixed8, components=plain)")
    assert copied == Seismic(values="fixed8", components="plain")
    docs.update_index("default", copied)
    assert docs.schema().vectors["default"].index == copied
    assert docs.stats()["vectors"]["default"]["index"] == "seismic(values=fixed8, components=plain)"
    assert answer(docs.query(QUERY, k=60, rescore=False)) == expected(QUERY)
    for bad, part in (
        ({"type": "seismic", "postings": 0}, ".postings"), ("seismic(components=delta8)", ".components"), ("ivf", ""),
        ({"type": "seismic", "components": "plain"}, ".components"), ("mih", ""),
    ):  # fmt: skip
        with pytest.raises(InvalidArgument) as refused:
            docs.update_index("default", bad)
        assert refused.value.field_violations[0][0] == f"vectors.default.index{part}", refused.value


def test_large_upserts_are_cut_by_bytes() -> None:
    limits = Limits(message_bytes_max=64 * 1024)
    rows = [dict.fromkeys(range(400 if row % 10 else 4000), 1.0) for row in range(60)]
    with vecstore.connect(":memory:", settings=Settings(limits=limits)) as client:
        docs = client.create_collection("docs", sparse=Sparse())
        sizes: list[int] = []
        inner = client._transport

        class Recording:
            settings = inner.settings

            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

            def write(self, request: UpsertRequest) -> Any:
                wire = pytest.importorskip("vecstore.wire.writes")
                size = wire.upsert_to_pb(request).ByteSize()
                assert size <= row_bytes(request.batch.vectors["default"].rows).sum() + 200 * len(request.batch.ids)
                sizes.append(size)
                return inner.write(request)

        docs._transport = Recording()
        docs.upsert(range(60), rows)
        assert len(sizes) > 3
        assert max(sizes) <= limits.message_bytes_max
        assert docs.count() == 60
        answers = docs.query_batch(rows, k=60)
        assert [len(hits) for hits in answers] == [60] * 60


def test_bad_input_far_back_in_a_large_upsert_writes_nothing() -> None:
    with vecstore.connect(":memory:", settings=Settings(limits=Limits(batch_points_max=50))) as client:
        docs = client.create_collection("docs", sparse=Sparse())
        rows: list[Any] = [{1: 1.0} for _ in range(120)]
        rows[110] = ([3, 3], [1.0, 1.0])
        with pytest.raises(InvalidArgument) as refused:
            docs.upsert(range(120), rows)
        assert refused.value.field_violations[0][0] == "vectors.default[110]"
        assert docs.count() == 0


@pytest.mark.parametrize("style", ["sync", "async"])
def test_scrolling_takes_fewer_points_at_a_time_where_they_are_large(
    loop: asyncio.AbstractEventLoop, style: str
) -> None:
    pytest.importorskip("grpc", reason="needs the server extra")
    from vecstore.engine.database import Database
    from vecstore.server.running import start_server

    limits = Limits(message_bytes_max=64 * 1024)
    database = Database.open(None, Settings(server=Server(port=0), limits=limits))
    server = start_server(database)
    target = f"grpc://127.0.0.1:{server.port}"
    try:
        with vecstore.connect(target) as db:
            docs = db.create_collection("docs", sparse=Sparse())
            docs.upload(ids=range(40), vectors=[dict.fromkeys(range(2_000), 1.0)] * 40, batch_bytes=40_000)
            points = list(docs.scroll(page=256, with_vectors=True) if style == "sync" else scrolled(target, loop))
            assert [point.id for point in points] == list(range(40))
            assert all(len(point.vectors["default"].indices) == 2_000 for point in points)
            docs.upsert([40], [{1: 1.0}], [{"text": "x" * 60_000}])
            with pytest.raises(ResourceExhausted, match="message_bytes_max"):
                docs.query({1: 1.0}, k=41, with_vectors=True)
    finally:
        server.stop(0)
        database.close()


def scrolled(target: str, loop: asyncio.AbstractEventLoop) -> list[Any]:
    async def walk() -> list[Any]:
        async with await vecstore.connect_async(target) as db:
            return [point async for point in db.collection("docs").scroll(page=256, with_vectors=True)]

    return asyncio.run_coroutine_threadsafe(walk(), loop).result(60)
