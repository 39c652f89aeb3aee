"""Expressions build the same filters as dictionaries."""

from datetime import UTC, datetime

import pytest

from vecstore.errors import InvalidArgument
from vecstore.query.builder import F, has_id, has_vector
from vecstore.query.filter import Filter, Nested
from vecstore.query.parse import check_filter, parse_filter

MATCH_1 = {"key": "x", "match": {"value": 1}}


@pytest.mark.parametrize(
    ("built", "data"),
    [
        (F("x").eq(1), MATCH_1),
        (F("x").ne(1), {"must_not": [MATCH_1]}),
        (F("x").in_([1, "a"]), {"key": "x", "match": {"any": [1, "a"]}}),
        (F("x").not_in({1}), {"must_not": [{"key": "x", "match": {"any": [1]}}]}),
        (F("x").except_([1]), {"key": "x", "match": {"except": [1]}}),
        (F("x").gt(1), {"key": "x", "range": {"gt": 1}}),
        (F("x").gte(1.5), {"key": "x", "range": {"gte": 1.5}}),
        (F("x").lt("2024-01-01"), {"key": "x", "range": {"lt": "2024-01-01"}}),
        (F("x").lte(datetime(2024, 1, 1, tzinfo=UTC)), {"key": "x", "range": {"lte": "2024-01-01T00:00:00Z"}}),
        (F("x").between(1, 2), {"key": "x", "range": {"gte": 1, "lte": 2}}),
        (F("x").text("a b"), {"key": "x", "match": {"text": "a b"}}),
        (F("x").phrase("a b"), {"key": "x", "match": {"phrase": "a b"}}),
        (F("x").prefix("a"), {"key": "x", "match": {"prefix": "a"}}),
        (F("x").exists(), {"exists": {"key": "x"}}),
        (F("x").is_null(), {"is_null": {"key": "x"}}),
        (F("x").is_empty(), {"is_empty": {"key": "x"}}),
        (F("x").values_count(gte=2), {"key": "x", "values_count": {"gte": 2}}),
        (F("x").geo_radius(1, 2, 3), {"key": "x", "geo_radius": {"center": {"lat": 1, "lon": 2}, "radius": 3}}),
        (
            F("x").geo_box(top=2, left=3, bottom=1, right=4),
            {
                "key": "x",
                "geo_bounding_box": {"top_left": {"lat": 2, "lon": 3}, "bottom_right": {"lat": 1, "lon": 4}},
            },
        ),
        (has_id(1, "a"), {"has_id": [1, "a"]}),
        (has_vector("text"), {"has_vector": "text"}),
        (F("x").nested(F("y").eq(1)), {"nested": {"key": "x", "filter": {"key": "y", "match": {"value": 1}}}}),
        (F.all(), {}),
        (F.all(F("x").eq(1), F("x").eq(1)), [MATCH_1, MATCH_1]),
        (F.any(F("x").eq(1)), MATCH_1),
        (F.any(F("x").eq(1), F("x").eq(1)), {"should": [MATCH_1, MATCH_1]}),
    ],
)
def test_each_method(built, data):
    assert check_filter(built) == parse_filter(data)


def test_operators_combine_and_chains_stay_flat():
    a, b, c = (F(key).exists() for key in "abc")
    (exists_a,), (exists_b,), (exists_c,) = a.must, b.must, c.must
    assert a & b & c == Filter(must=(exists_a, exists_b, exists_c))
    assert a | b | c == Filter(should=(exists_a, exists_b, exists_c))
    assert a & b | ~c == Filter(should=(Filter(must=(exists_a, exists_b)), Filter(must_not=(exists_c,))))
    assert (a | b) & c == Filter(must=(Filter(should=(exists_a, exists_b)), exists_c))
    assert ~(a & b) == Filter(must_not=(Filter(must=(exists_a, exists_b)),))
    assert ~(a | b) == Filter(must_not=(exists_a, exists_b))
    assert ~~a == Filter(must_not=(Filter(must_not=(exists_a,)),))
    assert Filter() & a == a
    assert Filter() | a == Filter(should=(Filter(), exists_a))


def test_repr_shows_only_what_is_set():
    built = F("lang").eq("en") & F("x").nested(F("y").gte(1))
    text = repr(built)
    assert text.startswith(
        "Filter(must=(MatchValue(key='lang', value='en'), Nested(key='x', filter=Filter(must=(Range("
    )
    assert "should" not in text
    assert isinstance(built.must[1], Nested)
    assert repr(F("lang")) == "F('lang')"


@pytest.mark.parametrize(
    "build",
    [
        lambda: F("x").in_("abc"),
        lambda: F("x").gt("tomorrow"),
        lambda: F("x").between(1, "2024-01-01"),
        lambda: F.any(),
    ],
)
def test_mistakes_are_typed(build):
    with pytest.raises(InvalidArgument) as caught:
        build()
    assert caught.value.reason == "BAD_FILTER"
