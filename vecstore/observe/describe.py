"""What a slow query asked for, in words that give nothing away: keys of filters, not values; no vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vecstore.query.filter import Condition, Filter, Nested
from vecstore.types import Prefetch, QueryRequest


def query_summary(request: QueryRequest) -> dict[str, Any]:
    found: dict[str, Any] = {"collection": request.collection, "k": request.k}
    given = {
        "using": request.using,
        "offset": request.offset,
        "filter": None if request.filter is None else filter_summary(request.filter),
        "exact": request.params.exact,
        "recall": request.params.recall_target,
        "fusion": None if request.fusion is None else type(request.fusion).__name__,
        "ranking": None if request.ranking is None else type(request.ranking).__name__,
        "prefetches": _count(request.prefetch),
        "with_vectors": bool(request.select.vectors),
    }
    return found | {name: value for name, value in given.items() if value}


def filter_summary(where: Filter) -> str:
    """Such as `must(match lang, range year) must_not(has_id)`."""
    lists: list[tuple[str, Sequence[Condition]]] = [
        ("must", where.must), ("should", where.should), ("must_not", where.must_not)
    ]  # fmt: skip
    if where.min_should is not None:
        lists.append((f"at_least_{where.min_should.min_count}", where.min_should.conditions))
    return " ".join(f"{name}({', '.join(map(_condition, listed))})" for name, listed in lists if listed)


def _condition(one: Condition) -> str:
    if isinstance(one, Filter):
        return f"[{filter_summary(one)}]"
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(one).__name__).lower()
    name = getattr(one, "key", None) or getattr(one, "name", None)
    inner = f" [{filter_summary(one.filter)}]" if isinstance(one, Nested) else ""
    return f"{kind} {name}{inner}" if name else kind


def _count(prefetches: Sequence[Prefetch]) -> int:
    return sum(1 + _count(one.prefetch) for one in prefetches)
