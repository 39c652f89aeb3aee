"""Expressions as text are the trees that the builders make; what is none is refused by its column."""

from __future__ import annotations

import pytest

from vecstore.config import Limits
from vecstore.errors import InvalidArgument
from vecstore.formula import (
    abs_,
    datetime,
    datetime_field,
    eq,
    exp_decay,
    field,
    gauss_decay,
    geo_distance,
    linear_decay,
    matches,
    max_,
    ne,
    score,
    sqrt,
    where,
)
from vecstore.query.builder import F
from vecstore.query.formula import Call, Expression, Number
from vecstore.query.formula_parse import parse_formula

LIMITS = Limits()


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1.5", Number(1.5)),
        ("-2", Number(-2)),
        ("-score()", -score()),
        ("score(0) * 0.7 + 0.3", score(0) * 0.7 + 0.3),
        ("score(0) + score(1) * 2", score(0) + score(1) * 2),
        ("(score(0) + score(1)) * 2", (score(0) + score(1)) * 2),
        ("2 ** score(0) ** 2", Call("pow", (Number(2), score(0) ** 2))),
        ("1 - 2 - score()", Call("sub", (Call("sub", (Number(1), Number(2))), score()))),
        ("score(1, default=-1) / 4", score(1, -1) / 4),
        ('field("a.b", default=2) < 3', field("a.b", 2) < 3),
        ("field('n') >= 1", field("n") >= 1),
        ("field('n') == 1", eq(field("n"), 1)),
        ("field('n') != 1", ne(field("n"), 1)),
        ("where(field('n') > 1, sqrt(score()), abs(-score()))", where(field("n") > 1, sqrt(score()), abs_(-score()))),
        ("max(score(0), score(1), 0)", max_(score(0), score(1), 0)),
        (
            "exp_decay(datetime_field('at', '2000-01-01T00:00:00Z'), datetime('2026-11-01T00:00:00Z'), scale=86400)",
            exp_decay(datetime_field("at", "2000-01-01T00:00:00Z"), datetime("2026-11-01T00:00:00Z"), scale=86400),
        ),
        ("gauss_decay(field('y'), 2026, 3, midpoint=0.25)", gauss_decay(field("y"), 2026, 3, 0.25)),
        ("linear_decay(score())", linear_decay(score())),
        ('score() * matches({"key": "g", "match": {"value": true}})', score() * matches(F("g").eq(True))),
        ("matches({'must': [{'key': 'n', 'range': {'gte': -2}}]})", matches(F("n").gte(-2))),
        ("matches([{'key': 'g', 'match': {'value': False}}])", matches(F("g").eq(False))),
        ("geo_distance('place', 52.5, -13.4, default=1e7)", geo_distance("place", 52.5, -13.4, 1e7)),
    ],
)
def test_text_is_the_tree_of_the_builders(text: str, tree: Expression) -> None:
    assert parse_formula(text, LIMITS) == tree
    assert parse_formula(f"  {text}\n", LIMITS) == tree


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "column 1"),
        ("score(0) +", "column"),
        ("score(0) + nothing", "column 12: is no number"),
        ("1 + launch('x')", "column 5: no function is named 'launch'"),
        ("__import__('os').system('true')", "column 1: is no number"),
        ("(lambda: 1)()", "column 1"),
        ("[score(0)]", "column 1"),
        ("field('a').b", "column 1"),
        ("f'{score(0)}'", "column 1"),
        ("True", "column 1"),
        ("'text'", "column 1"),
        ("1 < score() < 2", "column 1: compare two values"),
        ("score(0) and score(1)", "column 1"),
        ("score(0) // 2", "column 1"),
        ("sqrt(1, 2)", "column 1: sqrt takes 1 to 1"),
        ("sqrt(*[1])", "column 6"),
        ("field()", "column 1: field takes (key, default)"),
        ("field('a', 1, 2)", "column 1: field takes"),
        ("field('a', key='b')", "column 1: field takes"),
        ("field('a', **{})", "column 1: field takes"),
        ("field(score(0))", "column 7: must be a number or a string"),
        ("datetime('yesterday')", "column 10"),
        ("datetime(5)", "column 10: a moment is a string"),
        ("matches()", "column 1: matches takes one filter"),
        ("matches(filter={})", "column 1: matches takes one filter"),
        ("1 + matches({[1]: 2})", "column 13: names in a filter are strings"),
        ("matches({1: 2})", "column 9: names in a filter are strings"),
        ("matches({**{}})", "column 9: names in a filter are strings"),
        ("matches({'key': score()})", "column 17: must be a number or a string"),
        ("1 if score() else 2", "column 1"),
        ("x := 1", "column"),
        ("1; 2", "column"),
        ("9" * 5_000, ""),
        ("1" + "0" * 400, "column 1: is larger"),
        ("-True", "column 2"),
        ("(" * 1_000 + "1" + ")" * 1_000, ""),
        ("a\0b", ""),
    ],
)
def test_what_is_none_is_refused_by_its_column(text: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_formula(text, LIMITS)
    assert caught.value.reason == "BAD_FORMULA"
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("matches('x')", "BAD_FILTER"),
        ("1 + matches({'key': 'g', 'match': {'values': 1}})", "BAD_FILTER"),
        ("matches(" + '{"must": [' * 40 + "]}" * 40 + ")", "LIMIT_EXCEEDED"),
    ],
)
def test_a_wrong_filter_is_refused_as_anywhere(text: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_formula(text, LIMITS)
    assert caught.value.reason == reason
    assert "formula.matches" in caught.value.message


def test_depth_and_length_are_bounded() -> None:
    at_bound = "-" * 0 + "abs(" * (LIMITS.formula_depth_max - 1) + "1" + ")" * (LIMITS.formula_depth_max - 1)
    parse_formula(at_bound, LIMITS)
    with pytest.raises(InvalidArgument, match=f"formula_depth_max={LIMITS.formula_depth_max}"):
        parse_formula(f"abs({at_bound})", LIMITS)
    with pytest.raises(InvalidArgument, match="characters"):
        parse_formula("1+" * 10_000 + "1", LIMITS)
    with pytest.raises(InvalidArgument, match="not a part"):
        parse_formula({"add": ["score(0)", 1]}, LIMITS)


def test_a_text_that_was_read_is_read_for_other_limits_and_elsewhere_anew() -> None:
    text = "score(0) * (1 + field('a', 0))"
    assert parse_formula(text, Limits()) is parse_formula(text, Limits())
    with pytest.raises(InvalidArgument, match="formula_depth_max"):
        parse_formula(text, Limits(formula_depth_max=2))
    for path in ("formula", "prefetch[1].formula"):
        with pytest.raises(InvalidArgument) as refused:
            parse_formula("score(", Limits(), path)
        assert path in str(refused.value.metadata) + str(refused.value)
