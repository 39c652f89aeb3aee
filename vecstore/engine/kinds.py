"""What is the same for all queries that ask a view alike: checked and looked up for the first of them and kept with the
view, so that the next ones pay for their vector alone.

Nothing here decides how a query is answered: there is one path, which takes from here what it would find anew each
time. What may change under a view, as indexes do, is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine.collection import View
from vecstore.engine.params import check_params, defaulted, field_of
from vecstore.engine.segment import SegmentView
from vecstore.errors import invalid
from vecstore.given import query_rows
from vecstore.index.base import SearchParams, keep_count
from vecstore.kernels.base import Bitmap
from vecstore.rows import GivenRows, Rows
from vecstore.schema import Schema, VectorField, VectorKind
from vecstore.types import QueryRequest, Selection

_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of query: all of it but its vector and its filter, checked."""

    name: str  # of the vector field
    field: VectorField
    k: int  # rows to find, those passed over included; no more than there are points
    params: SearchParams  # with the field's own settings
    asked: SearchParams  # without; held, since kinds are told apart by which object it is
    shape: tuple[int] | None  # of a dense query with nothing more to check

    def query(self, given: GivenRows, limits: Limits) -> Rows:
        """A query as the kernels take it, as one row. Raises InvalidArgument."""
        if type(given) is np.ndarray and given.shape == self.shape and given.dtype is _FLOAT32:
            squared = np.vdot(given, given)  # unlike other products, it does not warn when this overflows
            if 0.0 < squared <= validate.SQUARED_LENGTH_MAX and given.flags.c_contiguous:
                return given[None]
        vectors = query_rows(given, self.field, limits)
        if self.asked.truncate_dim:
            check_params(self.asked, self.field, vectors)
        return vectors


@dataclass(frozen=True, slots=True)
class Whole:
    """A segment as a query searches it that filters nothing: the live rows that have the vector, None where all do."""

    place: int  # among the view's
    segment: SegmentView
    allowed: Bitmap | None
    n_allowed: int


def kind_of(view: View, request: QueryRequest, limits: Limits) -> Kind:
    """Raises InvalidArgument for what is wrong with a request besides its vector and its filter."""
    select, params, k, offset = request.select, request.params, request.k, request.offset
    key = (request.using, k, offset, request.score_threshold, select.payload, select.vectors, id(params))
    try:
        kind: Kind | None = view.kinds.get(key)
    except TypeError:  # of a list of names, which may have others next time
        return _checked(view, request, limits)
    # What is equal to an integer may be none, and is refused.
    if kind is None or type(k) is not int or type(offset) is not int:
        kind = _checked(view, request, limits)
        view.kinds.keep(key, kind)
    return kind


def wholes_of(view: View, name: str) -> tuple[Whole, ...]:
    """Of the segments that hold live rows with the vector."""
    found: tuple[Whole, ...] | None = view.wholes.get(name)
    if found is None:
        listed = []
        for place, segment in enumerate(view.segments):
            allowed = live_rows(segment, name)
            n_allowed = segment.n_rows if allowed is None else keep_count(allowed)
            if n_allowed:
                listed.append(Whole(place, segment, allowed, n_allowed))
        found = view.wholes[name] = tuple(listed)
    return found


def live_rows(segment: SegmentView, name: str) -> Bitmap | None:
    """Those that have the vector; None when that is every row. Must not be changed."""
    present = segment.segment.present(name, segment.n_rows)
    if present is not None:
        return segment.alive & present
    return None if segment.n_alive == segment.n_rows else segment.alive


def _checked(view: View, request: QueryRequest, limits: Limits) -> Kind:
    name, field = field_of(view.schema, request.using)
    count = check_counts(request, limits)
    if request.score_threshold is not None and not np.isfinite(request.score_threshold):
        raise invalid("NAN_OR_INF", "score_threshold must be finite", "score_threshold")
    check_selection(request.select, view.schema)
    asked, simple = request.params, field.kind is VectorKind.DENSE
    if asked.truncate_dim:  # depends on the vector
        simple = False
    else:
        check_params(asked, field, np.empty((0, 0)))
    params, k = defaulted(asked, field), min(count, max(1, view.points))
    return Kind(name, field, k, params, asked, (field.dim,) if simple else None)


def check_counts(request: QueryRequest, limits: Limits) -> int:
    """How many answers are needed."""
    bound = limits.k_max
    k = validate.check_count(request.k, "k", 1, "k_max", bound)
    offset = validate.check_count(request.offset, "offset", 0, "k_max", bound)
    return validate.check_count(k + offset, "k + offset", 1, "k_max", bound)


def check_selection(select: Selection, schema: Schema) -> None:
    if isinstance(select.vectors, bool):
        return
    for name in select.vectors:
        if name not in schema.vectors:
            known = ", ".join(sorted(schema.vectors))
            message = f"no vector field named {name!r:.80}; the collection has {known}"
            raise invalid("VECTOR_NAME_UNKNOWN", message, "with_vectors")
