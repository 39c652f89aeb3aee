"""Checks of a query's search parameters against their bounds and the field."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from vecstore.errors import InvalidArgument, invalid
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.index_check import EF_MAX
from vecstore.rows import Rows
from vecstore.schema import Metric, Schema, SearchDefaults, VectorField, VectorKind

NPROBE_MAX = 1 << 20
OVERSAMPLING_MAX = 100.0
LEAVING = ("indexed_only", "allow_partial")
BLOCK_FACTOR_MIN, BLOCK_FACTOR_MAX = 0.1, 1_000.0


def field_of(schema: Schema, using: str | None) -> tuple[str, VectorField]:
    """The vector field a query means. Raises InvalidArgument (VECTOR_NAME_UNKNOWN)."""
    if using is None:
        if len(schema.vectors) > 1:
            names = ", ".join(sorted(schema.vectors))
            message = f"the collection has several vector fields ({names}); name one with `using`"
            raise invalid("VECTOR_NAME_UNKNOWN", message, "using")
        return next(iter(schema.vectors.items()))
    spec = schema.vectors.get(using)
    if spec is None:
        message = f"no vector field named {using!r:.80}; the collection has {', '.join(sorted(schema.vectors))}"
        raise invalid("VECTOR_NAME_UNKNOWN", message, "using")
    return using, spec


def defaulted(params: SearchParams, field: VectorField) -> SearchParams:
    """What a query asks for, or the field's own settings for one that says nothing of how hard to look."""
    own = field.search
    if own is None or any(
        (params.exact, params.recall_target, params.nprobe, params.oversampling, params.ef, params.block_factor)
    ):
        return params
    return _joined(params, own)


@lru_cache(256)  # the same object for the same settings: indexes know their last plan by it
def _joined(params: SearchParams, own: SearchDefaults) -> SearchParams:
    return replace(
        params,
        recall_target=own.recall or 0.0,
        nprobe=own.nprobe or 0,
        oversampling=own.oversampling or 0.0,
        ef=own.ef or 0,
        block_factor=own.block_factor or 0.0,
    )


def check_defaults(field: VectorField, path: str) -> None:
    """Raises InvalidArgument (BAD_SCHEMA) for search settings of a field that no query could ask for."""
    own = field.search
    if own is None:
        return
    for name in own.__struct_fields__:
        value, kinds = getattr(own, name), (int,) if name in ("ef", "nprobe") else (int, float)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, kinds) or not value > 0:
            kind = "an integer" if len(kinds) == 1 else "a number"
            message = f"{path}.{name}={value!r:.40} must be {kind} above 0, or null for the index's own choice"
            raise invalid("BAD_SCHEMA", message, f"{path}.{name}")
    try:
        check_params(defaulted(DEFAULT_PARAMS, field), field, np.empty((0, 0)))
    except InvalidArgument as error:
        message = error.message.replace("params.recall_target", "params.recall").replace("params", path, 1)
        raise invalid("BAD_SCHEMA", message, message.partition("=")[0]) from None


def check_params(params: SearchParams, field: VectorField, vectors: Rows) -> None:
    """`vectors` is the query, as one row. Raises InvalidArgument (BAD_ARGUMENT, ZERO_VECTOR) naming the parameter, the
    bound and the value."""
    if params is DEFAULT_PARAMS or params is _right.last:
        return
    for name in ("nprobe", "truncate_dim", "ef"):
        value = getattr(params, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _bad(name, f"{value!r:.40} must be an integer")
    for name in ("rescore", "exact", *LEAVING):
        if not isinstance(getattr(params, name), bool):
            raise _bad(name, f"{getattr(params, name)!r:.40} must be true or false")
    for name in ("oversampling", "recall_target", "block_factor"):
        value = getattr(params, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _bad(name, f"{value!r:.40} must be a finite number")
    if not 0 <= params.nprobe <= NPROBE_MAX:
        raise _bad("nprobe", f"{params.nprobe} must be in 1..{NPROBE_MAX}, or 0 for the index's own choice")
    if not 0 <= params.ef <= EF_MAX:
        raise _bad("ef", f"{params.ef} must be in 1..{EF_MAX}, or 0 for the index's own choice")
    if params.oversampling != 0 and not 1 <= params.oversampling <= OVERSAMPLING_MAX:
        raise _bad("oversampling", f"{params.oversampling} must be in 1..{OVERSAMPLING_MAX:g}")
    if params.block_factor != 0 and not BLOCK_FACTOR_MIN <= params.block_factor <= BLOCK_FACTOR_MAX:
        raise _bad("block_factor", f"{params.block_factor} must be in {BLOCK_FACTOR_MIN:g}..{BLOCK_FACTOR_MAX:g}")
    if not 0 <= params.recall_target <= 1:
        raise _bad("recall_target", f"{params.recall_target} must be above 0 and at most 1")
    if params.truncate_dim:
        _check_truncation(params.truncate_dim, field, vectors)
    else:
        _right.last = params


class _Right:
    """The params that were found right last, whatever the field: most queries come with the same again."""

    last: SearchParams = DEFAULT_PARAMS


_right = _Right()


def check_leaving(params: SearchParams) -> None:
    """Of a stage that may search nothing itself. Raises InvalidArgument (BAD_ARGUMENT)."""
    for name in LEAVING:
        if not isinstance(getattr(params, name), bool):
            raise _bad(name, f"{getattr(params, name)!r:.40} must be true or false")


def leaving(params: SearchParams, above: SearchParams) -> SearchParams:
    """The same, and what may be left out in the stage above may be here."""
    if params is above or not (above.indexed_only or above.allow_partial):
        return params
    return replace(
        params,
        indexed_only=params.indexed_only or above.indexed_only,
        allow_partial=params.allow_partial or above.allow_partial,
    )


def searching(params: SearchParams) -> SearchParams:
    """How a stage itself searches, for one that leaves that to those below it."""
    return replace(params, indexed_only=False, allow_partial=False)


def _check_truncation(dim: int, field: VectorField, vectors: Rows) -> None:
    if field.kind is not VectorKind.DENSE:
        raise _bad("truncate_dim", f"{dim} does not apply to a {field.kind.value} field")
    assert isinstance(vectors, np.ndarray)
    if not 1 <= dim <= field.dim:
        raise _bad("truncate_dim", f"{dim} must be in 1..{field.dim}, the dimension of the field")
    prefix = vectors[0, :dim]
    if field.metric is Metric.COSINE and not np.dot(prefix, prefix):
        message = f"the first {dim} components of the query are zero, which cosine cannot use"
        raise invalid("ZERO_VECTOR", message, "query")


def _bad(name: str, problem: str) -> Exception:
    return invalid("BAD_ARGUMENT", f"params.{name}={problem}", f"params.{name}")
