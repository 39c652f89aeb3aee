"""The places where an index holds less than the payload, and must say so or get it exactly right."""

import pytest
from filter_cases import FORMS, Rows
from hypothesis import example, given
from hypothesis import strategies as st

from vecstore.query.evaluate import evaluate
from vecstore.query.filter import Range
from vecstore.query.index_numbers import exact_float64, exact_int64, float_bounds, integer_bounds
from vecstore.query.match import bounds_test
from vecstore.query.parse import parse_filter
from vecstore.schema import FieldKind

BIG = 2**53  # the first integer whose successor is not a float64
numbers = st.one_of(
    st.integers(),
    st.integers(-3, 3),
    st.integers(BIG - 3, BIG + 3),
    st.integers(2**63 - 3, 2**63 + 3),
    st.integers(-(2**63) - 3, -(2**63) + 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([10**400, -(10**400), 1.7976931348623157e308, 5e-324, -0.0]),
)
ranges = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), numbers, min_size=1).map(
    lambda bounds: Range("x", **bounds)
)


@given(ranges, numbers)
@example(Range("x", gte=BIG + 1), float(BIG))
@example(Range("x", gt=BIG + 1), float(BIG))
@example(Range("x", gte=BIG + 3), float(BIG + 4))
@example(Range("x", gt=BIG + 3), float(BIG + 4))
@example(Range("x", lte=BIG + 3), float(BIG + 4))
@example(Range("x", lt=BIG + 1), float(BIG))
@example(Range("x", lte=10**400), 1.7976931348623157e308)
@example(Range("x", gt=1.7976931348623157e308), 1.7976931348623157e308)
def test_bounds_keep_exactly_what_they_kept(bounds, number):
    for exact, converted in ((exact_int64, integer_bounds), (exact_float64, float_bounds)):
        held = exact(number)
        if held is not None:
            assert held == number
            low, high = converted(bounds)
            assert (low <= held <= high) == bounds_test(bounds)(number)


@pytest.mark.parametrize("form", FORMS)
def test_words_of_several_values_do_not_add_up(form):
    payloads = [{"x": ["red", "fox"]}, {"x": ["red fox", "cat"]}, {"x": "fox red"}, {"x": ["red", 5]}]
    index = FORMS[form]("x", FieldKind.TEXT, payloads)
    source = Rows(payloads, {"x": index})
    assert list(evaluate(parse_filter({"key": "x", "match": {"text": "red fox"}}), source)) == [1, 2]
    assert source.scanned == [0, 1]
    assert list(evaluate(parse_filter({"key": "x", "match": {"phrase": "red fox"}}), Rows(payloads, {"x": index}))) == [
        1
    ]


@pytest.mark.parametrize("form", FORMS)
def test_numbers_too_fine_for_the_index_are_read(form):
    payloads = [{"x": BIG}, {"x": BIG + 1}, {"x": float(BIG)}, {"x": 2**63}, {"x": 0.5}, {"x": True}]
    for kind, too_fine in ((FieldKind.FLOAT, [1]), (FieldKind.INTEGER, [3, 4])):
        source = Rows(payloads, {"x": FORMS[form]("x", kind, payloads)})
        assert list(evaluate(parse_filter({"key": "x", "range": {"gt": BIG}}), source)) == [1, 3]
        assert source.scanned == too_fine
