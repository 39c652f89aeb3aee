"""Points in the order of a key, samples, facets, distance matrices and radius search, against plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import IN_PLACE

from vecstore.engine.database import Database
from vecstore.engine.ids import encode_id
from vecstore.engine.stage_answers import EXACT
from vecstore.errors import InvalidArgument, NotFound
from vecstore.facets import FacetRequest, MatrixRequest
from vecstore.grouping import GroupsRequest
from vecstore.index_spec import IVF
from vecstore.query.builder import F
from vecstore.query.datetimes import parse_datetime
from vecstore.query.fusion import Fusion
from vecstore.ranking import OrderBy, Sample
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import DeleteRequest, PointBatch, Prefetch, QueryRequest, UpsertRequest, VectorBatch

SEED, N, DIM = 20261127, 500, 4
RNG = np.random.default_rng(SEED)
VECTORS = RNG.normal(size=(N, DIM)).astype(np.float32)
ODD: list[Any] = [None, True, "7", [3, 9, 3], [], 2**70, 2.5, -0.0, 7.0, {"a": 1}, [True, 4, "x", "x"], ["y", None]]
IDS: list[Any] = [i if i % 3 else f"id{i:04}" for i in range(N)]
DEAD = {5, 17, 301, 450}
LIVE = [i for i in range(N) if i not in DEAD]


def _payload(i: int) -> dict[str, Any]:
    draw = RNG.random()
    value: Any = ODD[int(RNG.integers(len(ODD)))] if draw < 0.3 else int(RNG.integers(-9, 9))
    day = int(RNG.integers(1, 29))
    return {"g": i % 4, "at": f"2024-02-{day:02}T00:00:00Z"} | ({} if draw > 0.9 else {"n": value, "m": value})


PAYLOADS = [_payload(i) for i in range(N)]


@pytest.fixture(scope="module", params=[None, FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.KEYWORD, FieldKind.BOOL])
def db(request: pytest.FixtureRequest) -> Any:
    """A sealed segment and a growing one, with an index of each kind on "n"."""
    db = Database.open(None)
    fields = {} if request.param is None else {"n": request.param, "at": FieldKind.DATETIME}
    db.create_collection("c", Schema({"v": VectorField(VectorKind.DENSE, DIM, Metric.L2)}, fields))
    for low, high in ((0, 300), (300, N)):
        payloads: list[bytes | None] = [msgspec.json.encode(one) for one in PAYLOADS[low:high]]
        db.write(UpsertRequest("c", PointBatch(IDS[low:high], {"v": VectorBatch(VECTORS[low:high])}, payloads)))
        if not low:
            db.wait_operation(db.compact("c").id, 60)
    db.write(DeleteRequest("c", [IDS[i] for i in DEAD]))
    yield db
    db.close()


def numbers(payload: dict[str, Any]) -> list[float]:
    found = payload.get("n")
    listed = found if isinstance(found, list) else [found]
    return [float(one) for one in listed if isinstance(one, int | float) and not isinstance(one, bool)]


def in_order(descending: bool, places: list[int]) -> list[tuple[float, int]]:
    best = {i: (max if descending else min)(numbers(PAYLOADS[i])) for i in places if numbers(PAYLOADS[i])}
    return [
        (best[i], i) for i in sorted(best, key=lambda i: (-best[i] if descending else best[i], encode_id(IDS[i])))
    ]  # fmt: skip


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("group", [None, 2])
def test_pages_follow_each_other(db: Database, descending: bool, group: int | None) -> None:
    where = None if group is None else F("g").eq(group)
    expected = in_order(descending, [i for i in LIVE if group is None or i % 4 == group])
    whole = db.query(QueryRequest("c", ranking=OrderBy("n", descending), filter=where, k=N))
    assert [hit.id for hit in whole] == [IDS[i] for _, i in expected], SEED
    np.testing.assert_array_equal(whole.scores, np.float32([value for value, _ in expected]))
    paged: list[Any] = []
    order = OrderBy("n", descending)
    while page := list(db.query(QueryRequest("c", ranking=order, filter=where, k=7))):
        paged += page
        value = expected[len(paged) - 1][0]
        order = OrderBy("n", descending, value, page[-1].id)
    assert [hit.id for hit in paged] == [hit.id for hit in whole]
    start = expected[len(expected) // 2][0]
    rest = db.query(QueryRequest("c", ranking=OrderBy("n", descending, start), filter=where, k=N))
    later = [i for value, i in expected if (value <= start if descending else value >= start)]
    assert [hit.id for hit in rest] == [IDS[i] for i in later]


@pytest.mark.parametrize("indexed", [False, True])
def test_integers_beyond_float64_have_their_place(indexed: bool) -> None:
    huge = int("1" + "0" * 400)
    values = [3, huge, -huge, 2, huge, int("1" + "0" * 300), -huge]
    fields = {"n": FieldKind.INTEGER} if indexed else {}
    with Database.open(None) as db:
        db.create_collection("c", Schema({"v": VectorField(VectorKind.DENSE, 1, Metric.L2)}, fields))
        payloads: list[bytes | None] = [b'{"n": %d}' % one for one in values]
        db.write(UpsertRequest("c", PointBatch(list(range(7)), payloads=payloads)))
        for descending, wanted in ((False, [2, 6, 3, 0, 5, 1, 4]), (True, [1, 4, 5, 0, 3, 2, 6])):
            hits = db.query(QueryRequest("c", ranking=OrderBy("n", descending)))
            assert hits.ids.tolist() == wanted
            assert np.isfinite(hits.scores).all()
            paged: list[int] = []
            while len(paged) < 7:
                order = OrderBy("n", descending, values[paged[-1]], paged[-1]) if paged else OrderBy("n", descending)
                paged += db.query(QueryRequest("c", ranking=order, k=1)).ids.tolist()
            assert paged == wanted


def test_moments_are_in_order(db: Database) -> None:
    moments = {i: parse_datetime(PAYLOADS[i]["at"]) or 0 for i in LIVE}
    expected = sorted(LIVE, key=lambda i: (-moments[i], encode_id(IDS[i])))
    hits = db.query(QueryRequest("c", ranking=OrderBy("at", descending=True, datetime=True), k=N))
    assert [hit.id for hit in hits] == [IDS[i] for i in expected]


def test_order_and_samples_among_stages(db: Database) -> None:
    pool = Prefetch(VECTORS[0], k=40)
    near = {hit.id for hit in db.query(QueryRequest("c", VECTORS[0], k=40))}
    hits = db.query(QueryRequest("c", ranking=OrderBy("n"), prefetch=[pool], k=100))
    assert [hit.id for hit in hits] == [IDS[i] for _, i in in_order(False, LIVE) if IDS[i] in near]
    fused = db.query(QueryRequest("c", prefetch=[Prefetch(ranking=OrderBy("n"), k=9), pool], fusion=Fusion(k=1), k=60))
    assert {hit.id for hit in fused} == near | {IDS[i] for _, i in in_order(False, LIVE)[:9]}
    some = db.query(QueryRequest("c", ranking=Sample(), prefetch=[pool], k=10))
    assert len(some) == 10
    assert set(some.ids) <= near
    groups = db.query_groups(GroupsRequest(QueryRequest("c", ranking=OrderBy("n"), k=4), "g", 2))
    first: dict[int, list[Any]] = {}
    for _, i in in_order(False, LIVE):
        first.setdefault(i % 4, []).append(IDS[i])
    assert [(one.value, [hit.id for hit in one.hits]) for one in groups.groups] == [
        (value, ids[:2]) for value, ids in first.items()
    ]


def test_samples_are_uniform_and_repeatable(db: Database) -> None:
    where = F("g").in_([0, 1])
    matching = {IDS[i] for i in LIVE if i % 4 < 2}
    asked = QueryRequest("c", ranking=Sample(seed=7), filter=where, k=30)
    one, again = db.query(asked), db.query(asked)
    assert list(one.ids) == list(again.ids)
    assert set(one.ids) <= matching
    assert len(set(one.ids)) == 30
    assert list(db.query(QueryRequest("c", ranking=Sample(seed=8), filter=where, k=30)).ids) != list(one.ids)
    assert set(db.query(QueryRequest("c", ranking=Sample(), filter=where, k=N)).ids) == matching
    for seeds in ([None] * 400, range(400)):
        counts = Counter(
            point for seed in seeds
            for point in db.query(QueryRequest("c", ranking=Sample(seed), filter=where, k=30)).ids
        )  # fmt: skip
        expected = 400 * 30 / len(matching)  # a draw leaves this range by six standard deviations
        assert all(abs(counts[point] - expected) < 6 * expected**0.5 for point in matching)


def test_the_same_sample_whatever_the_segments(reopen: Callable[..., Database]) -> None:
    db = reopen(IN_PLACE)
    db.create_collection("s", Schema({"v": VectorField(VectorKind.DENSE, DIM, Metric.L2)}))
    db.write(UpsertRequest("s", PointBatch(IDS, {"v": VectorBatch(VECTORS)})))
    before = list(db.query(QueryRequest("s", ranking=Sample(seed=3), k=20)).ids)
    db.wait_operation(db.compact("s").id, 60)
    assert list(db.query(QueryRequest("s", ranking=Sample(seed=3), k=20)).ids) == before


def facet_values(payload: dict[str, Any]) -> set[tuple[str, Any]]:
    found = payload.get("n")
    values = set()
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, bool):
            values.add(("bool", one))
        elif isinstance(one, str):
            values.add(("str", one))
        elif isinstance(one, int | float) and one == int(one) and abs(one) < 2**63:
            values.add(("int", int(one)))
    return values


@pytest.mark.parametrize("group", [None, 1])
def test_facets_count_points(db: Database, group: int | None) -> None:
    where = None if group is None else F("g").eq(group)
    counts = Counter(one for i in LIVE if group is None or i % 4 == group for one in facet_values(PAYLOADS[i]))
    order = {"bool": 0, "int": 1, "str": 2}
    expected = sorted(counts.items(), key=lambda one: (-one[1], order[one[0][0]], one[0][1]))
    for limit in (3, 100):
        got = db.facet(FacetRequest("c", "n", where, limit)).counts
        assert [((type(value).__name__, value), count) for value, count in got] == expected[:limit], SEED
    assert db.facet(FacetRequest("c", "none")).counts == []


def test_a_matrix_holds_all_pairs(db: Database) -> None:
    ids = [IDS[3], IDS[400], IDS[8], IDS[3]]
    matrix = db.matrix(MatrixRequest("c", ids=ids))
    rows = VECTORS[[3, 400, 8, 3]]
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    assert list(matrix.ids) == ids
    np.testing.assert_allclose(matrix.scores, gaps, atol=1e-3)
    some = db.matrix(MatrixRequest("c", filter=F("g").eq(1), sample=20, seed=1))
    places = [IDS.index(one) for one in some.ids]
    assert len(set(places)) == 20
    assert {i % 4 for i in places} == {1}
    assert not set(places) & DEAD
    gaps = np.linalg.norm(VECTORS[places][:, None] - VECTORS[places][None], axis=2)
    np.testing.assert_allclose(some.scores, gaps, atol=1e-3)
    assert db.matrix(MatrixRequest("c", filter=F("g").eq(99))).scores.shape == (0, 0)


@pytest.mark.parametrize("index", [None, IVF(nlist=32)], ids=["scan", "ivf"])
def test_radius_search_is_complete(reopen: Callable[..., Database], index: Any) -> None:
    db = reopen(IN_PLACE)
    db.create_collection("r", Schema({"v": VectorField(VectorKind.DENSE, DIM, Metric.L2, index=index)}))
    rows = RNG.normal(size=(12_000, DIM)).astype(np.float32)
    for low in (0, 6_000):
        batch = PointBatch(list(range(low, low + 6_000)), {"v": VectorBatch(rows[low : low + 6_000])})
        db.write(UpsertRequest("r", batch))
    db.wait_operation(db.compact("r").id, 60)
    gaps = np.linalg.norm(rows - rows[1], axis=1).astype(np.float32)
    for radius in (0.3, 1.0, 2.5):
        assert np.count_nonzero(gaps <= radius) < 10_000
        inside = set(np.flatnonzero(gaps <= radius - 1e-5).tolist())
        outside = set(np.flatnonzero(gaps > radius + 1e-5).tolist())
        exact = db.query(QueryRequest("r", rows[1], k=10_000, score_threshold=radius, params=EXACT))
        assert inside <= set(exact.ids.tolist())
        hits = db.query(QueryRequest("r", rows[1], k=10_000, score_threshold=radius, explain=True))
        assert hits.explain is not None
        assert [one["strategy"] for one in hits.explain["segments"] if one["rows"]] == [
            "exact_scan" if index is None else "ivf"
        ]
        found = set(hits.ids.tolist())
        assert not found & outside
        assert len(found & inside) >= 0.95 * len(inside)


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (QueryRequest("c", ranking=OrderBy("")), "order_by.key"),
        (QueryRequest("c", ranking=OrderBy("n", after=3)), "order_by.after"),
        (QueryRequest("c", ranking=OrderBy("n", start_from=float("nan"))), "order_by.start_from"),
        (QueryRequest("c", ranking=OrderBy("n", start_from=1.0, after=-1)), "order_by.after"),
        (QueryRequest("c", ranking=OrderBy("n"), using="v"), "using"),
        (QueryRequest("c", ranking=OrderBy("n"), score_threshold=1.0), "score_threshold"),
        (QueryRequest("c", ranking=Sample(-1)), "sample.seed"),
        (FacetRequest("c", ""), "key"),
        (FacetRequest("c", "n", limit=0), "limit"),
        (MatrixRequest("c", ids=[1] * 1_001), "ids count"),
        (MatrixRequest("c", sample=1_001), "sample"),
        (MatrixRequest("c", ids=[1], filter=F("g").eq(1)), "ids"),
        (MatrixRequest("c", "nope"), "using"),
    ],
)
def test_what_is_wrong_is_named(db: Database, request_: Any, path: str) -> None:
    call: Any = {QueryRequest: db.query, FacetRequest: db.facet, MatrixRequest: db.matrix}[type(request_)]
    with pytest.raises(InvalidArgument) as caught:
        call(request_)
    assert [found for found, _ in caught.value.field_violations] == [path]


def test_a_matrix_of_unknown_points(db: Database) -> None:
    with pytest.raises(NotFound, match=r"ids\[1\]: point 4999 does not exist"):
        db.matrix(MatrixRequest("c", ids=[1, 4_999]))
