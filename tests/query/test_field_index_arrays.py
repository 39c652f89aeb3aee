"""The stored form of payload indexes: what goes in comes back over the same memory, and damage is refused."""

import numpy as np
import pytest
from filter_cases import Rows

from vecstore.errors import Corruption
from vecstore.query.evaluate import evaluate
from vecstore.query.parse import parse_filter
from vecstore.query.payload_index import build_field_index, open_field_index
from vecstore.schema import FieldKind

VALUES = {
    FieldKind.KEYWORD: ["b", "a", ["a", "c", "a"], None, 5, "é", ""],
    FieldKind.TEXT: ["red fox", "fox", ["red", "fox"], None, 5, "", "Fox FOX"],
    FieldKind.INTEGER: [3, 1, [1, 2, 1], None, "x", 1.5, 2**70],
    FieldKind.FLOAT: [0.5, 1, [1, 2.5], None, "x", -0.0, 2**53 + 1],
    FieldKind.DATETIME: ["2024-01-01", "2023-01-01", ["2024-01-01", "x"], None, 5, "no", ""],
    FieldKind.BOOL: [True, False, [True, False], None, 5, "x", 0],
}
N_ROWS = 9  # the last two rows have no payload


def built(kind):
    return build_field_index("x", kind, enumerate({"x": value} for value in VALUES[kind]), N_ROWS)


@pytest.mark.parametrize("kind", FieldKind)
def test_round_trip_without_copying(kind):
    arrays = built(kind).arrays()
    for array in arrays.values():
        array.flags.writeable = False
    reopened = open_field_index("x", kind, arrays, N_ROWS)
    for name, array in reopened.arrays().items():
        assert np.shares_memory(array, arrays[name]) or array.size == 0
        assert array.dtype == arrays[name].dtype
    again = open_field_index("x", kind, reopened.arrays(), N_ROWS).arrays()
    assert {name: array.tolist() for name, array in again.items()} == {k: v.tolist() for k, v in arrays.items()}


@pytest.mark.parametrize("kind", FieldKind)
def test_an_index_over_no_rows(kind):
    arrays = build_field_index("x", kind, [], 0).arrays()
    index = open_field_index("x", kind, arrays, 0)
    assert not evaluate(parse_filter({"key": "x", "match": {"except": [1]}}), Rows([], {"x": index}))


def cut(array):
    return array[:-1]


def retyped(array):
    return np.zeros(len(array), dtype=np.float16)


def square(array):
    return array.reshape(1, -1)


@pytest.mark.parametrize("kind", FieldKind)
@pytest.mark.parametrize("damage", [None, cut, retyped, square])
def test_missing_short_or_retyped_arrays_are_refused(kind, damage):
    arrays = built(kind).arrays()
    for name, array in arrays.items():
        damaged = {key: value for key, value in arrays.items() if key != name}
        if damage:
            damaged[name] = damage(array)
        with pytest.raises(Corruption, match="index on x"):
            open_field_index("x", kind, damaged, N_ROWS)


@pytest.mark.parametrize(
    ("kind", "name", "place", "value"),
    [
        (FieldKind.KEYWORD, "postings", 0, N_ROWS),
        (FieldKind.KEYWORD, "postings", 1, 2),  # the list of "a" becomes 2, 2
        (FieldKind.KEYWORD, "posting_offsets", 0, 1),
        (FieldKind.KEYWORD, "posting_offsets", 1, 99),
        (FieldKind.KEYWORD, "posting_offsets", 2, -1),
        (FieldKind.KEYWORD, "term_offsets", 1, 1 << 60),
        (FieldKind.KEYWORD, "term_offsets", -1, 1),
        (FieldKind.INTEGER, "rows", 0, 1 << 31),
        (FieldKind.INTEGER, "values", 0, 9),
        (FieldKind.FLOAT, "values", -1, np.nan),
        (FieldKind.FLOAT, "values", 1, np.nan),
        (FieldKind.DATETIME, "values", 0, 1 << 60),
    ],
)
def test_references_that_lead_astray_are_refused(kind, name, place, value):
    arrays = built(kind).arrays()
    arrays[name] = arrays[name].copy()
    arrays[name][place] = value
    with pytest.raises(Corruption, match="index on x"):
        open_field_index("x", kind, arrays, N_ROWS)


def test_another_number_of_rows_is_refused():
    with pytest.raises(Corruption, match="flags"):
        open_field_index("x", FieldKind.BOOL, built(FieldKind.BOOL).arrays(), N_ROWS + 1)


@pytest.mark.parametrize("kind", FieldKind)
def test_random_damage_never_gets_past_as_another_error(kind):
    rng = np.random.default_rng(20240501)
    where = parse_filter(
        {"should": [{"key": "x", "match": {"any": ["a", 1, True]}}, {"key": "x", "match": {"prefix": ""}}]}
    )
    payloads = [{"x": value} for value in VALUES[kind]] + [None, None]
    for _ in range(300):
        arrays = built(kind).arrays()
        name = rng.choice(list(arrays))
        raw = bytearray(arrays[name].tobytes())
        raw[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
        arrays[name] = np.frombuffer(bytes(raw), dtype=arrays[name].dtype)
        try:
            index = open_field_index("x", kind, arrays, N_ROWS)
        except Corruption:
            continue
        assert evaluate(where, Rows(payloads, {"x": index})).max() < N_ROWS
