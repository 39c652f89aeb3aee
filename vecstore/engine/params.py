"""Checks of a query's search parameters against their bounds and the field."""

from __future__ import annotations

import math

import numpy as np

from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.index_check import EF_MAX
from vecstore.rows import Rows
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.validate import invalid

NPROBE_MAX = 1 << 20
OVERSAMPLING_MAX = 100.0
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


def check_params(params: SearchParams, field: VectorField, vectors: Rows) -> None:
    """`vectors` is the query, as one row. Raises InvalidArgument (BAD_ARGUMENT, ZERO_VECTOR) naming the parameter, the
    bound and the value."""
    if params is DEFAULT_PARAMS:
        return
    for name in ("nprobe", "truncate_dim", "ef"):
        value = getattr(params, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _bad(name, f"{value!r:.40} must be an integer")
    for name in ("rescore", "exact"):
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
