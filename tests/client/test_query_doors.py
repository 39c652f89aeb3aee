"""The query language through every client: the same answers, and the same things are refused in the same words."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecstore import RRF, Dense, Discover, F, InvalidArgument, NearestId, NotFound, OrderBy, Prefetch, Recommend, Sample
from vecstore.formula import exp_decay, field, score

SEED = 20261127
N, DIM = 60, 4
VECTORS = np.random.default_rng(SEED).integers(-4, 5, size=(N, DIM)).astype(np.float32)
PAYLOADS = [{"doc": f"d{place % 7}", "n": place} for place in range(N)]
QUERY = VECTORS[5] + 0.25


@pytest.fixture
def docs(db: Any) -> Any:
    docs = db.create_collection("docs", {"v": Dense(DIM, metric="l2")})
    docs.upsert(range(N), {"v": VECTORS}, PAYLOADS)
    return docs


def refused(call: Callable[[], Any], path: str) -> str:
    """The message of a refusal that names `path`."""
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert path in [found for found, _ in caught.value.field_violations], caught.value
    return caught.value.message


def order(query: np.ndarray) -> list[int]:
    gaps = ((VECTORS - query) ** 2).sum(axis=1)
    return sorted(range(N), key=lambda place: (gaps[place], place))


def test_groups(docs: Any) -> None:
    groups: dict[str, list[int]] = {}
    for place in order(QUERY):
        if place % 2 == 0:
            groups.setdefault(f"d{place % 7}", []).append(place)
    expected = [(value, places[:2]) for value, places in list(groups.items())[:4]]
    asked = {"group_by": "doc", "group_size": 2, "with_payload": ["n"], "explain": True}
    answer = docs.query_groups(QUERY, 4, filter=F("n").in_(list(range(0, N, 2))), **asked)
    assert [(one.value, one.hits.ids.tolist()) for one in answer.groups] == expected
    assert answer.seq == docs.last_seq
    assert answer.explain is not None
    assert all(hit.payload == {"n": hit.id} for one in answer.groups for hit in one.hits)
    legs = [Prefetch(vector=QUERY, k=20), Prefetch(vector=VECTORS[9], k=20)]
    fused = docs.query_groups(prefetch=legs, fusion=RRF(), k=3, group_by="doc")
    assert fused.groups[0].hits[0] == docs.query(prefetch=legs, fusion=RRF(), k=1)[0]
    assert "group_size=0 must be at least 1" in refused(
        lambda: docs.query_groups(QUERY, group_by="doc", group_size=0), "group_size"
    )
    assert "offset does not apply" in refused(lambda: docs.query_groups(QUERY, group_by="doc", offset=3), "offset")
    assert "dim=2" in refused(lambda: docs.query_groups([1.0, 2.0], group_by="doc"), "query")
    with pytest.raises(TypeError, match="no option 'limit'"):
        docs.query_groups(QUERY, group_by="doc", limit=3)


def test_examples(docs: Any) -> None:
    near_five = [place for place in order(VECTORS[5]) if place != 5]
    assert docs.query(NearestId(5), 8).ids.tolist() == near_five[:8]
    mean = order((VECTORS[5] + VECTORS[9]) / 2)
    assert docs.query(Recommend([VECTORS[5], list(VECTORS[9])]), 8).ids.tolist() == mean[:8]
    assert docs.query(Recommend([5, np.int64(9)]), 8).ids.tolist() == [one for one in mean if one not in (5, 9)][:8]
    best = docs.query(Recommend([5, 9], [7], "best_score"), 8, filter=F("n").lt(30))
    assert set(best.ids.tolist()) <= set(range(30)) - {5, 7, 9}
    found = docs.query(Discover(5, [(9, 7), (VECTORS[3], 8)]), 4, prefetch=[Prefetch(vector=NearestId(5), k=20)])
    assert set(found.ids.tolist()) <= set(near_five[:20])
    groups = docs.query_groups(Recommend([5], strategy="sum_scores"), 3, group_by="doc")
    assert groups.groups[0].hits[0].id == near_five[0]
    bad: list[tuple[Any, str]] = [
        (Recommend([5], strategy="worst"), "recommend.strategy"),
        (Recommend([], [5]), "recommend.positive"),
        (Recommend(5), "recommend.positive"),  # type: ignore[arg-type]
        (Recommend([[1.0, 2.0]]), "recommend.positive[0]"),
        (Discover(), "discover"),
        (Discover(1, [5]), "discover.context[0]"),  # type: ignore[list-item]
    ]
    for query, path in bad:
        refused(lambda query=query: docs.query(query), path)  # type: ignore[misc]
    with pytest.raises(NotFound, match="nearest_id: point 777 does not exist"):
        docs.query(NearestId(777))


def test_orders_samples_facets_and_matrices(docs: Any) -> None:
    page = docs.query(OrderBy("n", descending=True), 5, filter=F("doc").eq("d1"))
    assert page.ids.tolist() == [57, 50, 43, 36, 29]
    assert page.scores.tolist() == [57.0, 50.0, 43.0, 36.0, 29.0]
    following = docs.query(OrderBy("n", True, start_from=29, after=29), 5, filter=F("doc").eq("d1"))
    assert following.ids.tolist() == [22, 15, 8, 1]
    assert docs.query(Sample(seed=5), 9).ids.tolist() == docs.query(Sample(seed=5), 9).ids.tolist()
    assert set(docs.query(Sample(), 60).ids.tolist()) == set(range(N))
    assert docs.facet("doc", limit=3) == [("d0", 9), ("d1", 9), ("d2", 9)]
    assert docs.facet("n", filter=F("n").lt(2)) == [(0, 1), (1, 1)]
    matrix = docs.distance_matrix([3, 9, 4])
    assert matrix.ids.tolist() == [3, 9, 4]
    rows = VECTORS[[3, 9, 4]]
    np.testing.assert_allclose(matrix.scores, np.linalg.norm(rows[:, None] - rows[None], axis=2), atol=1e-5)
    assert docs.distance_matrix(sample=7, seed=1, filter=F("n").lt(20)).scores.shape == (7, 7)
    refused(lambda: docs.query(OrderBy("n", after=3)), "order_by.after")
    refused(lambda: docs.facet("doc", limit=0), "limit")
    refused(lambda: docs.distance_matrix([1], filter=F("n").eq(1)), "ids")
    with pytest.raises(NotFound, match="point 777 does not exist"):
        docs.distance_matrix([3, 777])


def test_pages_go_on_from_the_moment_that_a_payload_has(docs: Any) -> None:
    """Not from the score, which is rounded to float32: here all moments have one."""
    moments = {place: f"2026-05-01T00:00:{place % 5:02}.{place:06}Z" for place in range(0, N, 2)}
    for place, at in moments.items():
        docs.set_payload({"at": at}, [place])
    for descending in (False, True):
        expected = sorted(moments, key=lambda place: (moments[place], place), reverse=descending)
        page = docs.query(OrderBy("at", descending, datetime=True), 7)
        found = page.ids.tolist()
        while len(page) == 7:
            page = docs.query(OrderBy("at", descending, start_from=page[-1].payload["at"], after=page[-1].id), 7)
            found += page.ids.tolist()
        assert found == expected
    start = datetime.datetime(2026, 5, 1, 0, 0, 4, tzinfo=datetime.UTC)
    assert docs.query(OrderBy("at", start_from=start), 1).ids.tolist() == [4]
    refused(lambda: docs.query(OrderBy("at", start_from="noon")), "order_by.start_from")


def test_formulas(docs: Any) -> None:
    legs = [Prefetch(vector=QUERY, k=30), Prefetch(vector=VECTORS[9], k=30)]
    built = 2 * exp_decay(field("n"), target=20, scale=10) - score(0, default=50) / 10
    given = {"formula": {"sub": [
        {"mul": [2, {"exp_decay": {"x": {"field": "n"}, "target": 20, "scale": 10}}]},
        {"div": [{"score": 0, "default": 50}, 10]},
    ]}}  # fmt: skip
    near = {place: float(np.linalg.norm(VECTORS[place] - QUERY)) for place in order(QUERY)[:30]}
    both = near.keys() | set(order(VECTORS[9])[:30])
    values = {i: 2 * 0.5 ** (abs(i - 20) / 10) - near.get(i, 50) / 10 for i in both}
    best = sorted(values, key=lambda i: -values[i])[:5]
    for query in (built, given):
        hits = docs.query(query, 5, prefetch=legs, explain=True)
        assert hits.ids.tolist() == best
        np.testing.assert_allclose(hits.scores, [values[i] for i in best], rtol=1e-5)
        assert hits.explain["undefined"] == 0
    bad: list[tuple[Any, str]] = [
        (score(2), "formula"),
        (-score(0) / float("nan"), "formula.args[1]"),
        (exp_decay(1, scale=-1), "formula.scale"),
        ({"formula": {"nothing": 1}}, "formula"),
        ({"formula": {"add": 3}}, "formula.add"),
    ]
    for query, path in bad:
        refused(lambda query=query: docs.query(query, prefetch=legs), path)  # type: ignore[misc]
    assert "nothing to rank" in refused(lambda: docs.query(score(0)), "formula")


def test_why_not(docs: Any) -> None:
    ranked = order(QUERY)
    report = docs.why_not(ranked[30], QUERY, 5)
    assert (report["verdict"], report["rank"], report["limit"]) == ("rank", 31, 5)
    assert docs.why_not(ranked[2], QUERY, 5)["verdict"] == "answer"
    report = docs.why_not(4, QUERY, filter=F("doc").eq("d1"))
    assert report["conditions"] == [{"must": [{"key": "doc", "match": {"value": "d1"}}]}]
    assert docs.why_not(777, QUERY) == {"verdict": "absent"}
    report = docs.why_not(ranked[30], prefetch=[Prefetch(vector=QUERY, k=9)], fusion=RRF())
    assert (report["verdict"], report["prefetch"][0]["rank"]) == ("prefetch", 31)
    refused(lambda: docs.why_not(-1, QUERY), "id")
