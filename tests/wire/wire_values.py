"""Random values of everything that travels."""

from __future__ import annotations

import math
from uuid import UUID

import numpy as np
from hypothesis import strategies as st

from vecstore.facets import FacetRequest, Facets, Matrix, MatrixRequest
from vecstore.grouping import Group, Groups, GroupsRequest
from vecstore.hits import Hits, id_array
from vecstore.query import filter as f
from vecstore.query.formula import (
    ARITY,
    DECAYS,
    Call,
    Decay,
    FieldValue,
    GeoDistance,
    Matches,
    Number,
    Score,
)
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.ranking import Discover, Formula, NearestId, OrderBy, Recommend, Sample, Strategy
from vecstore.rows import TextRows
from vecstore.schema import Analysis, DataType, FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseVector, sparse_rows
from vecstore.tokens import TokenRows
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    DeleteVectorsRequest,
    GetRequest,
    Hit,
    IfMatch,
    Mmr,
    PayloadOp,
    PayloadRequest,
    Point,
    PointBatch,
    Prefetch,
    QueryRequest,
    ScrollRequest,
    ScrollResult,
    Selection,
    UpsertRequest,
    VectorBatch,
    WriteMode,
)

I64 = st.integers(-(2**63), 2**63 - 1)
U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.text("abcdefgh_-", min_size=1, max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
IDS = st.one_of(U64, st.uuids(), TEXT)
NUMBERS = st.one_of(I64, FINITE)
SCALARS = st.one_of(TEXT, I64, FINITE, st.booleans())
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), I64, FINITE, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(TEXT, JSON, max_size=4)
DTYPES = st.sampled_from([np.float32, np.float16, np.uint8, np.uint16])


@st.composite
def bounds(draw: st.DrawFn, values: st.SearchStrategy[int | float]) -> dict[str, int | float]:
    return {name: draw(values) for name in ("gt", "gte", "lt", "lte") if draw(st.booleans())}


@st.composite
def leaves(draw: st.DrawFn) -> f.Condition:
    key = draw(NAMES)
    kind = draw(st.integers(0, 13))
    match kind:
        case 0:
            return f.MatchValue(key, draw(SCALARS))
        case 1:
            return f.MatchAny(key, tuple(draw(st.lists(SCALARS, max_size=4))))
        case 2:
            return f.MatchExcept(key, tuple(draw(st.lists(SCALARS, max_size=4))))
        case 3:
            return f.MatchText(key, draw(TEXT))
        case 4:
            return f.MatchPhrase(key, draw(TEXT))
        case 5:
            return f.MatchPrefix(key, draw(TEXT))
        case 6:
            return f.Range(key, **draw(bounds(NUMBERS)))
        case 7:
            return f.Range(key, datetime=True, **draw(bounds(I64)))
        case 8:
            return draw(st.sampled_from([f.Exists(key), f.IsNull(key), f.IsEmpty(key)]))
        case 9:
            return f.ValuesCount(key, **draw(bounds(I64)))
        case 10:
            return f.GeoRadius(key, draw(FINITE), draw(FINITE), draw(FINITE))
        case 11:
            return f.GeoBoundingBox(key, draw(FINITE), draw(FINITE), draw(FINITE), draw(FINITE))
        case 12:
            return f.HasId(tuple(draw(st.lists(IDS, max_size=4))))
        case _:
            return f.HasVector(draw(TEXT))


def groups(conditions: st.SearchStrategy[f.Condition]) -> st.SearchStrategy[f.Filter]:
    several = st.lists(conditions, max_size=2).map(tuple)
    min_should = st.none() | st.builds(f.MinShould, several, st.integers(-3, 3))
    return st.builds(f.Filter, several, several, several, min_should)


FILTERS: st.SearchStrategy[f.Filter] = st.recursive(
    groups(leaves()),
    lambda inner: groups(st.one_of(leaves(), inner, st.builds(f.Nested, NAMES, inner))),
    max_leaves=4,
)


SPARSE_ENTRIES = st.dictionaries(st.integers(0, 2**32 - 1), st.floats(width=32), max_size=4)


def sparse_vector(entries: dict[int, float]) -> SparseVector:
    return SparseVector(np.array(list(entries), np.uint32), np.array(list(entries.values()), np.float32))


SPARSE_VECTORS = SPARSE_ENTRIES.map(sparse_vector)


def tokens(count: int) -> st.SearchStrategy[np.ndarray]:
    """(count, 2) token vectors."""
    numbers = st.lists(st.floats(width=32), min_size=2 * count, max_size=2 * count)
    return numbers.map(lambda values: np.array(values, np.float32).reshape(-1, 2))


MULTI_VECTORS = st.integers(1, 3).flatmap(tokens)


@st.composite
def ragged(draw: st.DrawFn, count: int) -> VectorBatch:
    """A column of sparse vectors, of multi-vectors or of texts."""
    present = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    flags = None if present.all() else present
    kind = draw(st.sampled_from(["texts", "sparse", "tokens"]))
    if kind == "tokens":
        several = [draw(st.integers(0, 2).flatmap(tokens)) if there else np.empty((0, 2)) for there in present]
        return VectorBatch(TokenRows.of(several, 2, np.float32), flags)
    if kind == "texts":
        return VectorBatch(TextRows([draw(TEXT) if there else "" for there in present]), flags)
    vectors = [draw(SPARSE_ENTRIES) if there else {} for there in present]
    return VectorBatch(sparse_rows([sparse_vector(one) for one in vectors]), flags)


@st.composite
def vector(draw: st.DrawFn, dtype: type[np.generic] | None = None) -> np.ndarray:
    dtype = draw(DTYPES) if dtype is None else dtype
    size = draw(st.integers(1, 6))
    raw = draw(st.binary(min_size=size * np.dtype(dtype).itemsize, max_size=size * np.dtype(dtype).itemsize))
    return np.frombuffer(raw, dtype)


@st.composite
def column(draw: st.DrawFn, count: int) -> VectorBatch:
    dtype = draw(DTYPES)
    width = draw(st.integers(1, 5))
    size = count * width * np.dtype(dtype).itemsize
    rows = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(count, width).copy()
    present = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    if present.all():
        return VectorBatch(rows)
    rows[~present] = 0
    return VectorBatch(rows, present)


@st.composite
def batches(draw: st.DrawFn) -> PointBatch:
    ids = draw(st.lists(IDS, min_size=1, max_size=6))
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    payloads = st.lists(st.none() | st.binary(min_size=1, max_size=9), min_size=len(ids), max_size=len(ids))
    columns = column(len(ids)) | ragged(len(ids))
    return PointBatch(ids, {name: draw(columns) for name in names}, draw(st.none() | payloads))


DURABILITIES = st.sampled_from([None, "fsync", "os"])
CHOICES = st.one_of(st.booleans(), st.lists(NAMES, max_size=3).map(tuple))
SELECTIONS = st.builds(Selection, CHOICES, CHOICES)
ID_LISTS = st.none() | st.lists(IDS, min_size=1, max_size=5)
OPTIONAL_FILTERS = st.none() | FILTERS

SEQS = st.none() | st.lists(U64, min_size=1, max_size=3).map(tuple)
CONDITIONS = st.none() | st.builds(IfMatch, OPTIONAL_FILTERS, SEQS, st.booleans())
KEYS = st.none() | st.text(min_size=1, max_size=9)
UPSERTS = st.builds(UpsertRequest, NAMES, batches(), st.sampled_from(WriteMode), DURABILITIES, CONDITIONS, KEYS)
DELETES = st.builds(DeleteRequest, NAMES, ID_LISTS, OPTIONAL_FILTERS, DURABILITIES, CONDITIONS, KEYS)
VECTOR_DELETES = st.builds(
    DeleteVectorsRequest,
    NAMES,
    st.lists(NAMES, max_size=3).map(tuple),
    ID_LISTS,
    OPTIONAL_FILTERS,
    DURABILITIES,
    CONDITIONS,
    KEYS,
)
GETS = st.builds(GetRequest, NAMES, st.lists(IDS, max_size=5), SELECTIONS, U64)
SCROLLS = st.builds(ScrollRequest, NAMES, OPTIONAL_FILTERS, I64, st.none() | IDS, SELECTIONS, U64)
COUNTS = st.builds(CountRequest, NAMES, OPTIONAL_FILTERS, U64)
QUERY_VECTORS = st.one_of(
    vector(np.float32),
    vector(np.uint8),
    SPARSE_VECTORS.map(lambda one: sparse_rows([one])),
    MULTI_VECTORS.map(lambda one: TokenRows.of([one], 2, np.float32)),
    TEXT.map(lambda text: TextRows([text])),
)
FUSIONS = st.builds(
    lambda method, k, weights, weigh: (
        Fusion(method, k, tuple(weights), weigh)
        if method is FusionMethod.RRF
        else Fusion(method, weights=tuple(weights))
    ),
    st.sampled_from(FusionMethod),
    st.integers(1, 2**63 - 1),
    st.lists(FINITE, max_size=3),
    st.booleans(),
)
LEAVES = st.one_of(
    st.builds(Number, FINITE),
    st.builds(Score, st.integers(0, 2**32 - 1), FINITE),
    st.builds(FieldValue, NAMES, st.none() | FINITE, st.booleans()),
    st.builds(Matches, FILTERS),
    st.builds(GeoDistance, NAMES, FINITE, FINITE, st.none() | FINITE),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Call, st.sampled_from(list(ARITY)), st.lists(inner, max_size=3).map(tuple)),
        st.builds(Decay, st.sampled_from(DECAYS), inner, inner, FINITE, FINITE),
    ),
    max_leaves=5,
)
EXAMPLES = IDS | QUERY_VECTORS
RANKINGS = st.one_of(
    st.builds(NearestId, IDS),
    st.builds(OrderBy, NAMES, st.booleans(), st.none() | FINITE, st.none() | IDS, st.booleans()),
    st.builds(Sample, st.none() | U64),
    st.builds(Formula, EXPRESSIONS),
    st.builds(Recommend, st.lists(EXAMPLES, max_size=2).map(tuple), st.lists(EXAMPLES, max_size=2).map(tuple),
              st.sampled_from(Strategy)),
    st.builds(Discover, st.none() | EXAMPLES, st.lists(st.tuples(EXAMPLES, EXAMPLES), max_size=2).map(tuple)),
)  # fmt: skip


@st.composite
def prefetches(draw: st.DrawFn, depth: int = 2) -> Prefetch:
    below = tuple(draw(st.lists(prefetches(depth - 1), max_size=2))) if depth else ()
    at, some = draw(st.sampled_from(list(enumerate((QUERY_VECTORS, FUSIONS, RANKINGS)))))
    vector, fusion, ranking = (draw(some) if place == at else None for place in range(3))
    using, chosen, threshold = draw(st.none() | NAMES), draw(OPTIONAL_FILTERS), draw(st.none() | FINITE)
    return Prefetch(vector, using, chosen, draw(I64), threshold, prefetch=below, fusion=fusion, ranking=ranking)


@st.composite
def staged_queries(draw: st.DrawFn) -> QueryRequest:
    root = draw(prefetches())
    mmr = draw(st.none() | st.builds(Mmr, FINITE, st.integers(1, 2**63 - 1)))
    return QueryRequest(
        draw(NAMES), root.vector, prefetch=root.prefetch, fusion=root.fusion, mmr=mmr, ranking=root.ranking
    )


QUERIES = staged_queries() | st.builds(
    QueryRequest,
    collection=NAMES,
    vector=QUERY_VECTORS,
    using=st.none() | NAMES,
    filter=OPTIONAL_FILTERS,
    k=I64,
    offset=I64,
    score_threshold=st.none() | FINITE,
    select=SELECTIONS,
    min_seq=U64,
    timeout_s=st.none() | st.integers(1, 10**6).map(lambda ms: ms / 1000),
    explain=st.booleans(),
)

FACET_REQUESTS = st.builds(FacetRequest, NAMES, TEXT, OPTIONAL_FILTERS, I64, U64)
FACETS = st.builds(Facets, st.lists(st.tuples(st.one_of(TEXT, I64, st.booleans()), U64), max_size=3), U64)
MATRIX_REQUESTS = st.builds(
    MatrixRequest,
    NAMES,
    st.none() | NAMES,
    ID_LISTS,
    OPTIONAL_FILTERS,
    I64,
    st.none() | U64,
    U64,
    st.none() | st.just(2.5),
)


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    ids = draw(st.lists(IDS, max_size=3))
    scores = draw(st.lists(FLOAT32, min_size=len(ids) ** 2, max_size=len(ids) ** 2))
    return Matrix(id_array(ids), np.array(scores, np.float32).reshape(len(ids), len(ids)), draw(U64))


GROUPS_REQUESTS = st.builds(GroupsRequest, QUERIES, TEXT, I64)


@st.composite
def payload_requests(draw: st.DrawFn) -> PayloadRequest:
    op = draw(st.sampled_from(PayloadOp))
    payload = draw(st.binary(min_size=1, max_size=9)) if op in (PayloadOp.SET, PayloadOp.OVERWRITE) else None
    keys = tuple(draw(st.lists(NAMES, max_size=3))) if op is PayloadOp.DELETE_KEYS else ()
    ids, chosen, durability = draw(ID_LISTS), draw(OPTIONAL_FILTERS), draw(DURABILITIES)
    return PayloadRequest(draw(NAMES), op, ids, chosen, payload, keys, durability, draw(CONDITIONS), draw(KEYS))


ANSWER_VECTORS = st.none() | st.dictionaries(
    NAMES, st.one_of(vector(np.float32), vector(np.float16), SPARSE_VECTORS, MULTI_VECTORS), min_size=1, max_size=2
)
PAYLOAD_JSON = st.none() | st.binary(max_size=9)
FLOAT32 = st.floats(width=32, allow_nan=False)
POINTS = st.builds(Point, IDS, U64, PAYLOAD_JSON, ANSWER_VECTORS)
LEGS = st.none() | st.dictionaries(st.integers(0, 3), FLOAT32, min_size=1, max_size=2)
HITS = st.builds(Hit, IDS, U64, PAYLOAD_JSON, ANSWER_VECTORS, FLOAT32, LEGS)
HITS_OF_QUERIES = st.builds(Hits.of, st.lists(HITS, max_size=3), U64, st.none() | PAYLOADS)
GROUP_VALUES = st.one_of(TEXT, I64, st.booleans())


@st.composite
def grouped_answers(draw: st.DrawFn) -> Groups:
    seq, drawn = draw(U64), draw(st.lists(st.tuples(GROUP_VALUES, st.lists(HITS, max_size=2)), max_size=3))
    return Groups([Group(value, Hits.of(hits, seq)) for value, hits in drawn], seq, draw(st.none() | PAYLOADS))


SCROLL_RESULTS = st.builds(ScrollResult, st.lists(POINTS, max_size=3), st.none() | IDS, U64)

ANALYSES = st.builds(Analysis, NAMES, st.booleans(), FINITE, FINITE)
FIELDS = st.builds(
    VectorField,
    st.sampled_from(VectorKind),
    I64,
    st.sampled_from(Metric),
    st.sampled_from(DataType),
    analysis=st.none() | ANALYSES,
)
SCHEMAS = st.builds(
    Schema,
    st.dictionaries(NAMES, FIELDS, max_size=3),
    st.dictionaries(NAMES, st.sampled_from(FieldKind), max_size=3),
)


def same(one: object, other: object) -> bool:
    """Equality that sees into arrays, by bytes, and tells numbers of different types apart."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return (
            isinstance(one, np.ndarray)
            and isinstance(other, np.ndarray)
            and (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        )
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, int | str | bytes | UUID | None):
        return one == other
    names = getattr(type(one), "__struct_fields__", None) or [
        name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())
    ]
    if not names:
        return one == other
    return all(same(getattr(one, name), getattr(other, name)) for name in names)
