from . import common_pb2 as _common_pb2
from . import filter_pb2 as _filter_pb2
from . import formula_pb2 as _formula_pb2
from . import ranking_pb2 as _ranking_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WriteMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WRITE_MODE_UNSPECIFIED: _ClassVar[WriteMode]
    WRITE_MODE_UPSERT: _ClassVar[WriteMode]
    WRITE_MODE_INSERT_ONLY: _ClassVar[WriteMode]
    WRITE_MODE_UPDATE_ONLY: _ClassVar[WriteMode]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_FSYNC: _ClassVar[Durability]
    DURABILITY_OS: _ClassVar[Durability]

class WriteWait(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WRITE_WAIT_UNSPECIFIED: _ClassVar[WriteWait]
    WRITE_WAIT_VISIBLE: _ClassVar[WriteWait]
    WRITE_WAIT_INDEXED: _ClassVar[WriteWait]
WRITE_MODE_UNSPECIFIED: WriteMode
WRITE_MODE_UPSERT: WriteMode
WRITE_MODE_INSERT_ONLY: WriteMode
WRITE_MODE_UPDATE_ONLY: WriteMode
DURABILITY_UNSPECIFIED: Durability
DURABILITY_FSYNC: Durability
DURABILITY_OS: Durability
WRITE_WAIT_UNSPECIFIED: WriteWait
WRITE_WAIT_VISIBLE: WriteWait
WRITE_WAIT_INDEXED: WriteWait

class Point(_message.Message):
    __slots__ = ("id", "vectors", "payload", "payload_json", "seq")
    class VectorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Vector
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Vector, _Mapping]] = ...) -> None: ...
    class PayloadEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    id: _common_pb2.PointId
    vectors: _containers.MessageMap[str, _common_pb2.Vector]
    payload: _containers.MessageMap[str, _common_pb2.Value]
    payload_json: bytes
    seq: int
    def __init__(self, id: _Optional[_Union[_common_pb2.PointId, _Mapping]] = ..., vectors: _Optional[_Mapping[str, _common_pb2.Vector]] = ..., payload: _Optional[_Mapping[str, _common_pb2.Value]] = ..., payload_json: _Optional[bytes] = ..., seq: _Optional[int] = ...) -> None: ...

class PointBatch(_message.Message):
    __slots__ = ("ids", "vectors", "payload_json")
    class VectorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.VectorColumn
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.VectorColumn, _Mapping]] = ...) -> None: ...
    IDS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    ids: _common_pb2.IdColumn
    vectors: _containers.MessageMap[str, _common_pb2.VectorColumn]
    payload_json: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, ids: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., vectors: _Optional[_Mapping[str, _common_pb2.VectorColumn]] = ..., payload_json: _Optional[_Iterable[bytes]] = ...) -> None: ...

class IfMatch(_message.Message):
    __slots__ = ("filter", "seqs", "fail")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SEQS_FIELD_NUMBER: _ClassVar[int]
    FAIL_FIELD_NUMBER: _ClassVar[int]
    filter: _filter_pb2.Filter
    seqs: _containers.RepeatedScalarFieldContainer[int]
    fail: bool
    def __init__(self, filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., seqs: _Optional[_Iterable[int]] = ..., fail: _Optional[bool] = ...) -> None: ...

class UpsertRequest(_message.Message):
    __slots__ = ("collection", "points", "batch", "mode", "durability", "if_match", "idempotency_key", "wait")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    points: _containers.RepeatedCompositeFieldContainer[Point]
    batch: PointBatch
    mode: WriteMode
    durability: Durability
    if_match: IfMatch
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., batch: _Optional[_Union[PointBatch, _Mapping]] = ..., mode: _Optional[_Union[WriteMode, str]] = ..., durability: _Optional[_Union[Durability, str]] = ..., if_match: _Optional[_Union[IfMatch, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class WriteResponse(_message.Message):
    __slots__ = ("seq", "changed", "skipped", "operations", "collection")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    seq: int
    changed: int
    skipped: int
    operations: _containers.RepeatedCompositeFieldContainer[WriteResponse]
    collection: str
    def __init__(self, seq: _Optional[int] = ..., changed: _Optional[int] = ..., skipped: _Optional[int] = ..., operations: _Optional[_Iterable[_Union[WriteResponse, _Mapping]]] = ..., collection: _Optional[str] = ...) -> None: ...

class UpsertStreamResponse(_message.Message):
    __slots__ = ("batch", "result")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    batch: int
    result: WriteResponse
    def __init__(self, batch: _Optional[int] = ..., result: _Optional[_Union[WriteResponse, _Mapping]] = ...) -> None: ...

class GetPointsRequest(_message.Message):
    __slots__ = ("collection", "ids", "id_column", "with_payload", "with_vectors", "payload_encoding", "min_seq", "min_seqs")
    class MinSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ID_COLUMN_FIELD_NUMBER: _ClassVar[int]
    WITH_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    WITH_VECTORS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_ENCODING_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQ_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[_common_pb2.PointId]
    id_column: _common_pb2.IdColumn
    with_payload: _common_pb2.Selector
    with_vectors: _common_pb2.Selector
    payload_encoding: _common_pb2.PayloadEncoding
    min_seq: int
    min_seqs: _containers.ScalarMap[str, int]
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[_common_pb2.PointId, _Mapping]]] = ..., id_column: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., with_payload: _Optional[_Union[_common_pb2.Selector, _Mapping]] = ..., with_vectors: _Optional[_Union[_common_pb2.Selector, _Mapping]] = ..., payload_encoding: _Optional[_Union[_common_pb2.PayloadEncoding, str]] = ..., min_seq: _Optional[int] = ..., min_seqs: _Optional[_Mapping[str, int]] = ...) -> None: ...

class GetPointsResponse(_message.Message):
    __slots__ = ("points", "seq")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    seq: int
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., seq: _Optional[int] = ...) -> None: ...

class DeletePointsRequest(_message.Message):
    __slots__ = ("collection", "ids", "id_column", "filter", "durability", "if_match", "idempotency_key", "wait")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ID_COLUMN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[_common_pb2.PointId]
    id_column: _common_pb2.IdColumn
    filter: _filter_pb2.Filter
    durability: Durability
    if_match: IfMatch
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[_common_pb2.PointId, _Mapping]]] = ..., id_column: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., if_match: _Optional[_Union[IfMatch, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class ScrollRequest(_message.Message):
    __slots__ = ("collection", "filter", "limit", "after", "with_payload", "with_vectors", "payload_encoding", "min_seq", "min_seqs")
    class MinSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    WITH_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    WITH_VECTORS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_ENCODING_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQ_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    filter: _filter_pb2.Filter
    limit: int
    after: _common_pb2.PointId
    with_payload: _common_pb2.Selector
    with_vectors: _common_pb2.Selector
    payload_encoding: _common_pb2.PayloadEncoding
    min_seq: int
    min_seqs: _containers.ScalarMap[str, int]
    def __init__(self, collection: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., limit: _Optional[int] = ..., after: _Optional[_Union[_common_pb2.PointId, _Mapping]] = ..., with_payload: _Optional[_Union[_common_pb2.Selector, _Mapping]] = ..., with_vectors: _Optional[_Union[_common_pb2.Selector, _Mapping]] = ..., payload_encoding: _Optional[_Union[_common_pb2.PayloadEncoding, str]] = ..., min_seq: _Optional[int] = ..., min_seqs: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ScrollResponse(_message.Message):
    __slots__ = ("points", "next_after", "seq", "collection")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    next_after: _common_pb2.PointId
    seq: int
    collection: str
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., next_after: _Optional[_Union[_common_pb2.PointId, _Mapping]] = ..., seq: _Optional[int] = ..., collection: _Optional[str] = ...) -> None: ...

class CountRequest(_message.Message):
    __slots__ = ("collection", "filter", "min_seq", "min_seqs")
    class MinSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQ_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    filter: _filter_pb2.Filter
    min_seq: int
    min_seqs: _containers.ScalarMap[str, int]
    def __init__(self, collection: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., min_seq: _Optional[int] = ..., min_seqs: _Optional[_Mapping[str, int]] = ...) -> None: ...

class CountResponse(_message.Message):
    __slots__ = ("count", "seq")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    count: int
    seq: int
    def __init__(self, count: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...

class FacetRequest(_message.Message):
    __slots__ = ("collection", "key", "filter", "limit", "min_seq", "min_seqs")
    class MinSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQ_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    key: str
    filter: _filter_pb2.Filter
    limit: int
    min_seq: int
    min_seqs: _containers.ScalarMap[str, int]
    def __init__(self, collection: _Optional[str] = ..., key: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., limit: _Optional[int] = ..., min_seq: _Optional[int] = ..., min_seqs: _Optional[_Mapping[str, int]] = ...) -> None: ...

class FacetCount(_message.Message):
    __slots__ = ("value", "count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    value: _common_pb2.Value
    count: int
    def __init__(self, value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class FacetResponse(_message.Message):
    __slots__ = ("counts", "seq")
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedCompositeFieldContainer[FacetCount]
    seq: int
    def __init__(self, counts: _Optional[_Iterable[_Union[FacetCount, _Mapping]]] = ..., seq: _Optional[int] = ...) -> None: ...

class DistanceMatrixRequest(_message.Message):
    __slots__ = ("collection", "using", "ids", "filter", "sample", "seed", "min_seq", "timeout_ms", "min_seqs")
    class MinSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    USING_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQ_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    using: str
    ids: _common_pb2.IdColumn
    filter: _filter_pb2.Filter
    sample: int
    seed: int
    min_seq: int
    timeout_ms: int
    min_seqs: _containers.ScalarMap[str, int]
    def __init__(self, collection: _Optional[str] = ..., using: _Optional[str] = ..., ids: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., sample: _Optional[int] = ..., seed: _Optional[int] = ..., min_seq: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., min_seqs: _Optional[_Mapping[str, int]] = ...) -> None: ...

class DistanceMatrixResponse(_message.Message):
    __slots__ = ("ids", "scores", "seq")
    IDS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ids: _common_pb2.IdColumn
    scores: bytes
    seq: int
    def __init__(self, ids: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., scores: _Optional[bytes] = ..., seq: _Optional[int] = ...) -> None: ...

class SetPayloadRequest(_message.Message):
    __slots__ = ("collection", "ids", "id_column", "filter", "durability", "payload", "payload_json", "if_match", "idempotency_key", "wait")
    class PayloadEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ID_COLUMN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[_common_pb2.PointId]
    id_column: _common_pb2.IdColumn
    filter: _filter_pb2.Filter
    durability: Durability
    payload: _containers.MessageMap[str, _common_pb2.Value]
    payload_json: bytes
    if_match: IfMatch
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[_common_pb2.PointId, _Mapping]]] = ..., id_column: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., payload: _Optional[_Mapping[str, _common_pb2.Value]] = ..., payload_json: _Optional[bytes] = ..., if_match: _Optional[_Union[IfMatch, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class DeletePayloadRequest(_message.Message):
    __slots__ = ("collection", "ids", "id_column", "filter", "durability", "keys", "if_match", "idempotency_key", "wait")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ID_COLUMN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[_common_pb2.PointId]
    id_column: _common_pb2.IdColumn
    filter: _filter_pb2.Filter
    durability: Durability
    keys: _containers.RepeatedScalarFieldContainer[str]
    if_match: IfMatch
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[_common_pb2.PointId, _Mapping]]] = ..., id_column: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., keys: _Optional[_Iterable[str]] = ..., if_match: _Optional[_Union[IfMatch, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class ClearPayloadRequest(_message.Message):
    __slots__ = ("collection", "ids", "id_column", "filter", "durability", "if_match", "idempotency_key", "wait")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ID_COLUMN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[_common_pb2.PointId]
    id_column: _common_pb2.IdColumn
    filter: _filter_pb2.Filter
    durability: Durability
    if_match: IfMatch
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[_common_pb2.PointId, _Mapping]]] = ..., id_column: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., if_match: _Optional[_Union[IfMatch, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class UpdateVectorsRequest(_message.Message):
    __slots__ = ("collection", "points", "batch", "durability", "if_match", "idempotency_key", "wait")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    points: _containers.RepeatedCompositeFieldContainer[Point]
    batch: PointBatch
    durability: Durability
    if_match: IfMatch
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., batch: _Optional[_Union[PointBatch, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., if_match: _Optional[_Union[IfMatch, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class DeleteVectorsRequest(_message.Message):
    __slots__ = ("collection", "ids", "id_column", "filter", "durability", "names", "if_match", "idempotency_key", "wait")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ID_COLUMN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[_common_pb2.PointId]
    id_column: _common_pb2.IdColumn
    filter: _filter_pb2.Filter
    durability: Durability
    names: _containers.RepeatedScalarFieldContainer[str]
    if_match: IfMatch
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[_common_pb2.PointId, _Mapping]]] = ..., id_column: _Optional[_Union[_common_pb2.IdColumn, _Mapping]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., names: _Optional[_Iterable[str]] = ..., if_match: _Optional[_Union[IfMatch, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class UpdateOperation(_message.Message):
    __slots__ = ("upsert", "delete", "set_payload", "overwrite_payload", "delete_payload", "clear_payload", "update_vectors", "delete_vectors")
    UPSERT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    SET_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DELETE_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CLEAR_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    UPDATE_VECTORS_FIELD_NUMBER: _ClassVar[int]
    DELETE_VECTORS_FIELD_NUMBER: _ClassVar[int]
    upsert: UpsertRequest
    delete: DeletePointsRequest
    set_payload: SetPayloadRequest
    overwrite_payload: SetPayloadRequest
    delete_payload: DeletePayloadRequest
    clear_payload: ClearPayloadRequest
    update_vectors: UpdateVectorsRequest
    delete_vectors: DeleteVectorsRequest
    def __init__(self, upsert: _Optional[_Union[UpsertRequest, _Mapping]] = ..., delete: _Optional[_Union[DeletePointsRequest, _Mapping]] = ..., set_payload: _Optional[_Union[SetPayloadRequest, _Mapping]] = ..., overwrite_payload: _Optional[_Union[SetPayloadRequest, _Mapping]] = ..., delete_payload: _Optional[_Union[DeletePayloadRequest, _Mapping]] = ..., clear_payload: _Optional[_Union[ClearPayloadRequest, _Mapping]] = ..., update_vectors: _Optional[_Union[UpdateVectorsRequest, _Mapping]] = ..., delete_vectors: _Optional[_Union[DeleteVectorsRequest, _Mapping]] = ...) -> None: ...

class UpdateBatchRequest(_message.Message):
    __slots__ = ("collection", "operations", "durability", "idempotency_key", "wait")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    operations: _containers.RepeatedCompositeFieldContainer[UpdateOperation]
    durability: Durability
    idempotency_key: str
    wait: WriteWait
    def __init__(self, collection: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[UpdateOperation, _Mapping]]] = ..., durability: _Optional[_Union[Durability, str]] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[WriteWait, str]] = ...) -> None: ...

class SearchParams(_message.Message):
    __slots__ = ("nprobe", "oversampling", "rescore", "exact", "truncate_dim", "recall_target", "ef", "block_factor", "indexed_only", "allow_partial")
    NPROBE_FIELD_NUMBER: _ClassVar[int]
    OVERSAMPLING_FIELD_NUMBER: _ClassVar[int]
    RESCORE_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_DIM_FIELD_NUMBER: _ClassVar[int]
    RECALL_TARGET_FIELD_NUMBER: _ClassVar[int]
    EF_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FACTOR_FIELD_NUMBER: _ClassVar[int]
    INDEXED_ONLY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    nprobe: int
    oversampling: float
    rescore: bool
    exact: bool
    truncate_dim: int
    recall_target: float
    ef: int
    block_factor: float
    indexed_only: bool
    allow_partial: bool
    def __init__(self, nprobe: _Optional[int] = ..., oversampling: _Optional[float] = ..., rescore: _Optional[bool] = ..., exact: _Optional[bool] = ..., truncate_dim: _Optional[int] = ..., recall_target: _Optional[float] = ..., ef: _Optional[int] = ..., block_factor: _Optional[float] = ..., indexed_only: _Optional[bool] = ..., allow_partial: _Optional[bool] = ...) -> None: ...

class Fusion(_message.Message):
    __slots__ = ("rrf", "dbsf", "relative", "weights")
    RRF_FIELD_NUMBER: _ClassVar[int]
    DBSF_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    rrf: ReciprocalRank
    dbsf: ScoreDistribution
    relative: RelativeScore
    weights: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, rrf: _Optional[_Union[ReciprocalRank, _Mapping]] = ..., dbsf: _Optional[_Union[ScoreDistribution, _Mapping]] = ..., relative: _Optional[_Union[RelativeScore, _Mapping]] = ..., weights: _Optional[_Iterable[float]] = ...) -> None: ...

class ReciprocalRank(_message.Message):
    __slots__ = ("k", "weigh_ranks")
    K_FIELD_NUMBER: _ClassVar[int]
    WEIGH_RANKS_FIELD_NUMBER: _ClassVar[int]
    k: int
    weigh_ranks: bool
    def __init__(self, k: _Optional[int] = ..., weigh_ranks: _Optional[bool] = ...) -> None: ...

class ScoreDistribution(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RelativeScore(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Diversity(_message.Message):
    __slots__ = ("diversity", "candidates")
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    diversity: float
    candidates: int
    def __init__(self, diversity: _Optional[float] = ..., candidates: _Optional[int] = ...) -> None: ...

class Prefetch(_message.Message):
    __slots__ = ("nearest", "fusion", "nearest_id", "recommend", "discover", "order_by", "sample", "formula", "using", "filter", "limit", "score_threshold", "params", "prefetch")
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    NEAREST_ID_FIELD_NUMBER: _ClassVar[int]
    RECOMMEND_FIELD_NUMBER: _ClassVar[int]
    DISCOVER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    FORMULA_FIELD_NUMBER: _ClassVar[int]
    USING_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    nearest: _common_pb2.Vector
    fusion: Fusion
    nearest_id: _common_pb2.PointId
    recommend: _ranking_pb2.Recommend
    discover: _ranking_pb2.Discover
    order_by: _ranking_pb2.OrderBy
    sample: _ranking_pb2.Sample
    formula: _formula_pb2.Expression
    using: str
    filter: _filter_pb2.Filter
    limit: int
    score_threshold: float
    params: SearchParams
    prefetch: _containers.RepeatedCompositeFieldContainer[Prefetch]
    def __init__(self, nearest: _Optional[_Union[_common_pb2.Vector, _Mapping]] = ..., fusion: _Optional[_Union[Fusion, _Mapping]] = ..., nearest_id: _Optional[_Union[_common_pb2.PointId, _Mapping]] = ..., recommend: _Optional[_Union[_ranking_pb2.Recommend, _Mapping]] = ..., discover: _Optional[_Union[_ranking_pb2.Discover, _Mapping]] = ..., order_by: _Optional[_Union[_ranking_pb2.OrderBy, _Mapping]] = ..., sample: _Optional[_Union[_ranking_pb2.Sample, _Mapping]] = ..., formula: _Optional[_Union[_formula_pb2.Expression, _Mapping]] = ..., using: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., limit: _Optional[int] = ..., score_threshold: _Optional[float] = ..., params: _Optional[_Union[SearchParams, _Mapping]] = ..., prefetch: _Optional[_Iterable[_Union[Prefetch, _Mapping]]] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("collection", "nearest", "fusion", "nearest_id", "recommend", "discover", "order_by", "sample", "formula", "using", "filter", "limit", "offset", "score_threshold", "with_payload", "with_vectors", "payload_encoding", "min_seq", "timeout_ms", "explain", "params", "prefetch", "mmr", "min_seqs")
    class MinSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    NEAREST_ID_FIELD_NUMBER: _ClassVar[int]
    RECOMMEND_FIELD_NUMBER: _ClassVar[int]
    DISCOVER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    FORMULA_FIELD_NUMBER: _ClassVar[int]
    USING_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    WITH_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    WITH_VECTORS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_ENCODING_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQ_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    MMR_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    nearest: _common_pb2.Vector
    fusion: Fusion
    nearest_id: _common_pb2.PointId
    recommend: _ranking_pb2.Recommend
    discover: _ranking_pb2.Discover
    order_by: _ranking_pb2.OrderBy
    sample: _ranking_pb2.Sample
    formula: _formula_pb2.Expression
    using: str
    filter: _filter_pb2.Filter
    limit: int
    offset: int
    score_threshold: float
    with_payload: _common_pb2.Selector
    with_vectors: _common_pb2.Selector
    payload_encoding: _common_pb2.PayloadEncoding
    min_seq: int
    timeout_ms: int
    explain: bool
    params: SearchParams
    prefetch: _containers.RepeatedCompositeFieldContainer[Prefetch]
    mmr: Diversity
    min_seqs: _containers.ScalarMap[str, int]
    def __init__(self, collection: _Optional[str] = ..., nearest: _Optional[_Union[_common_pb2.Vector, _Mapping]] = ..., fusion: _Optional[_Union[Fusion, _Mapping]] = ..., nearest_id: _Optional[_Union[_common_pb2.PointId, _Mapping]] = ..., recommend: _Optional[_Union[_ranking_pb2.Recommend, _Mapping]] = ..., discover: _Optional[_Union[_ranking_pb2.Discover, _Mapping]] = ..., order_by: _Optional[_Union[_ranking_pb2.OrderBy, _Mapping]] = ..., sample: _Optional[_Union[_ranking_pb2.Sample, _Mapping]] = ..., formula: _Optional[_Union[_formula_pb2.Expression, _Mapping]] = ..., using: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., score_threshold: _Optional[float] = ..., with_payload: _Optional[_Union[_common_pb2.Selector, _Mapping]] = ..., with_vectors: _Optional[_Union[_common_pb2.Selector, _Mapping]] = ..., payload_encoding: _Optional[_Union[_common_pb2.PayloadEncoding, str]] = ..., min_seq: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., explain: _Optional[bool] = ..., params: _Optional[_Union[SearchParams, _Mapping]] = ..., prefetch: _Optional[_Iterable[_Union[Prefetch, _Mapping]]] = ..., mmr: _Optional[_Union[Diversity, _Mapping]] = ..., min_seqs: _Optional[_Mapping[str, int]] = ...) -> None: ...

class LegScore(_message.Message):
    __slots__ = ("prefetch", "score")
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    prefetch: int
    score: float
    def __init__(self, prefetch: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class ScoredPoint(_message.Message):
    __slots__ = ("id", "score", "seq", "payload", "payload_json", "vectors", "legs")
    class PayloadEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    class VectorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Vector
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Vector, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    id: _common_pb2.PointId
    score: float
    seq: int
    payload: _containers.MessageMap[str, _common_pb2.Value]
    payload_json: bytes
    vectors: _containers.MessageMap[str, _common_pb2.Vector]
    legs: _containers.RepeatedCompositeFieldContainer[LegScore]
    def __init__(self, id: _Optional[_Union[_common_pb2.PointId, _Mapping]] = ..., score: _Optional[float] = ..., seq: _Optional[int] = ..., payload: _Optional[_Mapping[str, _common_pb2.Value]] = ..., payload_json: _Optional[bytes] = ..., vectors: _Optional[_Mapping[str, _common_pb2.Vector]] = ..., legs: _Optional[_Iterable[_Union[LegScore, _Mapping]]] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("est_recall", "complete", "strategy", "basis", "skipped_segments", "skipped_points", "timed_out")
    EST_RECALL_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_POINTS_FIELD_NUMBER: _ClassVar[int]
    TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    est_recall: float
    complete: bool
    strategy: str
    basis: str
    skipped_segments: int
    skipped_points: int
    timed_out: bool
    def __init__(self, est_recall: _Optional[float] = ..., complete: _Optional[bool] = ..., strategy: _Optional[str] = ..., basis: _Optional[str] = ..., skipped_segments: _Optional[int] = ..., skipped_points: _Optional[int] = ..., timed_out: _Optional[bool] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("time_us", "queries", "segments", "rows_scored")
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    ROWS_SCORED_FIELD_NUMBER: _ClassVar[int]
    time_us: int
    queries: int
    segments: int
    rows_scored: int
    def __init__(self, time_us: _Optional[int] = ..., queries: _Optional[int] = ..., segments: _Optional[int] = ..., rows_scored: _Optional[int] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("points", "seq", "explain", "quality", "usage")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[ScoredPoint]
    seq: int
    explain: _common_pb2.MapValue
    quality: Quality
    usage: Usage
    def __init__(self, points: _Optional[_Iterable[_Union[ScoredPoint, _Mapping]]] = ..., seq: _Optional[int] = ..., explain: _Optional[_Union[_common_pb2.MapValue, _Mapping]] = ..., quality: _Optional[_Union[Quality, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class QueryGroupsRequest(_message.Message):
    __slots__ = ("query", "group_by", "group_size")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    GROUP_SIZE_FIELD_NUMBER: _ClassVar[int]
    query: QueryRequest
    group_by: str
    group_size: int
    def __init__(self, query: _Optional[_Union[QueryRequest, _Mapping]] = ..., group_by: _Optional[str] = ..., group_size: _Optional[int] = ...) -> None: ...

class PointGroup(_message.Message):
    __slots__ = ("value", "points")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    value: _common_pb2.Value
    points: _containers.RepeatedCompositeFieldContainer[ScoredPoint]
    def __init__(self, value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ..., points: _Optional[_Iterable[_Union[ScoredPoint, _Mapping]]] = ...) -> None: ...

class QueryGroupsResponse(_message.Message):
    __slots__ = ("groups", "seq", "explain", "quality", "usage")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[PointGroup]
    seq: int
    explain: _common_pb2.MapValue
    quality: Quality
    usage: Usage
    def __init__(self, groups: _Optional[_Iterable[_Union[PointGroup, _Mapping]]] = ..., seq: _Optional[int] = ..., explain: _Optional[_Union[_common_pb2.MapValue, _Mapping]] = ..., quality: _Optional[_Union[Quality, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class WhyNotRequest(_message.Message):
    __slots__ = ("query", "id")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    query: QueryRequest
    id: _common_pb2.PointId
    def __init__(self, query: _Optional[_Union[QueryRequest, _Mapping]] = ..., id: _Optional[_Union[_common_pb2.PointId, _Mapping]] = ...) -> None: ...

class WhyNotResponse(_message.Message):
    __slots__ = ("report", "seq")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    report: _common_pb2.MapValue
    seq: int
    def __init__(self, report: _Optional[_Union[_common_pb2.MapValue, _Mapping]] = ..., seq: _Optional[int] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("query", "analyze")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ANALYZE_FIELD_NUMBER: _ClassVar[int]
    query: QueryRequest
    analyze: bool
    def __init__(self, query: _Optional[_Union[QueryRequest, _Mapping]] = ..., analyze: _Optional[bool] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("explained",)
    EXPLAINED_FIELD_NUMBER: _ClassVar[int]
    explained: _common_pb2.MapValue
    def __init__(self, explained: _Optional[_Union[_common_pb2.MapValue, _Mapping]] = ...) -> None: ...

class QueryBatchRequest(_message.Message):
    __slots__ = ("queries",)
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[QueryRequest]
    def __init__(self, queries: _Optional[_Iterable[_Union[QueryRequest, _Mapping]]] = ...) -> None: ...

class QueryBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[QueryResponse]
    def __init__(self, results: _Optional[_Iterable[_Union[QueryResponse, _Mapping]]] = ...) -> None: ...

class QueryStreamRequest(_message.Message):
    __slots__ = ("tag", "query")
    TAG_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    tag: int
    query: QueryRequest
    def __init__(self, tag: _Optional[int] = ..., query: _Optional[_Union[QueryRequest, _Mapping]] = ...) -> None: ...

class StreamError(_message.Message):
    __slots__ = ("code", "reason", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class QueryStreamResponse(_message.Message):
    __slots__ = ("tag", "result", "error")
    TAG_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tag: int
    result: QueryResponse
    error: StreamError
    def __init__(self, tag: _Optional[int] = ..., result: _Optional[_Union[QueryResponse, _Mapping]] = ..., error: _Optional[_Union[StreamError, _Mapping]] = ...) -> None: ...
