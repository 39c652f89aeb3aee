from . import filter_pb2 as _filter_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Operator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATOR_UNSPECIFIED: _ClassVar[Operator]
    OPERATOR_ADD: _ClassVar[Operator]
    OPERATOR_MUL: _ClassVar[Operator]
    OPERATOR_MIN: _ClassVar[Operator]
    OPERATOR_MAX: _ClassVar[Operator]
    OPERATOR_SUB: _ClassVar[Operator]
    OPERATOR_DIV: _ClassVar[Operator]
    OPERATOR_POW: _ClassVar[Operator]
    OPERATOR_NEG: _ClassVar[Operator]
    OPERATOR_ABS: _ClassVar[Operator]
    OPERATOR_SQRT: _ClassVar[Operator]
    OPERATOR_EXP: _ClassVar[Operator]
    OPERATOR_LOG: _ClassVar[Operator]
    OPERATOR_LOG10: _ClassVar[Operator]
    OPERATOR_LT: _ClassVar[Operator]
    OPERATOR_LTE: _ClassVar[Operator]
    OPERATOR_GT: _ClassVar[Operator]
    OPERATOR_GTE: _ClassVar[Operator]
    OPERATOR_EQ: _ClassVar[Operator]
    OPERATOR_NE: _ClassVar[Operator]
    OPERATOR_WHERE: _ClassVar[Operator]

class DecayKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECAY_KIND_UNSPECIFIED: _ClassVar[DecayKind]
    DECAY_KIND_EXP: _ClassVar[DecayKind]
    DECAY_KIND_GAUSS: _ClassVar[DecayKind]
    DECAY_KIND_LINEAR: _ClassVar[DecayKind]
OPERATOR_UNSPECIFIED: Operator
OPERATOR_ADD: Operator
OPERATOR_MUL: Operator
OPERATOR_MIN: Operator
OPERATOR_MAX: Operator
OPERATOR_SUB: Operator
OPERATOR_DIV: Operator
OPERATOR_POW: Operator
OPERATOR_NEG: Operator
OPERATOR_ABS: Operator
OPERATOR_SQRT: Operator
OPERATOR_EXP: Operator
OPERATOR_LOG: Operator
OPERATOR_LOG10: Operator
OPERATOR_LT: Operator
OPERATOR_LTE: Operator
OPERATOR_GT: Operator
OPERATOR_GTE: Operator
OPERATOR_EQ: Operator
OPERATOR_NE: Operator
OPERATOR_WHERE: Operator
DECAY_KIND_UNSPECIFIED: DecayKind
DECAY_KIND_EXP: DecayKind
DECAY_KIND_GAUSS: DecayKind
DECAY_KIND_LINEAR: DecayKind

class Expression(_message.Message):
    __slots__ = ("number", "score", "field", "matches", "geo_distance", "call", "decay")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    GEO_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    DECAY_FIELD_NUMBER: _ClassVar[int]
    number: float
    score: PrefetchScore
    field: FieldValue
    matches: _filter_pb2.Filter
    geo_distance: GeoDistance
    call: OperatorCall
    decay: Decay
    def __init__(self, number: _Optional[float] = ..., score: _Optional[_Union[PrefetchScore, _Mapping]] = ..., field: _Optional[_Union[FieldValue, _Mapping]] = ..., matches: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., geo_distance: _Optional[_Union[GeoDistance, _Mapping]] = ..., call: _Optional[_Union[OperatorCall, _Mapping]] = ..., decay: _Optional[_Union[Decay, _Mapping]] = ...) -> None: ...

class PrefetchScore(_message.Message):
    __slots__ = ("prefetch", "default")
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    prefetch: int
    default: float
    def __init__(self, prefetch: _Optional[int] = ..., default: _Optional[float] = ...) -> None: ...

class FieldValue(_message.Message):
    __slots__ = ("key", "default", "datetime")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    DATETIME_FIELD_NUMBER: _ClassVar[int]
    key: str
    default: float
    datetime: bool
    def __init__(self, key: _Optional[str] = ..., default: _Optional[float] = ..., datetime: _Optional[bool] = ...) -> None: ...

class GeoDistance(_message.Message):
    __slots__ = ("key", "lat", "lon", "default")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LAT_FIELD_NUMBER: _ClassVar[int]
    LON_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    key: str
    lat: float
    lon: float
    default: float
    def __init__(self, key: _Optional[str] = ..., lat: _Optional[float] = ..., lon: _Optional[float] = ..., default: _Optional[float] = ...) -> None: ...

class OperatorCall(_message.Message):
    __slots__ = ("operator", "args")
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    operator: Operator
    args: _containers.RepeatedCompositeFieldContainer[Expression]
    def __init__(self, operator: _Optional[_Union[Operator, str]] = ..., args: _Optional[_Iterable[_Union[Expression, _Mapping]]] = ...) -> None: ...

class Decay(_message.Message):
    __slots__ = ("kind", "x", "target", "scale", "midpoint")
    KIND_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    MIDPOINT_FIELD_NUMBER: _ClassVar[int]
    kind: DecayKind
    x: Expression
    target: Expression
    scale: float
    midpoint: float
    def __init__(self, kind: _Optional[_Union[DecayKind, str]] = ..., x: _Optional[_Union[Expression, _Mapping]] = ..., target: _Optional[_Union[Expression, _Mapping]] = ..., scale: _Optional[float] = ..., midpoint: _Optional[float] = ...) -> None: ...
