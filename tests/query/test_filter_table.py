"""Each operator against a value, a missing key, null, lists and values of another type; docs/FILTERS.md in a table."""

import pytest

from vecstore.query.match import matches
from vecstore.query.parse import parse_filter

PAYLOADS = {
    "missing": {},
    "null": {"x": None},
    "[]": {"x": []},
    "[null]": {"x": [None]},
    "str": {"x": "The red fox"},
    "int": {"x": 1},
    "float": {"x": 1.0},
    "half": {"x": 0.5},
    "true": {"x": True},
    "list": {"x": ["The red fox", 1, None]},
    "inner list": {"x": [[1]]},
    "object": {"x": {"y": 1}},
    "date": {"x": "2024-05-01T10:00:00+02:00"},
    "place": {"x": {"lat": 52.5, "lon": 13.4}},
}
NUMBERS = ["int", "float", "list"]
TEXTS = ["str", "list"]
SINGLE = ["str", "int", "float", "half", "true", "inner list", "object", "date", "place"]
TABLE = [
    ({"match": {"value": "The red fox"}}, TEXTS),
    ({"match": {"value": 1}}, NUMBERS),
    ({"match": {"value": 1.0}}, NUMBERS),
    ({"match": {"value": True}}, ["true"]),
    ({"match": {"any": [True, "The red fox"]}}, ["true", *TEXTS]),
    ({"match": {"any": []}}, []),
    ({"match": {"except": [1]}}, ["str", "half", "true", "list", "date"]),
    ({"match": {"except": []}}, ["str", "int", "float", "half", "true", "list", "date"]),
    ({"match": {"text": "FOX the"}}, TEXTS),
    ({"match": {"text": "fox cat"}}, []),
    ({"match": {"text": "?!"}}, []),
    ({"match": {"phrase": "red fox"}}, TEXTS),
    ({"match": {"phrase": "the fox"}}, []),
    ({"match": {"prefix": "The r"}}, TEXTS),
    ({"match": {"prefix": "the r"}}, []),
    ({"match": {"prefix": ""}}, [*TEXTS, "date"]),
    ({"range": {"gte": 1}}, NUMBERS),
    ({"range": {"gt": 0.5, "lt": 1}}, []),
    ({"range": {"gt": 0, "lte": 1}}, ["half", *NUMBERS]),
    ({"range": {"gte": "2024-05-01T08:00:00Z", "lte": "2024-05-01T08:00:00"}}, ["date"]),
    ({"range": {"gt": "2024-05-01T08:00:00Z"}}, []),
    ({"values_count": {"gte": 2}}, ["list"]),
    ({"values_count": {"lte": 0}}, ["missing", "null", "[]", "[null]"]),
    ({"values_count": {"gte": 1, "lt": 2}}, SINGLE),
    ({"geo_radius": {"center": {"lat": 52.5, "lon": 13.5}, "radius": 7_000}}, ["place"]),
    ({"geo_radius": {"center": {"lat": 52.5, "lon": 13.5}, "radius": 6_000}}, []),
    (
        {"geo_bounding_box": {"top_left": {"lat": 53, "lon": 13}, "bottom_right": {"lat": 52.5, "lon": 13.4}}},
        ["place"],
    ),
    (
        {"geo_bounding_box": {"top_left": {"lat": 53, "lon": 14}, "bottom_right": {"lat": 52, "lon": 13}}},
        [],
    ),
    ({"exists": {"key": "x"}}, [name for name in PAYLOADS if name != "missing"]),
    ({"is_null": {"key": "x"}}, ["null", "[null]", "list"]),
    ({"is_empty": {"key": "x"}}, ["missing", "null", "[]", "[null]"]),
    ({"nested": {"key": "x", "filter": {"key": "y", "match": {"value": 1}}}}, ["object"]),
    ({"nested": {"key": "x", "filter": {}}}, ["object", "place"]),
    ({"has_id": [7]}, list(PAYLOADS)),
    ({"has_id": ["7", 8]}, []),
    ({"has_vector": "text"}, list(PAYLOADS)),
    ({"has_vector": "image"}, []),
    ({}, list(PAYLOADS)),
    ({"must_not": [{"key": "x", "match": {"value": 1}}]}, [name for name in PAYLOADS if name not in NUMBERS]),
]


def with_key(condition):
    keyed = ("match", "range", "values_count", "geo_radius", "geo_bounding_box")
    return {"key": "x", **condition} if next(iter(condition), None) in keyed else condition


@pytest.mark.parametrize(("condition", "expected"), TABLE, ids=[str(condition) for condition, _ in TABLE])
def test_operator(condition, expected):
    where = parse_filter(with_key(condition))
    found = [name for name, payload in PAYLOADS.items() if matches(where, payload, 7, ["text"])]
    assert sorted(found) == sorted(expected)


def test_no_payload_is_an_empty_one():
    assert matches(parse_filter({"is_empty": {"key": "x"}}), None, 1, [])
    assert not matches(parse_filter({"exists": {"key": "x"}}), None, 1, [])


@pytest.mark.parametrize(
    ("key", "payload"),
    [
        ("a.b", {"a": {"b": 1}}),
        ("a.b", {"a": [{"c": 0}, {"b": 1}]}),
        ("a.b", {"a": [[{"b": [1]}]]}),
        ('"a.b"', {"a.b": 1}),
        ('a."b.c"', {"a": {"b.c": 1}}),
        ('"say \\"b\\""', {'say "b"': 1}),
        ('""', {"": 1}),
        ('"a[]"', {"a[]": 1}),
        ("0", {"0": 1}),
    ],
)
def test_key_paths(key, payload):
    assert matches(parse_filter({"key": key, "match": {"value": 1}}), payload, 1, [])
    assert not matches(parse_filter({"key": key, "match": {"value": 1}}), {"a": 1, "b": 1}, 1, [])


def test_the_conditions_of_nested_meet_in_one_object():
    payload = {"x": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    both = [{"key": "a", "match": {"value": 1}}, {"key": "b", "match": {"value": 4}}]
    assert not matches(parse_filter({"nested": {"key": "x", "filter": both}}), payload, 1, [])
    flat = [{**condition, "key": f"x.{condition['key']}"} for condition in both]
    assert matches(parse_filter(flat), payload, 1, [])


def test_one_value_meets_all_bounds():
    assert not matches(parse_filter({"key": "x", "range": {"gt": 2, "lt": 5}}), {"x": [1, 7]}, 1, [])


def test_date_line():
    box = {"top_left": {"lat": 20, "lon": 170}, "bottom_right": {"lat": 0, "lon": -170}}
    where = parse_filter({"key": "x", "geo_bounding_box": box})
    longitudes = (-180, -171, -169, 0, 169, 171, 180)
    found = [lon for lon in longitudes if matches(where, {"x": {"lat": 9, "lon": lon}}, 1, [])]
    assert found == [-180, -171, 171, 180]
