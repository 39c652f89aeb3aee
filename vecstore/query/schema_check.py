"""What a filter asks of a collection's schema."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Protocol

from vecstore.errors import invalid
from vecstore.query.filter import Condition, Filter, HasVector


class Names(Container[str], Iterable[str], Protocol):
    """Of vector fields."""


def check_vectors(filter: Filter, known: Names) -> None:
    """Raises InvalidArgument (VECTOR_NAME_UNKNOWN) for `has_vector` of a field that is not there: taken as false, a
    misspelt name under `must_not` would match every point. The filter has passed `check_filter`."""
    waiting: list[Condition] = [filter]
    while waiting:
        condition = waiting.pop()
        if isinstance(condition, Filter):
            some = condition.min_should.conditions if condition.min_should else ()
            waiting.extend((*some, *condition.must_not, *condition.should, *condition.must))
        elif isinstance(condition, HasVector) and condition.name not in known:
            names = ", ".join(sorted(known))
            message = f"has_vector: no vector field named {condition.name!r:.80}; the collection has {names}"
            raise invalid("VECTOR_NAME_UNKNOWN", message, "filter")
