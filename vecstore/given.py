"""Vectors as users give them, checked and in the form that is stored or searched with, by the field's kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore import validate
from vecstore.config import Limits
from vecstore.errors import InvalidArgument, limit_exceeded
from vecstore.rows import GivenRows, RaggedRows, Rows, TextRows
from vecstore.schema import VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.sparse_check import bad_vector, check_sparse
from vecstore.text.analyze import analyze
from vecstore.tokens import TokenRows
from vecstore.tokens_check import check_tokens


def stored_rows(
    given: GivenRows, field: VectorField, count: int, path: str, limits: Limits, present: np.ndarray | None = None
) -> Rows:
    """The stored form of a batch of `count` vectors. Raises InvalidArgument as `validate.check_vectors` does."""
    if not field.is_ragged:
        if not isinstance(given, np.ndarray):
            raise _wrong_kind(given, field, path)
        return validate.check_vectors(given, field, count, path, present)
    rows = _ragged(given, field, field.storage_dtype, count, path, limits)
    if isinstance(rows, SparseRows) and field.kind is VectorKind.TEXT and rows.nnz and not rows.values.min() > 0:
        row = int(np.searchsorted(rows.offsets, np.argmin(rows.values), side="right")) - 1
        raise bad_vector(f"{path}[{row}]", f"has a term that occurs {rows.values.min():g} times")
    return rows


def query_rows(given: GivenRows, field: VectorField, limits: Limits, path: str = "query") -> Rows:
    """One query as a batch of one row. Raises InvalidArgument."""
    if not field.is_ragged:
        if not isinstance(given, np.ndarray):
            raise _wrong_kind(given, field, path)
        return validate.check_query_vector(given, field, path)[None]
    if not isinstance(given, np.ndarray) and len(given) != 1:
        raise bad_vector(path, f"must be one vector, got {len(given)}")
    if isinstance(given, SparseRows) and field.is_sparse:
        return check_sparse(given, np.dtype(np.float32), 1, path, validate.SQUARED_LENGTH_MAX, single=True)
    return query_batch(given, field, limits, path)


def query_batch(given: GivenRows, field: VectorField, limits: Limits, path: str = "queries") -> Rows:
    """A query a row, in float32 or packed bits. Raises InvalidArgument with the place of the first bad one."""
    if not field.is_ragged:
        if not isinstance(given, np.ndarray):
            raise _wrong_kind(given, field, path)
        return validate.check_query_vectors(given, field, path)
    rows = _ragged(given, field, np.dtype(np.float32), len(given), path, limits)
    if isinstance(rows, TokenRows) and not np.diff(rows.offsets).all():
        place = int(np.argmin(np.diff(rows.offsets)))
        raise bad_vector(f"{path}[{place}]", "has no tokens")
    return rows


def _ragged(
    given: GivenRows, field: VectorField, dtype: np.dtype[Any], count: int, path: str, limits: Limits
) -> RaggedRows:
    longest = validate.SQUARED_LENGTH_MAX
    if isinstance(given, TextRows):
        return _terms(given, field, count, path, limits)
    if isinstance(given, SparseRows) and field.is_sparse:
        return check_sparse(given, dtype, count, path, longest)
    if isinstance(given, TokenRows) and field.kind is VectorKind.MULTI:
        return check_tokens(given, field.dim, dtype, count, path, longest, limits.tokens_max)
    raise _wrong_kind(given, field, path)


def _terms(given: TextRows, field: VectorField, count: int, path: str, limits: Limits) -> SparseRows:
    if field.kind is not VectorKind.TEXT or field.analysis is None:
        raise _wrong_kind(given, field, path)
    if len(given) != count:
        raise bad_vector(path, f"has {len(given)} texts for {count} points")
    longest = max(map(len, given.texts), default=0)
    if longest > limits.text_length_max:
        place = next(at for at, text in enumerate(given.texts) if len(text) == longest)
        raise limit_exceeded("text_length_max", longest, limits.text_length_max, path=f"{path}[{place}] characters")
    return analyze(given.texts, field.analysis)


def _wrong_kind(given: GivenRows, field: VectorField, path: str) -> InvalidArgument:
    kinds = {SparseRows: "sparse", TextRows: "text", TokenRows: "a multi-vector"}
    why = " and has no embedder" if isinstance(given, TextRows) and field.embedder is None else ""
    return bad_vector(path, f"is {kinds.get(type(given), 'dense')}, but the field is {field.kind.value}{why}")
