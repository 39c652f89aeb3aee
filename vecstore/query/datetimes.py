"""RFC 3339 text to microseconds since 1970 UTC and back. Text without an offset is UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_MIN = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z
MICROSECONDS_MAX = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z

# `datetime.fromisoformat` accepts more (week dates, basic format, 24:00), and differently in each Python version.
RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
)


def parse_datetime(text: str) -> int | None:
    """Microseconds since 1970 UTC, or None when `text` is not a date and time. Digits past microseconds are cut."""
    if not RFC3339.fullmatch(text):
        return None
    if text[-1] in "zZ":
        text = text[:-1] + "+00:00"
    try:
        return to_microseconds(datetime.fromisoformat(text))
    except ValueError:  # such as February 30 or second 60
        return None


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC of a datetime; one without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def format_datetime(microseconds: int) -> str:
    """RFC 3339 text in UTC; `microseconds` lies within MICROSECONDS_MIN and MICROSECONDS_MAX."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
