"""Whatever indexes there are, `evaluate` finds the rows that a plain reading of the rules finds."""

import os
from collections import Counter

import pytest
from filter_cases import ALL_KINDS, FORMS, KEYS, Rows, filters, index_plans, kinds_in, payloads, rows, vectors_of
from filter_oracle import INSTANTS, oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from vecstore.query.evaluate import evaluate
from vecstore.query.match import matches
from vecstore.query.parse import parse_filter, to_dict
from vecstore.schema import FieldKind


def examples(of_a_change):
    """So many random examples at each change; ROUNDS asks for another number."""
    return settings(max_examples=int(os.environ.get("ROUNDS", of_a_change)), deadline=None)


def expected_rows(where, rows):
    return [row for row, payload in enumerate(rows) if oracle(where, payload, row, vectors_of(row))]


def test_matches_agrees_with_the_oracle_and_every_condition_is_met():
    seen = Counter()

    @examples(200)
    @given(filters, payloads, st.integers(0, 9))
    def check(where, payload, id):
        seen.update(kinds_in(where))
        assert matches(parse_filter(where), payload, id, vectors_of(id)) == oracle(where, payload, id, vectors_of(id))

    check()
    rare = {kind: seen[kind] for kind in ALL_KINDS if seen[kind] < 5}
    assert not rare, f"conditions met fewer than 5 times: {rare}"


@examples(60)
@given(filters, rows)
def test_scan_without_indexes(where, rows):
    assert list(evaluate(parse_filter(where), Rows(rows))) == expected_rows(where, rows)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", FieldKind)
def test_one_kind_of_index_on_every_key(kind, form):
    @examples(15)
    @given(filters, rows)
    def check(where, rows):
        indexes = {key: FORMS[form](key, kind, rows) for key in KEYS}
        assert list(evaluate(parse_filter(where), Rows(rows, indexes))) == expected_rows(where, rows)

    check()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DATETIME])
def test_ranges_that_begin_and_end_at_values(kind, form):
    """Which random bounds seldom do."""
    key = KEYS[0]
    numbers = [*range(-3, 4), 2**53 + 1, -(2**63), 2**63 - 1, *((0.5, 2.0) if kind is FieldKind.FLOAT else ())]
    values = list(INSTANTS) if kind is FieldKind.DATETIME else numbers
    instants = [text for text in INSTANTS if not text.startswith("0001")]  # which is no bound
    bounds = instants if kind is FieldKind.DATETIME else [*values, 0.5, -1.5, 2.0, 2.0**53]
    held = [{key: value} for value in values]
    indexes = {key: FORMS[form](key, kind, held)}
    for bound in bounds:
        for side in ("gt", "gte", "lt", "lte"):
            where = {"must": [{"key": key, "range": {side: bound}}]}
            assert list(evaluate(parse_filter(where), Rows(held, indexes))) == expected_rows(where, held), where


@examples(120)
@given(filters, rows, index_plans)
def test_mixed_indexes(where, rows, plan):
    indexes = {key: FORMS[form](key, kind, rows) for key, (kind, form) in plan.items()}
    assert list(evaluate(parse_filter(where), Rows(rows, indexes))) == expected_rows(where, rows)


@examples(40)
@given(filters, rows, index_plans, st.sets(st.integers(0, 9)))
def test_within_bounds_the_answer(where, rows, plan, within):
    indexes = {key: FORMS[form](key, kind, rows) for key, (kind, form) in plan.items()}
    source = Rows(rows, indexes)
    found = evaluate(parse_filter(where), source, within=BitMap(within))
    assert set(found) == set(expected_rows(where, rows)) & within
    assert set(source.scanned) <= within


@examples(80)
@given(filters)
def test_dictionary_round_trip(where):
    once = parse_filter(where)
    assert parse_filter(to_dict(once)) == once
