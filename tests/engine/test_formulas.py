"""Rank expressions against the same arithmetic in plain Python, on random trees."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from vecstore import formula as fx
from vecstore.config import Limits
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.grouping import GroupsRequest
from vecstore.query import formula as tree
from vecstore.query.builder import F
from vecstore.query.formula_parse import parse_formula
from vecstore.query.fusion import Fusion
from vecstore.query.match import matches
from vecstore.ranking import Formula
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import PointBatch, Prefetch, QueryRequest, UpsertRequest, VectorBatch

SEED, N, DIM = 20261127, 400, 4
RNG = np.random.default_rng(SEED)
VECTORS = RNG.normal(size=(N, DIM)).astype(np.float32)
ODD: list[Any] = ["x", None, [4, 2.5, "y"], [], True, {"a": 1}, 0, 2.5, 2**70]


def _payload(i: int) -> dict[str, Any]:
    day, draw = int(RNG.integers(1, 29)), RNG.random()
    n: Any = ODD[int(RNG.integers(len(ODD)))] if draw < 0.3 else int(RNG.integers(-9, 9))
    payload = {"g": i % 3, "at": f"2024-02-{day:02}T00:00:00Z", "m": n, "place": {"lat": float(i % 80), "lon": 5.0}}
    return payload | ({} if draw > 0.9 else {"n": n})


PAYLOADS = [_payload(i) for i in range(N)]


INDEXES = {"n": FieldKind.INTEGER, "at": FieldKind.DATETIME, "m": FieldKind.FLOAT}


@pytest.fixture(scope="module", params=[({}, 250), (INDEXES, 250), (INDEXES, N)])
def db(request: pytest.FixtureRequest) -> Any:
    """A sealed segment and a growing one, or a sealed one alone, which is read without gathering."""
    indexes, sealed = request.param
    db = Database.open(None)
    fields = {"a": VectorField(VectorKind.DENSE, DIM, Metric.L2), "b": VectorField(VectorKind.DENSE, DIM, Metric.DOT)}
    db.create_collection("c", Schema(fields, indexes))
    for low, high in ((0, sealed), (sealed, N))[: 1 + (sealed < N)]:
        payloads: list[bytes | None] = [msgspec.json.encode(one) for one in PAYLOADS[low:high]]
        vectors = {name: VectorBatch(VECTORS[low:high]) for name in fields}
        db.write(UpsertRequest("c", PointBatch(list(range(low, high)), vectors, payloads)))
        if not low:
            db.wait_operation(db.compact("c").id, 60)
    yield db
    db.close()


QUERY = VECTORS[3] + 0.1
LEGS = [Prefetch(QUERY, "a", k=150), Prefetch(QUERY, "b", k=150)]


def legs_of(db: Database) -> list[dict[int, float]]:
    return [
        {int(str(hit.id)): float(hit.score) for hit in db.query(QueryRequest("c", one.vector, one.using, k=150))}
        for one in LEGS
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def python(node: tree.Expression, i: int, legs: list[dict[int, float]]) -> float:
    """IEEE arithmetic, one point at a time."""

    def value(one: tree.Expression) -> float:
        return python(one, i, legs)

    if isinstance(node, tree.Number):
        return float(node.value)
    if isinstance(node, tree.Score):
        return legs[node.prefetch].get(i, node.default)
    if isinstance(node, tree.Matches):
        return float(matches(node.filter, PAYLOADS[i], i, ["a", "b"]))
    if isinstance(node, tree.FieldValue | tree.GeoDistance):
        missing = math.nan if node.default is None else node.default
        given = listed(PAYLOADS[i].get(node.key))
        if isinstance(node, tree.GeoDistance):
            places = [math.radians(one["lat"]) for one in given if isinstance(one, dict) and "lat" in one]
            return min((6_371_008.8 * abs(lat - math.radians(node.lat)) for lat in places), default=missing)
        if node.datetime:
            return min(
                (datetime.fromisoformat(one).timestamp() for one in given if isinstance(one, str)), default=missing
            )
        numbers = [float(one) for one in given if isinstance(one, int | float) and not isinstance(one, bool)]
        return min(numbers, default=missing)
    if isinstance(node, tree.Decay):
        share = abs(value(node.x) - value(node.target)) / node.scale
        if node.kind == "linear":
            straight = 1 - (1 - node.midpoint) * share
            return math.nan if math.isnan(straight) else max(0.0, straight)
        return float(np.power(np.float64(node.midpoint), share if node.kind == "exp" else share * share))
    assert isinstance(node, tree.Call)
    args = [value(one) for one in node.args]
    return call(node.op, args)


def call(op: str, args: list[float]) -> float:
    a, b = args[0], args[-1]
    match op:
        case "add":
            return sum(args[1:], args[0])
        case "mul":
            return math.prod(args)
        case "min" | "max":
            return math.nan if any(map(math.isnan, args)) else {"min": min, "max": max}[op](args)
        case "div":
            if b:
                return a / b
            return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)
        case "pow":
            with np.errstate(all="ignore"):
                return float(np.float64(a) ** np.float64(b))
        case "exp":
            try:
                return math.exp(a)
            except OverflowError:
                return math.inf
        case "log" | "log10" | "sqrt":
            if math.isnan(a) or a < 0:
                return math.nan
            return (-math.inf if op != "sqrt" else a) if a == 0 else getattr(math, op)(a)
        case "where":
            return args[1] if a != 0 else args[2]
    one: dict[str, Any] = {
        "sub": lambda: a - b, "neg": lambda: -a, "abs": lambda: abs(a), "lt": lambda: a < b, "lte": lambda: a <= b,
        "gt": lambda: a > b, "gte": lambda: a >= b, "eq": lambda: a == b, "ne": lambda: a != b,
    }  # fmt: skip
    return float(one[op]())


def random_tree(rng: np.random.Generator, depth: int) -> tree.Expression:
    if depth == 0 or rng.random() < 0.2:
        leaves: list[tree.Expression] = [
            tree.Number(float(rng.choice([-2.0, 0.0, 0.5, 3.0]))), tree.Score(0), tree.Score(1, -1.0),
            tree.FieldValue("n", 1.5), tree.FieldValue("n"), tree.FieldValue("m", 0.0),
            tree.FieldValue("at", None, True),
            tree.Matches(F("g").eq(1)), tree.GeoDistance("place", 10.0, 5.0), tree.GeoDistance("n", 10.0, 5.0, 7.0),
        ]  # fmt: skip
        return leaves[int(rng.integers(len(leaves)))]
    if rng.random() < 0.2:
        x, target = random_tree(rng, depth - 1), random_tree(rng, depth - 1)
        kind = tree.DECAYS[int(rng.integers(3))]
        return tree.Decay(kind, x, target, float(rng.choice([0.5, 4.0])), float(rng.choice([0.25, 0.5])))
    op = list(tree.ARITY)[int(rng.integers(len(tree.ARITY)))]
    low, high = tree.ARITY[op]
    count = int(rng.integers(low, min(high, 3) + 1))
    return tree.Call(op, tuple(random_tree(rng, depth - 1) for _ in range(count)))


@pytest.mark.parametrize("seed", range(120))
def test_random_trees_equal_plain_python(db: Database, seed: int) -> None:
    root = random_tree(np.random.default_rng(SEED + seed), 4)
    legs = legs_of(db)
    found = sorted({i for leg in legs for i in leg})
    expected = {i: python(root, i, legs) for i in found}
    expected = {i: value for i, value in expected.items() if math.isfinite(value) and abs(value) < 3e38}
    hits = db.query(QueryRequest("c", ranking=Formula(root), prefetch=LEGS, k=N, explain=True))
    got = {int(str(hit.id)): hit for hit in hits}
    borderline = {i for i, value in expected.items() if abs(value) > 1e38}
    assert got.keys() - borderline == expected.keys() - borderline, (seed, root)
    for i, hit in got.items():
        assert hit.score == pytest.approx(expected[i], rel=1e-4, abs=1e-5), (seed, root, i)
        assert hit.legs == {leg: one[i] for leg, one in enumerate(legs) if i in one}
    order = [(-hit.score, hit.id) for hit in hits]
    assert order == sorted(order)


def test_the_best_come_first_and_are_explained(db: Database) -> None:
    root = fx.score(1) + 0.5 * fx.gauss_decay(fx.field("n", default=0), target=3, scale=2)
    legs = legs_of(db)
    values = {i: python(root, i, legs) for i in {i for leg in legs for i in leg}}
    best = sorted(values, key=lambda i: (-np.float32(values[i]), i))
    hits = db.query(QueryRequest("c", ranking=Formula(root), prefetch=LEGS, k=7, offset=2, explain=True))
    assert hits.ids.tolist() == best[2:9]
    assert hits.explain is not None
    assert hits.explain["formula"] == "(score(1) + (0.5 * gauss_decay(field(n))))"
    assert hits.explain["undefined"] == 0
    terms = hits.explain["terms"]
    assert [a + b for a, b in zip(*terms.values(), strict=True)][2:9] == pytest.approx([values[i] for i in best[2:9]])
    limit = float(hits.scores[2])
    some = db.query(QueryRequest("c", ranking=Formula(root), prefetch=LEGS, k=N, score_threshold=limit))
    assert some.ids.tolist() == best[:5]


def test_equal_scores_are_by_id_and_infinite_ones_are_left_out(db: Database) -> None:
    near = db.query(QueryRequest("c", QUERY, "a", k=150)).ids.tolist()
    assert near != sorted(near)
    steps = fx.where(fx.field("n", default=0) > 0, 1, -1)
    values = {i: python(steps, i, legs_of(db)) for i in near}
    best = sorted(near, key=lambda i: (-values[i], i))
    hits = db.query(QueryRequest("c", ranking=Formula(steps), prefetch=LEGS[:1], k=5))
    assert hits.ids.tolist() == best[:5]
    some = Formula(steps / fx.where(fx.score(0) > 1, 0.0, 1))  # infinite, of either sign, where far
    finite = [i for i in best if legs_of(db)[0][i] <= 1]
    assert 5 < len(finite) < len(best)
    for k in (5, 150):
        hits = db.query(QueryRequest("c", ranking=some, prefetch=LEGS[:1], k=k, explain=True))
        assert hits.ids.tolist() == finite[:k]
        assert hits.explain is not None
        assert hits.explain["undefined"] == len(near) - len(finite)
    above = db.query(QueryRequest("c", ranking=some, prefetch=LEGS[:1], k=150, score_threshold=1.0))
    assert above.ids.tolist() == [i for i in finite if values[i] == 1]
    inner = Prefetch(ranking=some, prefetch=LEGS[:1], k=150, score_threshold=1.0)
    within = db.query(QueryRequest("c", ranking=Formula(fx.score(0)), prefetch=[inner], k=150))
    assert within.ids.tolist() == sorted(above.ids.tolist())


def test_a_formula_stands_among_stages(db: Database) -> None:
    inner = Prefetch(ranking=Formula(fx.score(0) * -1), prefetch=LEGS[:1], k=20)
    near = db.query(QueryRequest("c", QUERY, "a", k=20))
    hits = db.query(QueryRequest("c", prefetch=[inner, LEGS[1]], fusion=Fusion(), k=300))
    assert {hit.id for hit in hits if hit.legs is not None and 0 in hit.legs} == set(near.ids.tolist())
    where = F("g").eq(1)
    kept = db.query(QueryRequest("c", ranking=Formula(fx.score(0)), prefetch=LEGS, filter=where, k=300))
    assert {int(str(hit.id)) % 3 for hit in kept} == {1}
    groups = db.query_groups(GroupsRequest(QueryRequest("c", ranking=Formula(-fx.score(0)), prefetch=LEGS, k=2), "g"))
    whole = db.query(QueryRequest("c", ranking=Formula(-fx.score(0)), prefetch=LEGS, k=1))
    assert groups.groups[0].hits[0].id == whole[0].id


def test_expressions_read_as_they_are_written() -> None:
    built = (1 - abs(fx.field("n", 2))) / 3 ** fx.score(1, 0.5) + fx.where(fx.score() >= 2, fx.log(2), -fx.score())
    given = {"add": [
        {"div": [{"sub": [1, {"abs": [{"field": "n", "default": 2}]}]}, {"pow": [3, {"score": 1, "default": 0.5}]}]},
        {"where": [{"gte": [{"score": 0}, 2]}, {"log": [2]}, {"neg": [{"score": 0}]}]},
    ]}  # fmt: skip
    assert parse_formula(given, Limits()) == built
    moment = datetime(2024, 2, 3, tzinfo=UTC)
    decay = fx.exp_decay(fx.datetime_field("at"), fx.datetime(moment), scale=86_400)
    raw = {"x": {"field": "at", "datetime": True}, "target": moment.timestamp(), "scale": 86_400}
    assert parse_formula({"exp_decay": raw}, Limits()) == decay
    place = parse_formula({"geo_distance": {"key": "p", "lat": 1.0, "lon": 2.0}}, Limits())
    assert place == fx.geo_distance("p", 1.0, 2.0)
    assert parse_formula({"matches": {"key": "g", "match": {"value": 1}}}, Limits()) == fx.matches(F("g").eq(1))


def deep(levels: int) -> tree.Expression:
    node: tree.Expression = tree.Score()
    for _ in range(levels - 1):
        node = -node
    return node


@pytest.mark.parametrize(
    ("root", "reason", "path"),
    [
        (tree.Score(2), "BAD_FORMULA", "formula"),
        (tree.Call("div", (tree.Score(), tree.Number(math.nan))), "BAD_FORMULA", "formula.args[1]"),
        (tree.Call("eval", (tree.Score(),)), "BAD_FORMULA", "formula"),
        (tree.Call("sub", (tree.Score(),)), "BAD_FORMULA", "formula"),
        (tree.Call("add", ()), "BAD_FORMULA", "formula"),
        (-tree.FieldValue("a..b"), "BAD_FILTER", "formula.args[0].key"),
        (fx.exp_decay(1, scale=0), "BAD_FORMULA", "formula.scale"),
        (fx.exp_decay(1, fx.linear_decay(1, midpoint=1.0)), "BAD_FORMULA", "formula.target.midpoint"),
        (fx.geo_distance("p", 91, 0), "BAD_FORMULA", "formula"),
        (tree.Call("neg", (3,)), "BAD_FORMULA", "formula.args[0]"),  # type: ignore[arg-type]
        (deep(33), "LIMIT_EXCEEDED", "formula depth"),
        (fx.max_(*[fx.max_(*range(40)) for _ in range(7)]), "LIMIT_EXCEEDED", "formula terms"),
    ],
)
def test_what_is_wrong_is_named(db: Database, root: Any, reason: str, path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        db.query(QueryRequest("c", ranking=Formula(root), prefetch=LEGS))
    assert caught.value.reason == reason, caught.value
    assert path in [found for found, _ in caught.value.field_violations] or reason == "BAD_FILTER"


def test_it_needs_prefetches(db: Database) -> None:
    with pytest.raises(InvalidArgument, match="nothing to rank"):
        db.query(QueryRequest("c", ranking=Formula(tree.Score())))
    assert len(db.query(QueryRequest("c", ranking=Formula(deep(32)), prefetch=LEGS))) == 10
