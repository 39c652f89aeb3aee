"""A growing index under a writer: a reader with n rows gets what n rows hold, whatever is being added."""

import threading

import pytest
from filter_cases import Rows

from vecstore.query.evaluate import evaluate
from vecstore.query.parse import parse_filter
from vecstore.query.payload_index import GrowingFieldIndex
from vecstore.schema import FieldKind

N_ROWS = 20_000
CASES = {
    FieldKind.KEYWORD: (lambda row: f"v{row % 10}", {"match": {"value": "v3"}}, lambda row: row % 10 == 3),
    FieldKind.TEXT: (lambda row: f"w{row % 10} common", {"match": {"text": "W3"}}, lambda row: row % 10 == 3),
    FieldKind.INTEGER: (lambda row: row % 100, {"range": {"lt": 10}}, lambda row: row % 100 < 10),
    FieldKind.FLOAT: (lambda row: row % 100 + 0.5, {"range": {"lt": 10}}, lambda row: row % 100 < 10),
    FieldKind.BOOL: (lambda row: row % 10 == 3, {"match": {"value": True}}, lambda row: row % 10 == 3),
    FieldKind.DATETIME: (
        lambda row: f"2024-01-{row % 10 + 1:02}",
        {"range": {"lt": "2024-01-02"}},
        lambda row: row % 10 == 0,
    ),
}


@pytest.mark.parametrize("kind", FieldKind)
def test_readers_beside_a_writer(kind):
    value_of, clause, holds = CASES[kind]
    where, negated = parse_filter({"key": "x", **clause}), parse_filter({"must_not": [{"key": "x", **clause}]})
    index = GrowingFieldIndex("x", kind)
    source = Rows([], {"x": index})
    failures, checks = [], 0

    def read():
        nonlocal checks
        while source.n_rows < N_ROWS and not failures:
            view = Rows([], {"x": index})
            view.n_rows = source.n_rows
            found = set(evaluate(where, view))
            rest = set(evaluate(negated, view))
            expected = {row for row in range(view.n_rows) if holds(row)}
            if found != expected or rest != set(range(view.n_rows)) - expected or view.scanned:
                failures.append(view.n_rows)
            checks += 1

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for row in range(N_ROWS):
        index.add(row, {"x": value_of(row)})
        source.n_rows = row + 1
    for reader in readers:
        reader.join()
    assert not failures
    print(f"{checks} checks")


def test_rows_that_were_skipped_have_no_value():
    index = GrowingFieldIndex("x", FieldKind.INTEGER)
    index.add(1_000, {"x": 1})
    view = Rows([None] * 1_001, {"x": index})
    assert list(evaluate(parse_filter({"exists": {"key": "x"}}), view)) == [1_000]
    assert len(evaluate(parse_filter({"is_empty": {"key": "x"}}), view)) == 1_000
    assert index.seal(1_001).arrays()["rows"].tolist() == [1_000]
