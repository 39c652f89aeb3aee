"""Schemas, collections and operations."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from vecstore.errors import InvalidArgument, invalid
from vecstore.index_spec import Index
from vecstore.index_text import format_index, parse_index
from vecstore.pb.v1 import collections_pb2, common_pb2, operations_pb2
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
from vecstore.wire.values import fields_from_pb, set_fields
from vecstore.wire.vectors import vector_from_pb, vector_to_pb

E = TypeVar("E", bound=StrEnum)

_KINDS = {collections_pb2.VectorKind.Value(f"VECTOR_KIND_{member.name}"): member for member in VectorKind}
_METRICS = {collections_pb2.Metric.Value(f"METRIC_{member.name}"): member for member in Metric}
_DATA_TYPES = {common_pb2.DataType.Value(f"DATA_TYPE_{member.name}"): member for member in DataType}
_FIELD_KINDS = {collections_pb2.FieldKind.Value(f"FIELD_KIND_{member.name}"): member for member in FieldKind}
_STATES = {operations_pb2.OperationState.Value(f"OPERATION_STATE_{member.name}"): member for member in OperationState}


_ENUMS: dict[str, dict[int, Any]] = {"kind": _KINDS, "metric": _METRICS, "datatype": _DATA_TYPES}


def bad_schema(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid("BAD_SCHEMA", message, path)


def schema_to_pb(schema: Schema) -> collections_pb2.Schema:
    message = collections_pb2.Schema(fields={key: _number(_FIELD_KINDS, kind) for key, kind in schema.fields.items()})
    for name, field in schema.vectors.items():
        vector = message.vectors[name]
        vector.kind, vector.metric = _number(_KINDS, field.kind), _number(_METRICS, field.metric)
        vector.datatype = _number(_DATA_TYPES, field.datatype)
        vector.index = index_to_text(field.index)
        vector.embedder, vector.fingerprint = field.embedder or "", field.fingerprint or ""
        vector.device = field.device or ""
        if field.analysis is not None:
            vector.analysis.CopyFrom(_analysis_to_pb(field.analysis))
        if field.search is not None:
            _search_to_pb(field.search, vector.search, f"schema.vectors.{name}.search")
        _set_dim(vector, field.dim, f"schema.vectors.{name}")
    set_fields(message.metadata, schema.metadata)
    return message


def _set_dim(vector: collections_pb2.VectorField, dim: Any, path: str) -> None:
    try:
        vector.dim = dim
    except (TypeError, ValueError):
        raise bad_schema(f"{path}.dim", f"is {dim!r:.40}, no integer within int64") from None


def _search_to_pb(search: SearchDefaults, message: collections_pb2.SearchDefaults, path: str) -> None:
    for name in SearchDefaults.__struct_fields__:
        value = getattr(search, name)
        if value is not None:
            set_search(message, name, value, path)


def set_search(message: collections_pb2.SearchDefaults, name: str, value: Any, path: str) -> None:
    """Raises InvalidArgument (BAD_SCHEMA) for a setting that there is not, or a value that does not fit."""
    if name not in SearchDefaults.__struct_fields__:
        raise bad_schema(path, f"has no {name!r:.40}, only {', '.join(SearchDefaults.__struct_fields__)}")
    try:
        setattr(message, name, value)
    except (TypeError, ValueError):
        raise bad_schema(f"{path}.{name}", f"={value!r:.40} must be a number that fits") from None


def search_from_pb(message: collections_pb2.SearchDefaults) -> SearchDefaults:
    return SearchDefaults(**{field.name: value for field, value in message.ListFields()})


def fixed_to_pb(vector: collections_pb2.VectorField, setting: str, value: Any, path: str) -> None:
    """Write a setting that cannot change, named with dots, as it must be."""
    if setting == "dim":
        _set_dim(vector, value, path)
    elif setting in _ENUMS:
        setattr(vector, setting, _number(_ENUMS[setting], value))
    elif setting == "fingerprint":
        vector.fingerprint = value or ""
    elif setting == "analysis":
        vector.analysis.CopyFrom(collections_pb2.Analysis() if value is None else _analysis_to_pb(value))
    else:
        setattr(vector.analysis, setting.removeprefix("analysis."), value)


def field_kind_to_pb(kind: FieldKind) -> Any:
    return _number(_FIELD_KINDS, kind)


def field_kind_from_pb(number: int, path: str) -> FieldKind:
    return _member(_FIELD_KINDS, number, None, path)


def schema_from_pb(message: collections_pb2.Schema) -> Schema:
    """Raises InvalidArgument (BAD_SCHEMA) for enum values that are not known here."""
    vectors = {name: field_from_pb(name, field) for name, field in message.vectors.items()}
    fields = {key: field_kind_from_pb(kind, f"schema.fields.{key}") for key, kind in message.fields.items()}
    return Schema(vectors, fields, fields_from_pb(message.metadata, "schema.metadata"))


def field_from_pb(name: str, field: collections_pb2.VectorField) -> VectorField:
    """Raises InvalidArgument (BAD_SCHEMA, BAD_INDEX_SPEC)."""
    path = f"schema.vectors.{name}"
    kind = _member(_KINDS, field.kind, VectorKind.DENSE, f"{path}.kind")
    metric = _member(_METRICS, field.metric, NEAREST[kind], f"{path}.metric")
    datatype = _member(_DATA_TYPES, field.datatype, DataType.FLOAT32, f"{path}.datatype")
    try:
        index = index_from_text(field.index)
    except InvalidArgument as error:
        raise error.at(path) from None
    analysis = _analysis_from_pb(field.analysis) if field.HasField("analysis") else None
    embedder, fingerprint = field.embedder or None, field.fingerprint or None
    search = search_from_pb(field.search) if field.HasField("search") else None
    return VectorField(
        kind, field.dim, metric, datatype, index, analysis, embedder, fingerprint, field.device or None, search
    )


def _analysis_to_pb(analysis: Analysis) -> collections_pb2.Analysis:
    return collections_pb2.Analysis(
        language=analysis.language, stop_words=analysis.stop_words, k1=analysis.k1, b=analysis.b
    )


def _analysis_from_pb(message: collections_pb2.Analysis) -> Analysis:
    default = Analysis()
    return Analysis(
        message.language or default.language,
        message.stop_words if message.HasField("stop_words") else default.stop_words,
        message.k1 if message.HasField("k1") else default.k1,
        message.b if message.HasField("b") else default.b,
    )


def index_to_text(spec: Index | None) -> str:
    return "" if spec is None else format_index(spec)


def index_from_text(text: str) -> Index | None:
    """Raises InvalidArgument (BAD_INDEX_SPEC)."""
    return parse_index(text) if text else None


def vector_index_to_pb(request: VectorIndexRequest) -> collections_pb2.UpdateIndexRequest:
    return collections_pb2.UpdateIndexRequest(
        collection=request.collection, vector=request.vector, index=index_to_text(request.spec)
    )


def vector_index_from_pb(message: collections_pb2.UpdateIndexRequest) -> VectorIndexRequest:
    return VectorIndexRequest(message.collection, message.vector, index_from_text(message.index))


def tune_to_pb(request: TuneRequest) -> collections_pb2.TuneRequest:
    queries = [vector_to_pb(vector) for vector in given_vectors(request.queries)]
    return collections_pb2.TuneRequest(collection=request.collection, using=request.using or "", queries=queries)


def tune_from_pb(message: collections_pb2.TuneRequest) -> TuneRequest:
    """Raises InvalidArgument (BAD_VECTOR)."""
    vectors = [vector_from_pb(query, f"queries[{place}]") for place, query in enumerate(message.queries)]
    return TuneRequest(message.collection, given_rows(vectors), message.using or None)


def collection_to_pb(info: CollectionInfo) -> collections_pb2.CollectionInfo:
    return collections_pb2.CollectionInfo(
        name=info.name, schema=schema_to_pb(info.schema), seq=info.seq, points=info.points, version=info.version
    )


def collection_from_pb(message: collections_pb2.CollectionInfo) -> CollectionInfo:
    return CollectionInfo(message.name, schema_from_pb(message.schema), message.seq, message.points, message.version)


def field_index_to_pb(request: FieldIndexRequest) -> collections_pb2.CreateFieldIndexRequest:
    kind = collections_pb2.FIELD_KIND_UNSPECIFIED if request.kind is None else _number(_FIELD_KINDS, request.kind)
    return collections_pb2.CreateFieldIndexRequest(collection=request.collection, key=request.key, kind=kind)


def field_index_from_pb(message: collections_pb2.CreateFieldIndexRequest) -> FieldIndexRequest:
    """Raises InvalidArgument (BAD_SCHEMA) when the kind is missing or not known here."""
    return FieldIndexRequest(message.collection, message.key, _member(_FIELD_KINDS, message.kind, None, "kind"))


def operation_to_pb(info: OperationInfo) -> operations_pb2.Operation:
    return operations_pb2.Operation(
        id=info.id,
        kind=info.kind,
        collection=info.collection,
        state=_number(_STATES, info.state),
        phase=info.phase,
        done=info.done,
        total=info.total,
        started_at=info.started_at,
        finished_at=info.finished_at,
        rate=info.rate,
        eta_s=info.eta_s,
        error=info.error,
    )


def operation_from_pb(message: operations_pb2.Operation) -> OperationInfo:
    return OperationInfo(
        id=message.id,
        kind=message.kind,
        collection=message.collection,
        state=_STATES[message.state],
        phase=message.phase,
        done=message.done,
        total=message.total,
        started_at=message.started_at,
        finished_at=message.finished_at if message.HasField("finished_at") else None,
        rate=message.rate,
        eta_s=message.eta_s if message.HasField("eta_s") else None,
        error=message.error if message.HasField("error") else None,
    )


def _number(members: dict[int, E], member: E) -> Any:
    return next(number for number, known in members.items() if known is member)


def _member(members: dict[int, E], number: int, default: E | None, path: str) -> E:
    member = members.get(number, default if number == 0 else None)
    if member is None:
        raise bad_schema(path, "is missing" if number == 0 else f"is {number}, which is unknown")
    return member
