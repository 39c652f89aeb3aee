"""Key paths into payloads: `meta.lang` walks objects; arrays met on the way are walked element by element."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from vecstore.errors import InvalidArgument

SEGMENT = re.compile(r'"((?:[^"\\]|\\["\\])*)"|([^."]+)')
SUBSCRIPT = re.compile(r"\[[0-9]*\]$")
_MISSING = object()


@lru_cache(maxsize=4096)
def parse_path(key: str) -> tuple[str, ...]:
    """Split a key into its names. A name with a dot or a quote is written in double quotes: `meta."file.name"`.

    Raises InvalidArgument (BAD_FILTER) for an empty key or name, a stray quote, or a subscript such as `tags[]`.
    """
    names: list[str] = []
    end = -1
    while end < len(key):
        segment = SEGMENT.match(key, end + 1)
        if segment is None:
            raise _bad_key(key, "a name is empty or a quote is not closed")
        quoted, bare = segment.groups()
        if bare is not None and SUBSCRIPT.search(bare):
            raise _bad_key(key, "arrays are walked without a subscript, so write tags, not tags[]")
        names.append(bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        end = segment.end()
        if end < len(key) and key[end] != ".":
            raise _bad_key(key, "a quoted name must be followed by a dot")
        if end == len(key):
            break
    return tuple(names)


def _bad_key(key: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"key {key[:100]!r} is not a path: {why}", reason="BAD_FILTER")


def found_at(payload: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
    """What lies at `path`, one entry for each way that leads there; an array counts as one. Empty when missing."""
    if len(path) == 1:
        value = payload.get(path[0], _MISSING)
        return [] if value is _MISSING else [value]
    found: list[Any] = [payload]
    for name in path:
        waiting, found = found[::-1], []
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict):
                if name in node:
                    found.append(node[name])
            elif isinstance(node, list):
                waiting.extend(reversed(node))
    return found


def values_of(found: list[Any]) -> list[Any]:
    """The values that conditions look at: arrays flattened one level, nulls kept."""
    if len(found) == 1 and not isinstance(found[0], list):
        return found
    values: list[Any] = []
    for value in found:
        if isinstance(value, list):
            values.extend(value)
        else:
            values.append(value)
    return values
