"""The walk over a request: every place that can hold texts in place of vectors of a field with an embedder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from vecstore.embed.base import Role
from vecstore.errors import InvalidArgument
from vecstore.grouping import GroupsRequest
from vecstore.offsets import offsets_of
from vecstore.ranking import Discover, Example, Ranking, Recommend
from vecstore.rows import GivenRows, Rows, TextRows
from vecstore.schema import Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.sparse_check import bad_vector
from vecstore.tokens import TokenRows
from vecstore.types import (
    PointBatch,
    Prefetch,
    QueryRequest,
    SingleWrite,
    TuneRequest,
    UpdateBatchRequest,
    UpdateVectorsRequest,
    UpsertRequest,
    VectorBatch,
)

# Gives what stands in the place of the texts of a field, by name; `path` names them in errors.
Swap: TypeAlias = Callable[[str, VectorField, TextRows, Role, str], GivenRows]


def query_of(request: Any) -> QueryRequest | None:
    """The query of a request that is one."""
    if isinstance(request, GroupsRequest):
        return request.query
    return request if isinstance(request, QueryRequest) else None


def walked(request: Any, schema: Schema, swap: Swap, *, many: bool) -> Any:
    """A copy of the request with what `swap` gives; `many` where its vector is a batch of queries. Raises
    InvalidArgument (BAD_VECTOR) for several texts where one is meant."""
    if isinstance(request, UpsertRequest | UpdateVectorsRequest):
        return dataclasses.replace(request, batch=_batch(request.batch, schema, swap))
    if isinstance(request, UpdateBatchRequest):
        return dataclasses.replace(request, operations=_operations(request.operations, schema, swap))
    if isinstance(request, QueryRequest):
        return _stage(request, schema, swap, "", many)
    if isinstance(request, GroupsRequest):
        return dataclasses.replace(request, query=_stage(request.query, schema, swap, "", many))
    if isinstance(request, TuneRequest):
        field = _field(schema, request.using)
        if field is None or not isinstance(request.queries, TextRows):
            return request
        return dataclasses.replace(request, queries=swap(*field, request.queries, Role.QUERY, "queries"))
    return request


def _operations(operations: Sequence[SingleWrite], schema: Schema, swap: Swap) -> list[SingleWrite]:
    changed = []
    for place, one in enumerate(operations):
        try:
            changed.append(walked(one, schema, swap, many=False))
        except InvalidArgument as error:
            raise error.at(f"operations[{place}]") from None
    return changed


def _batch(batch: PointBatch, schema: Schema, swap: Swap) -> PointBatch:
    vectors = {}
    for name, given in batch.vectors.items():
        field = _embedded(schema.vectors.get(name))
        vectors[name] = given
        if field is not None and isinstance(given.rows, TextRows):
            vectors[name] = _column(name, field, given, swap)
    return dataclasses.replace(batch, vectors=vectors)


def _column(name: str, field: VectorField, given: VectorBatch, swap: Swap) -> VectorBatch:
    assert isinstance(given.rows, TextRows)
    path, present = f"vectors.{name}", given.present
    if present is None or len(present) != len(given.rows):  # the engine refuses what does not fit
        return VectorBatch(swap(name, field, given.rows, Role.PASSAGE, path), present)
    some = swap(
        name, field, TextRows([given.rows.texts[at] for at in np.flatnonzero(present).tolist()]), Role.PASSAGE, path
    )
    return given if isinstance(some, TextRows) else VectorBatch(_spread(some, present, field), present)


def _spread(some: Rows, present: np.ndarray, field: VectorField) -> Rows:
    """Rows for all points, zero or empty where none is present."""
    if isinstance(some, np.ndarray):
        rows = np.zeros((len(present), field.dim), some.dtype)
        rows[present] = some
        return rows
    lengths = np.zeros(len(present), np.int64)
    lengths[present] = np.diff(some.offsets)
    offsets = offsets_of(lengths)
    if isinstance(some, SparseRows):
        return SparseRows(offsets, some.indices, some.values)
    return TokenRows(offsets, some.tokens)


def _stage(request: Any, schema: Schema, swap: Swap, path: str, many: bool) -> Any:
    changes: dict[str, Any] = {}
    field = _field(schema, request.using)
    if field is not None and isinstance(request.vector, TextRows):
        changes["vector"] = _vector(request.vector, field, swap, f"{path}query", many)
    if field is not None and isinstance(request.ranking, Recommend | Discover):
        changes["ranking"] = _ranking(request.ranking, field, swap, path)
    if request.prefetch:
        changes["prefetch"] = tuple(
            _stage(below, schema, swap, f"{path}prefetch[{place}].", False) if isinstance(below, Prefetch) else below
            for place, below in enumerate(request.prefetch)
        )
    return dataclasses.replace(request, **changes) if changes else request


def _vector(given: TextRows, field: tuple[str, VectorField], swap: Swap, path: str, many: bool) -> GivenRows:
    if not many and len(given) != 1:
        raise bad_vector(path, f"must be one text, not {len(given)}")
    rows = swap(*field, given, Role.QUERY, path)
    return rows[0] if isinstance(rows, np.ndarray) and not many else rows


def _ranking(ranking: Recommend | Discover, field: tuple[str, VectorField], swap: Swap, path: str) -> Ranking:
    def one(example: Example, where: str) -> Example:
        return _vector(example, field, swap, path + where, False) if isinstance(example, TextRows) else example

    def some(examples: Sequence[Example], where: str) -> tuple[Example, ...]:
        return tuple(one(example, f"{where}[{place}]") for place, example in enumerate(examples))

    if isinstance(ranking, Recommend):
        return dataclasses.replace(
            ranking,
            positive=some(ranking.positive, "recommend.positive"),
            negative=some(ranking.negative, "recommend.negative"),
        )
    target = None if ranking.target is None else one(ranking.target, "discover.target")
    pairs = tuple(
        (one(near, f"discover.context[{place}].positive"), one(far, f"discover.context[{place}].negative"))
        for place, (near, far) in enumerate(ranking.context)
    )
    return dataclasses.replace(ranking, target=target, context=pairs)


def _field(schema: Schema, using: str | None) -> tuple[str, VectorField] | None:
    """The field that a query means, if texts for it are embedded. What is wrong with `using` is the engine's to say."""
    name = next(iter(schema.vectors)) if using is None and len(schema.vectors) == 1 else using
    field = None if name is None else _embedded(schema.vectors.get(name))
    return None if name is None or field is None else (name, field)


def _embedded(field: VectorField | None) -> VectorField | None:
    return field if field is not None and field.embedder and field.kind is not VectorKind.TEXT else None
