from google.protobuf import field_mask_pb2 as _field_mask_pb2
from . import aliases_pb2 as _aliases_pb2
from . import common_pb2 as _common_pb2
from . import operations_pb2 as _operations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VectorKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VECTOR_KIND_UNSPECIFIED: _ClassVar[VectorKind]
    VECTOR_KIND_DENSE: _ClassVar[VectorKind]
    VECTOR_KIND_BINARY: _ClassVar[VectorKind]
    VECTOR_KIND_SPARSE: _ClassVar[VectorKind]
    VECTOR_KIND_TEXT: _ClassVar[VectorKind]
    VECTOR_KIND_MULTI: _ClassVar[VectorKind]

class Metric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METRIC_UNSPECIFIED: _ClassVar[Metric]
    METRIC_COSINE: _ClassVar[Metric]
    METRIC_DOT: _ClassVar[Metric]
    METRIC_L2: _ClassVar[Metric]
    METRIC_HAMMING: _ClassVar[Metric]
    METRIC_BM25: _ClassVar[Metric]
    METRIC_MAXSIM: _ClassVar[Metric]

class FieldKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIELD_KIND_UNSPECIFIED: _ClassVar[FieldKind]
    FIELD_KIND_KEYWORD: _ClassVar[FieldKind]
    FIELD_KIND_INTEGER: _ClassVar[FieldKind]
    FIELD_KIND_FLOAT: _ClassVar[FieldKind]
    FIELD_KIND_BOOL: _ClassVar[FieldKind]
    FIELD_KIND_DATETIME: _ClassVar[FieldKind]
    FIELD_KIND_TEXT: _ClassVar[FieldKind]
VECTOR_KIND_UNSPECIFIED: VectorKind
VECTOR_KIND_DENSE: VectorKind
VECTOR_KIND_BINARY: VectorKind
VECTOR_KIND_SPARSE: VectorKind
VECTOR_KIND_TEXT: VectorKind
VECTOR_KIND_MULTI: VectorKind
METRIC_UNSPECIFIED: Metric
METRIC_COSINE: Metric
METRIC_DOT: Metric
METRIC_L2: Metric
METRIC_HAMMING: Metric
METRIC_BM25: Metric
METRIC_MAXSIM: Metric
FIELD_KIND_UNSPECIFIED: FieldKind
FIELD_KIND_KEYWORD: FieldKind
FIELD_KIND_INTEGER: FieldKind
FIELD_KIND_FLOAT: FieldKind
FIELD_KIND_BOOL: FieldKind
FIELD_KIND_DATETIME: FieldKind
FIELD_KIND_TEXT: FieldKind

class Analysis(_message.Message):
    __slots__ = ("language", "stop_words", "k1", "b")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    STOP_WORDS_FIELD_NUMBER: _ClassVar[int]
    K1_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    language: str
    stop_words: bool
    k1: float
    b: float
    def __init__(self, language: _Optional[str] = ..., stop_words: _Optional[bool] = ..., k1: _Optional[float] = ..., b: _Optional[float] = ...) -> None: ...

class VectorField(_message.Message):
    __slots__ = ("kind", "dim", "metric", "datatype", "index", "analysis", "embedder", "fingerprint", "device", "search")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIM_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    kind: VectorKind
    dim: int
    metric: Metric
    datatype: _common_pb2.DataType
    index: str
    analysis: Analysis
    embedder: str
    fingerprint: str
    device: str
    search: SearchDefaults
    def __init__(self, kind: _Optional[_Union[VectorKind, str]] = ..., dim: _Optional[int] = ..., metric: _Optional[_Union[Metric, str]] = ..., datatype: _Optional[_Union[_common_pb2.DataType, str]] = ..., index: _Optional[str] = ..., analysis: _Optional[_Union[Analysis, _Mapping]] = ..., embedder: _Optional[str] = ..., fingerprint: _Optional[str] = ..., device: _Optional[str] = ..., search: _Optional[_Union[SearchDefaults, _Mapping]] = ...) -> None: ...

class SearchDefaults(_message.Message):
    __slots__ = ("recall", "ef", "nprobe", "oversampling", "block_factor")
    RECALL_FIELD_NUMBER: _ClassVar[int]
    EF_FIELD_NUMBER: _ClassVar[int]
    NPROBE_FIELD_NUMBER: _ClassVar[int]
    OVERSAMPLING_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FACTOR_FIELD_NUMBER: _ClassVar[int]
    recall: float
    ef: int
    nprobe: int
    oversampling: float
    block_factor: float
    def __init__(self, recall: _Optional[float] = ..., ef: _Optional[int] = ..., nprobe: _Optional[int] = ..., oversampling: _Optional[float] = ..., block_factor: _Optional[float] = ...) -> None: ...

class Schema(_message.Message):
    __slots__ = ("vectors", "fields", "metadata")
    class VectorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: VectorField
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[VectorField, _Mapping]] = ...) -> None: ...
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FieldKind
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FieldKind, str]] = ...) -> None: ...
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    vectors: _containers.MessageMap[str, VectorField]
    fields: _containers.ScalarMap[str, FieldKind]
    metadata: _containers.MessageMap[str, _common_pb2.Value]
    def __init__(self, vectors: _Optional[_Mapping[str, VectorField]] = ..., fields: _Optional[_Mapping[str, FieldKind]] = ..., metadata: _Optional[_Mapping[str, _common_pb2.Value]] = ...) -> None: ...

class CollectionInfo(_message.Message):
    __slots__ = ("name", "schema", "seq", "points", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    schema: Schema
    seq: int
    points: int
    version: int
    def __init__(self, name: _Optional[str] = ..., schema: _Optional[_Union[Schema, _Mapping]] = ..., seq: _Optional[int] = ..., points: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class TuneRequest(_message.Message):
    __slots__ = ("collection", "using", "queries")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    USING_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    collection: str
    using: str
    queries: _containers.RepeatedCompositeFieldContainer[_common_pb2.Vector]
    def __init__(self, collection: _Optional[str] = ..., using: _Optional[str] = ..., queries: _Optional[_Iterable[_Union[_common_pb2.Vector, _Mapping]]] = ...) -> None: ...

class CreateCollectionRequest(_message.Message):
    __slots__ = ("name", "schema", "exist_ok")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    EXIST_OK_FIELD_NUMBER: _ClassVar[int]
    name: str
    schema: Schema
    exist_ok: bool
    def __init__(self, name: _Optional[str] = ..., schema: _Optional[_Union[Schema, _Mapping]] = ..., exist_ok: _Optional[bool] = ...) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UpdateCollectionRequest(_message.Message):
    __slots__ = ("name", "schema", "update_mask", "if_version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    schema: Schema
    update_mask: _field_mask_pb2.FieldMask
    if_version: int
    def __init__(self, name: _Optional[str] = ..., schema: _Optional[_Union[Schema, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., if_version: _Optional[int] = ...) -> None: ...

class UpdateCollectionResponse(_message.Message):
    __slots__ = ("collection", "operation")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    collection: CollectionInfo
    operation: _operations_pb2.Operation
    def __init__(self, collection: _Optional[_Union[CollectionInfo, _Mapping]] = ..., operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections",)
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[CollectionInfo]
    def __init__(self, collections: _Optional[_Iterable[_Union[CollectionInfo, _Mapping]]] = ...) -> None: ...

class DeleteCollectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCollectionResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: _Optional[bool] = ...) -> None: ...

class CollectionExistsRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CollectionExistsResponse(_message.Message):
    __slots__ = ("exists",)
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    def __init__(self, exists: _Optional[bool] = ...) -> None: ...

class CreateFieldIndexRequest(_message.Message):
    __slots__ = ("collection", "key", "kind")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    collection: str
    key: str
    kind: FieldKind
    def __init__(self, collection: _Optional[str] = ..., key: _Optional[str] = ..., kind: _Optional[_Union[FieldKind, str]] = ...) -> None: ...

class UpdateIndexRequest(_message.Message):
    __slots__ = ("collection", "vector", "index")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    collection: str
    vector: str
    index: str
    def __init__(self, collection: _Optional[str] = ..., vector: _Optional[str] = ..., index: _Optional[str] = ...) -> None: ...

class DeleteFieldIndexRequest(_message.Message):
    __slots__ = ("collection", "key")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    key: str
    def __init__(self, collection: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class DeleteFieldIndexResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: _Optional[bool] = ...) -> None: ...

class CollectionStatsRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class CollectionStatsResponse(_message.Message):
    __slots__ = ("stats",)
    class StatsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    STATS_FIELD_NUMBER: _ClassVar[int]
    stats: _containers.MessageMap[str, _common_pb2.Value]
    def __init__(self, stats: _Optional[_Mapping[str, _common_pb2.Value]] = ...) -> None: ...

class EstimateRequest(_message.Message):
    __slots__ = ("collection", "schema", "points", "entries", "terms", "payload_bytes", "id_bytes")
    class EntriesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class TermsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    ID_BYTES_FIELD_NUMBER: _ClassVar[int]
    collection: str
    schema: Schema
    points: int
    entries: _containers.ScalarMap[str, float]
    terms: _containers.ScalarMap[str, int]
    payload_bytes: float
    id_bytes: float
    def __init__(self, collection: _Optional[str] = ..., schema: _Optional[_Union[Schema, _Mapping]] = ..., points: _Optional[int] = ..., entries: _Optional[_Mapping[str, float]] = ..., terms: _Optional[_Mapping[str, int]] = ..., payload_bytes: _Optional[float] = ..., id_bytes: _Optional[float] = ...) -> None: ...

class EstimateResponse(_message.Message):
    __slots__ = ("estimate",)
    class EstimateEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    estimate: _containers.MessageMap[str, _common_pb2.Value]
    def __init__(self, estimate: _Optional[_Mapping[str, _common_pb2.Value]] = ...) -> None: ...

class CompactCollectionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class InfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InfoResponse(_message.Message):
    __slots__ = ("info",)
    class InfoEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: _containers.MessageMap[str, _common_pb2.Value]
    def __init__(self, info: _Optional[_Mapping[str, _common_pb2.Value]] = ...) -> None: ...
