"""Dates and words, the two places where values are interpreted."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from filter_oracle import INSTANTS, NOT_INSTANTS
from hypothesis import given
from hypothesis import strategies as st

from vecstore.query.datetimes import (
    MICROSECONDS_MAX,
    MICROSECONDS_MIN,
    format_datetime,
    parse_datetime,
    to_microseconds,
)
from vecstore.text.tokenize import contains_phrase, tokens


@pytest.mark.parametrize("text", INSTANTS)
def test_instants(text):
    assert parse_datetime(text) == INSTANTS[text]


OTHERS = ["", "2024-1-1", "2024-01-01T10", "2024-01-01T10:00+0200", " 2024-01-01", "2024-01-01\n", "0000-01-01"]
OTHERS += ["2024-01-01T10:00:00,5", "\uff12\uff10\uff12\uff14-01-01"]  # full-width digits


@pytest.mark.parametrize("text", [*NOT_INSTANTS, *OTHERS])
def test_other_text_is_no_instant(text):
    assert parse_datetime(text) is None


@given(st.integers(MICROSECONDS_MIN, MICROSECONDS_MAX))
def test_round_trip(microseconds):
    assert parse_datetime(format_datetime(microseconds)) == microseconds


@given(st.datetimes(), st.integers(-23 * 60, 23 * 60))
def test_offsets(moment, minutes):
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) - minutes * 60_000_000
    assert parse_datetime(zoned.isoformat()) == to_microseconds(zoned) == expected
    assert to_microseconds(moment) == to_microseconds(moment.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("?! -", []),
        ("The quick-brown FOX", ["the", "quick", "brown", "fox"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("e\u0301te\u0301 été", ["été", "été"]),
        ("ﬁn snake_case x1", ["fin", "snake_case", "x1"]),
        ("日本 語", ["日本", "語"]),
    ],
)
def test_tokens(text, expected):
    assert tokens(text) == expected


def test_phrases():
    assert contains_phrase(["a", "a", "b"], ["a", "b"])
    assert not contains_phrase(["a", "c", "b"], ["a", "b"])
    assert not contains_phrase(["a"], ["a", "a"])
    assert not contains_phrase(["a"], [])
