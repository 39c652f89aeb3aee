"""Errors that name columns or a part of a stream, said of the points as the client sent them."""

from __future__ import annotations

import re
from collections.abc import Callable

from vecstore.errors import InvalidArgument

_BY_COLUMN = re.compile(r"(?:(ids)|(payloads)|vectors\.([\w-]+))\[(\d+)\]")
_POINT = re.compile(r"points\[(\d+)\]")


def by_point(error: InvalidArgument, start: int = 0) -> InvalidArgument:
    """What is said of columns, said of the points that they were made from, the first of them at `start`."""

    def renamed(match: re.Match[str]) -> str:
        ids, payloads, vector, place = match.groups()
        return f"points[{start + int(place)}]." + ("id" if ids else "payload" if payloads else f"vectors.{vector}")

    return _said(error, lambda text: _BY_COLUMN.sub(renamed, text))


def shifted(error: InvalidArgument, start: int) -> InvalidArgument:
    """Places of points counted from `start` on."""
    return _said(error, lambda text: _POINT.sub(lambda match: f"points[{start + int(match[1])}]", text))


def _said(error: InvalidArgument, rewrite: Callable[[str], str]) -> InvalidArgument:
    violations = [(rewrite(path), rewrite(said)) for path, said in error.field_violations]
    return type(error)(
        rewrite(error.message), reason=error.reason, metadata=error.metadata, field_violations=violations
    )
