"""Reading filters: accepted spellings, what is refused and where, and hostile trees."""

import time
import uuid
from datetime import UTC, datetime

import pytest

from vecstore.config import Limits
from vecstore.errors import InvalidArgument
from vecstore.query.filter import Exists, Filter, HasId, MatchAny, MatchValue, MinShould, Nested, Range, ValuesCount
from vecstore.query.parse import check_filter, parse_filter, to_dict

EN = {"key": "lang", "match": {"value": "en"}}
IS_EN = MatchValue("lang", "en")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, Filter()),
        ([], Filter()),
        (EN, Filter(must=(IS_EN,))),
        ([EN, EN], Filter(must=(IS_EN, IS_EN))),
        ({"must": EN}, Filter(must=(IS_EN,))),
        ({"must": None, "should": [EN]}, Filter(should=(IS_EN,))),
        (IS_EN, Filter(must=(IS_EN,))),
        (Filter(must=(IS_EN,)), Filter(must=(IS_EN,))),
        ({"must_not": [IS_EN, {"filter": [EN]}]}, Filter(must_not=(IS_EN, Filter(must=(IS_EN,))))),
        ({"min_should": {"conditions": [EN], "min_count": 1}}, Filter(min_should=MinShould((IS_EN,), 1))),
        ({"nested": {"key": "a", "filter": EN}}, Filter(must=(Nested("a", Filter(must=(IS_EN,))),))),
        (
            {"key": "at", "range": {"gte": "1970-01-01T00:00:01"}},
            Filter(must=(Range("at", gte=1_000_000, datetime=True),)),
        ),
        (
            {"key": "at", "range": {"lt": datetime(1970, 1, 2, tzinfo=UTC)}},
            Filter(must=(Range("at", lt=86_400_000_000, datetime=True),)),
        ),
        (
            {"has_id": [1, "a", {"uuid": "00000000-0000-0000-0000-000000000007"}, uuid.UUID(int=8)]},
            Filter(must=(HasId((1, "a", uuid.UUID(int=7), uuid.UUID(int=8))),)),
        ),
    ],
)
def test_spellings(data, expected):
    assert parse_filter(data) == expected
    assert parse_filter(to_dict(expected)) == expected


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (None, "filter"),
        ("lang = en", "filter"),
        ({"must": [EN, 7]}, "filter.must[1]"),
        ({"must": [EN], "or": []}, "filter"),
        ({"must": [{"key": "a"}]}, "filter.must[0]"),
        ({"must": [{"match": {"value": 1}}]}, "filter.must[0]"),
        ({"must": [{"key": "a", "equals": 1}]}, "filter.must[0]"),
        ({"must": [{"key": "a", "match": {"value": 1}, "range": {"gt": 1}}]}, "filter.must[0]"),
        ({"must": [{"key": "a", "match": {"value": 1, "any": [1]}}]}, "filter.must[0].match"),
        ({"must": [{"key": "a", "match": {"regex": "x"}}]}, "filter.must[0].match"),
        ({"must": [{"key": "a", "match": {"value": None}}]}, "filter.must[0].match.value"),
        ({"must": [{"key": "a", "match": {"value": float("nan")}}]}, "filter.must[0].match.value"),
        ({"must": [{"key": "a", "match": {"any": [1, []]}}]}, "filter.must[0].match.any[1]"),
        ({"must": [{"key": "a", "match": {"any": "ab"}}]}, "filter.must[0].match.any"),
        ({"must": [{"key": "a", "match": {"except": 1}}]}, "filter.must[0].match.except"),
        ({"must": [{"key": "a", "match": {"text": 1}}]}, "filter.must[0].match.text"),
        ({"must": [{"key": "a", "range": {}}]}, "filter.must[0].range"),
        ({"must": [{"key": "a", "range": [1]}]}, "filter.must[0].range"),
        ({"must": [{"key": "a", "range": {"from": 1}}]}, "filter.must[0].range"),
        ({"must": [EN, EN, EN, {"key": "a", "range": {"gte": float("inf")}}]}, "filter.must[3].range.gte"),
        ({"must": [{"key": "a", "range": {"gte": True}}]}, "filter.must[0].range.gte"),
        ({"must": [{"key": "a", "range": {"lt": "yesterday"}}]}, "filter.must[0].range.lt"),
        ({"must": [{"key": "a", "range": {"lt": "2023-02-29"}}]}, "filter.must[0].range.lt"),
        ({"must": [{"key": "a", "range": {"lt": "2024-01-01", "gt": 1}}]}, "filter.must[0].range"),
        ({"must": [{"key": "a", "values_count": {"gte": 1.5}}]}, "filter.must[0].values_count.gte"),
        ({"must": [{"key": "a", "values_count": {"gte": -1}}]}, "filter.must[0].values_count.gte"),
        ({"must": [{"key": "a", "geo_radius": {"center": {"lat": 91, "lon": 0}, "radius": 1}}]},
         "filter.must[0].geo_radius.center.lat"),
        ({"must": [{"key": "a", "geo_radius": {"center": {"lat": 1}, "radius": 1}}]},
         "filter.must[0].geo_radius.center"),
        ({"must": [{"key": "a", "geo_radius": {"center": {"lat": 1, "lon": 0}, "radius": -1}}]},
         "filter.must[0].geo_radius.radius"),
        ({"must": [{"key": "", "match": {"value": 1}}]}, "filter.must[0].key"),
        ({"must": [{"key": 3, "match": {"value": 1}}]}, "filter.must[0].key"),
        ({"must": [{"key": "a..b", "match": {"value": 1}}]}, "filter.must[0].key"),
        ({"must": [{"key": "a.", "match": {"value": 1}}]}, "filter.must[0].key"),
        ({"must": [{"key": 'a."b', "match": {"value": 1}}]}, "filter.must[0].key"),
        ({"must": [{"key": "tags[]", "match": {"value": 1}}]}, "filter.must[0].key"),
        ({"should": [{"exists": {"key": ""}}]}, "filter.should[0].exists.key"),
        ({"should": [{"is_null": "a"}]}, "filter.should[0].is_null"),
        ({"must_not": [{"has_id": [1, -1]}]}, "filter.must_not[0].has_id[1]"),
        ({"must_not": [{"has_id": [True]}]}, "filter.must_not[0].has_id[0]"),
        ({"must_not": [{"has_id": [1 << 64]}]}, "filter.must_not[0].has_id[0]"),
        ({"must_not": [{"has_id": ["x" * 129]}]}, "filter.must_not[0].has_id[0]"),
        ({"must_not": [{"has_id": [{"uuid": "7"}]}]}, "filter.must_not[0].has_id[0].uuid"),
        ({"must_not": [{"has_vector": ""}]}, "filter.must_not[0].has_vector"),
        ({"min_should": {"conditions": [EN], "min_count": 0}}, "filter.min_should.min_count"),
        ({"min_should": {"conditions": [EN]}}, "filter.min_should"),
        ({"min_should": {"conditions": [{"key": "a"}], "min_count": 1}}, "filter.min_should.conditions[0]"),
        ({"must": [{"nested": {"key": "a", "filter": {"must": [{"has_id": [1]}]}}}]},
         "filter.must[0].nested.filter.must[0]"),
        ({"must": [{"nested": {"key": "a"}}]}, "filter.must[0].nested"),
        ({"must": [{"key": "a", "range": {"gte": 10**5000, "lt": []}}]}, "filter.must[0].range.lt"),
    ],
)  # fmt: skip
def test_refusals_name_the_place(data, path):
    with pytest.raises(InvalidArgument) as caught:
        parse_filter(data)
    assert caught.value.reason == "BAD_FILTER"
    assert caught.value.field_violations[0][0] == path
    assert path in caught.value.message


@pytest.mark.parametrize(
    "tree",
    [
        Filter(must=(7,)),
        Filter(must=EN),
        Filter(must=(Filter(should=(None,)),)),
        Filter(must=(MatchValue(7, 1),)),
        Filter(must=(MatchAny("a", "abc"),)),
        Filter(must=(Range("a"),)),
        Filter(must=(Range("a", gte=0.5, datetime=True),)),
        Filter(must=(Range("a", gte=1 << 62, datetime=True),)),
        Filter(must=(ValuesCount("a"),)),
        Filter(must=(Nested("a", EN),)),
        Filter(min_should=3),
        Filter(must=(Exists("a\ud800."),)),
        EN,
    ],
)
def test_built_trees_are_checked_too(tree):
    with pytest.raises(InvalidArgument) as caught:
        check_filter(tree)
    assert caught.value.reason == "BAD_FILTER"


def refused(data, limit, read=parse_filter):
    start = time.perf_counter()
    with pytest.raises(InvalidArgument) as caught:
        read(data)
    assert caught.value.reason == "LIMIT_EXCEEDED"
    assert caught.value.metadata["limit"] == limit
    print(f"{limit}: refused in {1e3 * (time.perf_counter() - start):.2f} ms")


def deep(depth, wrap, innermost):
    node = innermost
    for _ in range(depth - 1):
        node = wrap(node)
    return node


WRAPS = {
    "must": lambda node: {"must": [node]},
    "bare": lambda node: {"must": node},
    "min_should": lambda node: {"min_should": {"conditions": [node], "min_count": 1}},
    "nested": lambda node: {"must": [{"nested": {"key": "a", "filter": node}}]},
    "filter": lambda node: {"must": [{"filter": node}]},
}


@pytest.mark.parametrize("name", WRAPS)
def test_depth_at_the_bound_and_past_it(name):
    at_bound = deep(32, WRAPS[name], {"must": [EN]})
    assert to_dict(parse_filter(at_bound))
    refused(WRAPS[name](at_bound), "filter_depth_max")
    refused(deep(50_000, WRAPS[name], {"must": [EN]}), "filter_depth_max")


def test_deep_trees_are_refused_without_recursion():
    refused(deep(33, lambda node: Filter(must=(node,)), Filter(must=(IS_EN,))), "filter_depth_max", check_filter)
    refused(deep(3_000, lambda node: Filter(must=(node,)), Filter()), "filter_depth_max", check_filter)
    refused(deep(3_000, lambda node: Filter(must=(Nested("a", node),)), Filter()), "filter_depth_max", check_filter)


def test_depth_has_a_ceiling_that_settings_cannot_raise():
    with pytest.raises(InvalidArgument, match="exceeds filter_depth_max=128"):
        parse_filter(deep(5_000, WRAPS["must"], {}), Limits(filter_depth_max=10**9))


def test_a_filter_that_contains_itself_is_refused():
    loop = {"must": []}
    loop["must"].append(loop)
    refused(loop, "filter_depth_max")
    shared = {"must": [EN]}
    for _ in range(20):
        shared = {"must": [shared, shared]}
    refused(shared, "filter_terms_max")


def test_terms_at_the_bound_and_past_it():
    assert len(parse_filter({"should": [EN] * 1_024}).should) == 1_024
    refused({"should": [EN] * 1_025}, "filter_terms_max")
    refused({"must": [EN], "should": [EN] * 512, "must_not": [EN] * 512}, "filter_terms_max")
    refused([EN] * 100_000, "filter_terms_max")
    refused(Filter(must=(IS_EN,) * 100_000), "filter_terms_max", check_filter)


def test_lists_at_the_bound_and_past_it():
    for clause in ("any", "except"):
        parse_filter({"key": "a", "match": {clause: list(range(10_000))}})
        refused({"key": "a", "match": {clause: list(range(10_001))}}, "in_list_max")
    parse_filter({"has_id": list(range(10_000))})
    refused({"has_id": list(range(100_000))}, "in_list_max")
