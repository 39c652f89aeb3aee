"""Schemas, collections and operations."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from vecstore.errors import InvalidArgument
from vecstore.index_check import read_index
from vecstore.index_spec import Index
from vecstore.index_text import format_index, parse_index
from vecstore.schema import (
    NEAREST,
    Analysis,
    DataType,
    FieldKind,
    Metric,
    Schema,
    SearchDefaults,
    VectorField,
    VectorKind,
)
from vecstore.types import (
    CollectionInfo,
    FieldIndexRequest,
    OperationInfo,
    OperationState,
    TuneRequest,
    VectorIndexRequest,
)
from vecstore.wire.given import given_rows, given_vectors
from vecstore.wire.rest.base import Answer, Body, Bounded, JsonObject, bad_argument
from vecstore.wire.rest.vectors import Vector, vector_from_json, vector_to_json

IndexSpec = Annotated[
    str | JsonObject,
    msgspec.Meta(description='Such as "ivf | saq(bits=4)", or an object with `type`. Left out: the engine chooses.'),
]


Embedder = Annotated[
    str,
    msgspec.Meta(description="One of the server's: texts may be given in place of vectors, and `dim` be left out."),
]


class AnalysisSpec(Body):
    """How texts become terms, and how BM25 weighs these."""

    language: str = "english"
    stop_words: bool = True
    k1: float = 1.2
    b: float = 0.75


class SearchSpec(Body):
    """How hard a field is searched for queries that say nothing of it."""

    recall: float | None = None
    ef: Bounded | None = None
    nprobe: Bounded | None = None
    oversampling: float | None = None
    block_factor: float | None = None


class VectorFieldSpec(Body):
    """A vector field. `dim` counts bits for binary fields; sparse and text fields have none. Where `metric` is left
    out: cosine, hamming for binary, dot for sparse, bm25 for text, maxsim for multi."""

    kind: VectorKind = VectorKind.DENSE
    dim: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)] = 0
    metric: Metric | None = None
    datatype: DataType = DataType.FLOAT32
    index: IndexSpec | None = None
    analysis: AnalysisSpec | None = None
    embedder: Embedder | None = None
    fingerprint: Annotated[str, msgspec.Meta(description="Of the embedder's model; filled in.")] | None = None
    device: Annotated[str, msgspec.Meta(description='"cpu", "auto" (a GPU if there is one), "cuda:0".')] | None = None
    search: SearchSpec | None = None


class SchemaSpec(Body):
    """Vector fields by name, indexed payload fields by key, and metadata: any JSON object of yours."""

    vectors: dict[str, VectorFieldSpec]
    fields: dict[str, FieldKind] = {}
    metadata: JsonObject = {}


class CreateCollectionRequest(Body):
    schema: SchemaSpec
    exist_ok: bool = False


class Collection(Answer):
    name: str
    schema: SchemaSpec
    seq: int
    points: int
    version: Annotated[int, msgspec.Meta(description="Of the schema: it grows by each change.")] = 1


class Collections(Answer):
    collections: list[Collection]


class Exists(Answer):
    exists: bool


class Deleted(Answer):
    deleted: bool


class Stats(Answer):
    """Rows, points, segments, bytes of each component, indexes, seq, state."""

    stats: JsonObject


class Info(Answer):
    """Version, kernels, threads."""

    info: JsonObject


class CreateFieldIndexRequest(Body):
    kind: FieldKind


class UpdateIndexRequest(Body):
    index: IndexSpec | None


class TuneBody(Body):
    """20 queries at least; 1,024 are used."""

    queries: list[Vector]
    using: str | None = None


class Operation(Answer):
    """A long job. `done` of `total` counts the unit that `phase` names; times are seconds since 1970."""

    id: str
    kind: str
    collection: str
    state: OperationState
    phase: str
    done: int
    total: int
    started_at: float
    finished_at: float | None
    rate: float
    eta_s: float | None
    error: str | None


class Operations(Answer):
    operations: list[Operation]


def schema_to_json(schema: Schema) -> SchemaSpec:
    vectors = {}
    for name, field in schema.vectors.items():
        analysis = None
        if field.analysis is not None:
            analysis = msgspec.convert(msgspec.structs.asdict(field.analysis), AnalysisSpec)
        index = None if field.index is None else format_index(field.index)
        vectors[name] = VectorFieldSpec(
            kind=field.kind,
            dim=field.dim,
            metric=field.metric,
            datatype=field.datatype,
            index=index,
            analysis=analysis,
            embedder=field.embedder,
            fingerprint=field.fingerprint,
            device=field.device,
            search=None if field.search is None else SearchSpec(**msgspec.structs.asdict(field.search)),
        )
    return SchemaSpec(vectors=vectors, fields=dict(schema.fields), metadata=schema.metadata)


def schema_from_json(given: SchemaSpec) -> Schema:
    """Raises InvalidArgument (BAD_INDEX_SPEC) naming the field; the rest is the engine's to check."""
    vectors = {}
    for name, field in given.vectors.items():
        path = f"schema.vectors.{name}"
        analysis = None if field.analysis is None else Analysis(**msgspec.structs.asdict(field.analysis))
        metric = field.metric or NEAREST[field.kind]
        try:
            index = index_from_json(field.index)
        except InvalidArgument as error:
            raise error.at(path) from None
        vectors[name] = VectorField(
            field.kind,
            field.dim,
            metric,
            field.datatype,
            index,
            analysis,
            embedder=field.embedder,
            fingerprint=field.fingerprint,
            device=field.device,
            search=None if field.search is None else SearchDefaults(**msgspec.structs.asdict(field.search)),
        )
    return Schema(vectors, dict(given.fields), given.metadata)


def index_from_json(given: str | dict[str, Any] | None) -> Index | None:
    """Raises InvalidArgument (BAD_INDEX_SPEC)."""
    return (parse_index(given) if given else None) if isinstance(given, str) else read_index(given)


def collection_to_json(info: CollectionInfo) -> Collection:
    return Collection(name=info.name, schema=schema_to_json(info.schema), seq=info.seq, points=info.points,
                      version=info.version)  # fmt: skip


def collection_from_json(answer: Collection) -> CollectionInfo:
    return CollectionInfo(answer.name, schema_from_json(answer.schema), answer.seq, answer.points, answer.version)


def field_index_from_json(collection: str, key: str, given: CreateFieldIndexRequest) -> FieldIndexRequest:
    return FieldIndexRequest(collection, key, given.kind)


def field_index_to_json(request: FieldIndexRequest) -> CreateFieldIndexRequest:
    """Raises InvalidArgument (BAD_SCHEMA) for a request without a kind."""
    if request.kind is None:
        raise bad_argument("kind", "is missing", "BAD_SCHEMA")
    return CreateFieldIndexRequest(kind=request.kind)


def vector_index_from_json(collection: str, vector: str, given: UpdateIndexRequest) -> VectorIndexRequest:
    return VectorIndexRequest(collection, vector, index_from_json(given.index))


def vector_index_to_json(request: VectorIndexRequest) -> UpdateIndexRequest:
    return UpdateIndexRequest(index=None if request.spec is None else format_index(request.spec))


def tune_from_json(collection: str, given: TuneBody) -> TuneRequest:
    """Raises InvalidArgument (BAD_VECTOR)."""
    vectors = [vector_from_json(query, f"queries[{place}]") for place, query in enumerate(given.queries)]
    return TuneRequest(collection, given_rows(vectors), given.using)


def tune_to_json(request: TuneRequest) -> TuneBody:
    queries = [vector_to_json(vector, packed=True) for vector in given_vectors(request.queries)]
    return TuneBody(queries=queries, using=request.using)


def operation_to_json(info: OperationInfo) -> Operation:
    return Operation(
        id=info.id, kind=info.kind, collection=info.collection, state=info.state, phase=info.phase, done=info.done,
        total=info.total, started_at=info.started_at, finished_at=info.finished_at, rate=info.rate, eta_s=info.eta_s,
        error=info.error,
    )  # fmt: skip


def operation_from_json(answer: Operation) -> OperationInfo:
    return OperationInfo(**msgspec.structs.asdict(answer))
