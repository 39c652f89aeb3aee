"""What evaluation costs and refuses: which rows are scanned, the counters, and strict mode."""

import pytest
from filter_cases import Rows, sealed_index

from vecstore.errors import InvalidArgument
from vecstore.query.evaluate import EvalStats, evaluate, require_indexes
from vecstore.query.parse import parse_filter
from vecstore.schema import FieldKind

PAYLOADS = [
    {"lang": ["en", "de"][row % 2], "n": row, "free": row % 3, "text": f"word{row % 5} red fox"} for row in range(60)
]
KINDS = {"lang": FieldKind.KEYWORD, "n": FieldKind.INTEGER, "text": FieldKind.TEXT}


def rows_with_indexes(payloads=PAYLOADS):
    return Rows(payloads, {key: sealed_index(key, kind, payloads) for key, kind in KINDS.items()})


def run(data, source=None):
    source = source or rows_with_indexes()
    stats = EvalStats()
    found = evaluate(parse_filter(data), source, stats=stats)
    assert stats.rows_scanned == len(source.scanned)
    return list(found), source.scanned, stats


EN = {"key": "lang", "match": {"value": "en"}}
LOW = {"key": "n", "range": {"lt": 10}}
FREE = {"key": "free", "match": {"value": 0}}


def test_indexed_conditions_scan_nothing():
    found, scanned, stats = run({"must": [EN, LOW], "must_not": [{"has_id": [4]}]})
    assert found == [0, 2, 6, 8]
    assert scanned == []
    assert (stats.conditions_indexed, stats.conditions_scanned) == (3, 0)


@pytest.mark.parametrize("order", [[EN, LOW, FREE], [FREE, LOW, EN], [{"filter": [FREE]}, EN, LOW]])
def test_scans_see_only_the_survivors_in_any_order(order):
    found, scanned, stats = run({"must": order})
    assert found == [0, 6]
    assert scanned == [0, 2, 4, 6, 8]
    assert (stats.conditions_indexed, stats.conditions_scanned) == (2, 1)


def test_several_scans_decode_each_payload_once():
    _, scanned, _ = run({"must": [EN, LOW, FREE, {"must_not": [FREE]}]})
    assert scanned == [0, 2, 4, 6, 8]


def test_should_scans_only_rows_that_nothing_has_accepted():
    found, scanned, _ = run({"must": [LOW], "should": [FREE, EN]})
    assert found == [0, 2, 3, 4, 6, 8, 9]
    assert scanned == [1, 3, 5, 7, 9]


def test_min_should_scans_only_rows_that_it_can_decide():
    conditions = [EN, LOW, FREE]
    _, scanned, _ = run({"min_should": {"conditions": conditions, "min_count": 3}})
    assert scanned == [0, 2, 4, 6, 8]
    _, scanned, _ = run({"min_should": {"conditions": conditions, "min_count": 1}})
    assert scanned == [row for row in range(60) if row % 2 and row >= 10]


def test_an_empty_intersection_ends_the_work():
    _, scanned, stats = run({"must": [{"key": "lang", "match": {"value": "fr"}}, LOW, FREE]})
    assert scanned == []
    assert stats.conditions_indexed == 1


def test_phrases_scan_the_rows_that_have_all_words():
    found, scanned, _ = run({"key": "text", "match": {"phrase": "word3 red"}})
    assert found == scanned == list(range(3, 60, 5))
    found, scanned, _ = run({"key": "text", "match": {"text": "red word3"}})
    assert (found, scanned) == (list(range(3, 60, 5)), [])


def test_only_values_of_another_type_are_scanned():
    payloads = [*PAYLOADS, {"n": "5"}, {"n": 5.5}, {"n": 2**70}, {"n": [5, 2**70]}]
    source = rows_with_indexes(payloads)
    assert run({"key": "n", "match": {"value": 5}}, source)[:2] == ([5, 63], [61, 62])
    source = rows_with_indexes(payloads)
    assert run({"key": "n", "match": {"value": "5"}}, source)[:2] == ([60], [60])


STRICT_REFUSALS = [
    (FREE, "free", "create_field_index('free', 'integer')"),
    ({"must": [EN], "should": [LOW, {"must_not": [FREE]}]}, "free", "create_field_index('free', 'integer')"),
    ({"key": "free", "match": {"value": "x"}}, "free", "create_field_index('free', 'keyword')"),
    ({"key": "free", "match": {"any": [0.5]}}, "free", "create_field_index('free', 'float')"),
    ({"key": "free", "match": {"value": True}}, "free", "create_field_index('free', 'bool')"),
    ({"key": "free", "range": {"gt": "2024-01-01"}}, "free", "create_field_index('free', 'datetime')"),
    ({"key": "lang", "match": {"text": "x"}}, "lang", "create_field_index('lang', 'text')"),
    ({"key": "text", "match": {"prefix": "x"}}, "text", "create_field_index('text', 'keyword')"),
    ({"is_empty": {"key": "free"}}, "free", "create_field_index('free', 'keyword')"),
    ({"nested": {"key": "n", "filter": EN}}, "n", "no kind of index"),
    ({"min_should": {"conditions": [EN, FREE], "min_count": 1}}, "free", "create_field"),
]


@pytest.mark.parametrize(("data", "key", "advice"), STRICT_REFUSALS)
def test_strict_refuses_what_would_scan(data, key, advice):
    source = rows_with_indexes()
    with pytest.raises(InvalidArgument) as caught:
        evaluate(parse_filter(data), source, strict=True)
    assert caught.value.reason == "INDEX_REQUIRED"
    assert caught.value.metadata["key"] == key
    assert advice in caught.value.message
    assert source.scanned == []


def test_strict_lets_indexed_filters_through():
    phrase = {"key": "text", "match": {"phrase": "red fox"}}
    conditions = [EN, LOW, phrase, {"has_id": [4]}, {"exists": {"key": "n"}}, {"has_vector": "text"}]
    assert list(evaluate(parse_filter(conditions), rows_with_indexes(), strict=True)) == [4]
    require_indexes(parse_filter(conditions), KINDS.get)
