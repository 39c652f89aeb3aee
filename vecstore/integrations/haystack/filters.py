"""Haystack's filters as vecstore's.

Of a metadata value that is a list, vecstore compares the elements, Haystack's own stores the list. Strings that are
dates are compared as moments by >, >=, < and <=, and as strings by the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from haystack.errors import FilterError

from vecstore.errors import InvalidArgument
from vecstore.query.builder import F, has_id
from vecstore.query.filter import Filter
from vecstore.query.parse import parse_filter

NOWHERE = ("embedding", "sparse_embedding", "score", "blob")  # fields of a document that no filter reaches


def to_filter(filters: Mapping[str, Any] | None, content_key: str) -> Filter | None:
    """Raises FilterError for what is malformed, for unknown operators, and for values they do not take."""
    if not filters:
        return None
    try:
        return parse_filter(_filter(filters, content_key))
    except InvalidArgument as error:
        raise FilterError(str(error)) from error


def _filter(node: Any, content_key: str) -> Filter:
    if not isinstance(node, Mapping):
        raise FilterError(f"{node!r:.80} is not a filter")
    if "field" in node:
        _need(node, "operator", "value")
        return _comparison(str(node["field"]), node["operator"], node["value"], content_key)
    _need(node, "operator", "conditions")
    parts = [_filter(one, content_key) for one in node["conditions"]]
    if node["operator"] == "AND":
        return F.all(*parts)
    if node["operator"] == "OR":
        return F.any(*parts)
    if node["operator"] == "NOT":
        return ~F.all(*parts)
    raise FilterError(f"unknown logical operator {node['operator']!r}; known: AND, OR, NOT")


def _need(node: Mapping[str, Any], *keys: str) -> None:
    for key in keys:
        if key not in node:
            raise FilterError(f"{key!r} is missing in {node!r:.200}")


def _comparison(field: str, operator: Any, value: Any, content_key: str) -> Filter:
    if operator not in COMPARISONS:
        raise FilterError(f"unknown operator {operator!r}; known: {', '.join(COMPARISONS)}")
    if field == "id":
        return _of_id(operator, value)
    if field in NOWHERE:
        raise FilterError(f"documents cannot be filtered by {field!r}")
    key = content_key if field == "content" else field.removeprefix("meta.")
    return COMPARISONS[operator](key, value)


def _of_id(operator: str, value: Any) -> Filter:
    ids = value if operator in ("in", "not in") else [value]
    if not isinstance(ids, list) or operator not in ("==", "!=", "in", "not in"):
        raise FilterError(f"id {operator} {value!r:.80}: ids are compared by ==, !=, in and not in")
    found = has_id(*ids)
    return ~found if operator in ("!=", "not in") else found


def _equal(key: str, value: Any) -> Filter:
    if value is None:
        return ~F(key).exists() | F(key).is_null()
    if isinstance(value, list | Mapping):
        raise FilterError(f"{key}: == and != take a string, number, boolean or None, not {type(value).__name__}")
    return F(key).eq(value.isoformat() if isinstance(value, datetime) else value)


def _in(key: str, values: Any) -> Filter:
    if not isinstance(values, list):
        raise FilterError(f"{key}: in and not in take a list, not {type(values).__name__}")
    return F.any(F(key).in_([]), *(_equal(key, value) for value in values))


def _range(compare: Callable[[F, Any], Filter]) -> Callable[[str, Any], Filter]:
    def filter(key: str, bound: Any) -> Filter:
        return F(key).in_([]) if bound is None else compare(F(key), bound)

    return filter


COMPARISONS: dict[str, Callable[[str, Any], Filter]] = {
    "==": _equal,
    "!=": lambda key, value: ~_equal(key, value),
    ">": _range(F.gt),
    ">=": _range(F.gte),
    "<": _range(F.lt),
    "<=": _range(F.lte),
    "in": _in,
    "not in": lambda key, values: ~_in(key, values),
}
