"""LlamaIndex's metadata filters as vecstore's.

Where a node lacks the key, only != , nin and is_empty hold. Values that are lists: ==, in and contains hold for one
element, any for one of several, all for each of several. text_match and text_match_insensitive look for the words one
after another, whatever their case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from vecstore.errors import InvalidArgument
from vecstore.query.builder import F, has_id
from vecstore.query.filter import Filter

REF_DOC_ID = "ref_doc_id"  # the key that LlamaIndex gives each node's document


def to_filter(
    filters: MetadataFilters | None, node_ids: Sequence[str] | None = None, doc_ids: Sequence[str] | None = None
) -> Filter | None:
    """All of the three that are given; None when none is. Raises InvalidArgument (BAD_FILTER)."""
    given = [] if filters is None else [_all(filters)]
    if node_ids is not None:
        given.append(has_id(*node_ids))
    if doc_ids is not None:
        given.append(F(REF_DOC_ID).in_(doc_ids))
    return F.all(*given) if given else None


def _all(filters: MetadataFilters) -> Filter:
    parts = [_all(one) if isinstance(one, MetadataFilters) else _one(one) for one in filters.filters]
    if not parts:
        return Filter()
    if filters.condition is FilterCondition.OR:
        return F.any(*parts)
    if filters.condition is FilterCondition.NOT:
        return ~F.any(*parts)
    return F.all(*parts)


def _one(given: MetadataFilter) -> Filter:
    listed = isinstance(given.value, list)
    if given.operator is not FilterOperator.IS_EMPTY and (given.value is None or listed != (given.operator in LISTS)):
        wanted = "a list" if given.operator in LISTS else "one value"
        message = f"filter on {given.key!r}: {given.operator.value} takes {wanted}, not {given.value!r:.80}"
        raise InvalidArgument(message, reason="BAD_FILTER")
    return OPERATORS[given.operator](F(given.key), given.value)


LISTS = (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL)
OPERATORS: dict[FilterOperator, Callable[[F, Any], Filter]] = {
    FilterOperator.EQ: F.eq,
    FilterOperator.NE: F.ne,
    FilterOperator.GT: F.gt,
    FilterOperator.GTE: F.gte,
    FilterOperator.LT: F.lt,
    FilterOperator.LTE: F.lte,
    FilterOperator.IN: F.in_,
    FilterOperator.NIN: F.not_in,
    FilterOperator.ANY: F.in_,
    FilterOperator.ALL: lambda key, values: F.all(*(key.eq(value) for value in values)),
    FilterOperator.CONTAINS: F.eq,
    FilterOperator.TEXT_MATCH: F.phrase,
    FilterOperator.TEXT_MATCH_INSENSITIVE: F.phrase,
    FilterOperator.IS_EMPTY: lambda key, _: key.is_empty(),
}
