"""Messages that cannot be engine values: typed errors that name the place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, VecstoreError
from vecstore.pb.v1 import common_pb2, filter_pb2, points_pb2
from vecstore.query.filter import Filter, MatchValue, Range
from vecstore.query.formula import Call, Expression, Number
from vecstore.ranking import Formula
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector
from vecstore.types import VectorBatch
from vecstore.wire import columns, filters, ids, ranking, reads, vectors, writes

LIMITS = Limits()
FOUR = b"\0" * 4  # one entry
SCHEMA = Schema({"text": VectorField(VectorKind.DENSE, 4, Metric.COSINE)})


def refused(reason: str, path: str, action: Any, *arguments: Any, **named: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as raised:
        action(*arguments, **named)
    assert raised.value.reason == reason, raised.value
    assert path in raised.value.message
    return raised.value


def upsert(*points: dict[str, Any], **fields: Any) -> Any:
    message = points_pb2.UpsertRequest(collection="c", points=[points_pb2.Point(**point) for point in points], **fields)
    return writes.upsert_from_pb(message, LIMITS, SCHEMA)


GOOD = {"id": {"num": 1}, "vectors": {"text": {"dense": {"values": [1, 2, 3, 4]}}}}


def test_the_point_with_the_wrong_dimension_is_named() -> None:
    short = {**GOOD, "vectors": {"text": {"dense": {"values": [1, 2, 3]}}}}
    error = refused("DIMENSION_MISMATCH", "points[3].vectors.text", upsert, GOOD, GOOD, GOOD, short)
    assert error.field_violations[0][0] == "points[3].vectors.text"
    assert error.metadata == {"expected": "4", "actual": "3"}


def test_ids_are_refused_with_their_place() -> None:
    refused("BAD_ID", "points[1].id", upsert, GOOD, {**GOOD, "id": {}})
    refused("BAD_ID", "points[0].id", upsert, {**GOOD, "id": {"uuid": "{00000000-0000-0000-0000-000000000000}"}})
    refused("BAD_ID", "ids.uuids", ids.column_from_pb, common_pb2.IdColumn(uuids=b"12345"))
    refused("BAD_ID", "ids.kinds", ids.column_from_pb, common_pb2.IdColumn(nums=[1], strs=["a"]))
    refused("BAD_ID", "ids.kinds", ids.column_from_pb, common_pb2.IdColumn(nums=[1], strs=["a"], kinds=b"\0"))
    refused("BAD_ID", "ids.kinds", ids.column_from_pb, common_pb2.IdColumn(nums=[1, 2], kinds=b"\0\7"))
    for value in (-1, 2**64, True, 1.5, None):
        refused("BAD_ID", "id", ids.id_to_pb, value)
        refused("BAD_ID", "ids[1]", ids.column_to_pb, [1, value])


def test_payloads_that_json_cannot_hold() -> None:
    for number in (math.nan, math.inf, -math.inf):
        refused("BAD_PAYLOAD", "points[0].payload.a", upsert, {**GOOD, "payload": {"a": {"double_value": number}}})
    refused("BAD_PAYLOAD", "points[0].payload.a", upsert, {**GOOD, "payload": {"a": {}}})
    refused(
        "INVALID_ARGUMENT", "payload", upsert, {**GOOD, "payload": {"a": {"bool_value": True}}, "payload_json": b"{}"}
    )


def nested_value(depth: int) -> common_pb2.Value:
    value = common_pb2.Value(integer_value=1)
    for _ in range(depth):
        value = common_pb2.Value(list_value=common_pb2.ListValue(values=[value]))
    return value


def test_payload_depth_at_its_bound() -> None:
    bound = LIMITS.payload_depth_max
    assert upsert({**GOOD, "payload": {"a": nested_value(bound - 1)}}).batch.payloads[0].count(b"[") == bound - 1
    error = refused("LIMIT_EXCEEDED", "points[0].payload", upsert, {**GOOD, "payload": {"a": nested_value(bound)}})
    assert error.metadata["limit"] == "payload_depth_max"


def nested_filter(depth: int, kind: str) -> filter_pb2.Filter:
    value = filter_pb2.Filter(must=[filter_pb2.Condition(key="a", match_text="x")])
    for _ in range(depth - 1):
        value = filter_pb2.Filter(must=[filter_pb2.Condition(key="a", **{kind: value})])
    return value


@pytest.mark.parametrize("kind", ["filter", "nested"])
def test_filter_depth_at_its_bound(kind: str) -> None:
    bound = LIMITS.filter_depth_max
    deepest = points_pb2.QueryBatchRequest(queries=[{"filter": nested_filter(bound, kind)}])
    parsed = points_pb2.QueryBatchRequest.FromString(deepest.SerializeToString())  # protobuf's own depth bound is 100
    assert isinstance(filters.filter_from_pb(parsed.queries[0].filter, LIMITS), Filter)
    refused("LIMIT_EXCEEDED", "filter_depth_max=32", filters.filter_from_pb, nested_filter(bound + 1, kind), LIMITS)


def test_formula_depth_is_bounded_by_who_reads_it() -> None:
    def deep(depth: int) -> Formula:
        tree: Expression = Number(1.0)
        for _ in range(depth - 1):
            tree = Call("abs", (tree,))
        return Formula(tree)

    message = points_pb2.QueryRequest()
    ranking.ranking_to_pb(deep(40), message)
    parsed = points_pb2.QueryRequest.FromString(message.SerializeToString())
    assert ranking.ranking_from_pb(parsed, Limits(formula_depth_max=40), "") == deep(40)
    refused("LIMIT_EXCEEDED", "formula_depth_max=39", ranking.ranking_from_pb, parsed, Limits(formula_depth_max=39), "")
    refused("LIMIT_EXCEEDED", "formula_depth_max=128", ranking.ranking_to_pb, deep(129), points_pb2.QueryRequest())


def test_filter_width_at_its_bounds() -> None:
    condition = filter_pb2.Condition(key="a", match_text="x")
    width = LIMITS.filter_terms_max
    assert len(filters.filter_from_pb(filter_pb2.Filter(must=[condition] * width), LIMITS).must) == width
    wide = filter_pb2.Filter(must=[condition] * width, should=[condition])
    refused("LIMIT_EXCEEDED", "filter_terms_max", filters.filter_from_pb, wide, LIMITS)
    for kind in ("match_any", "match_except"):
        for length in (LIMITS.in_list_max, LIMITS.in_list_max + 1):
            scalars = filter_pb2.Scalars(values=[filter_pb2.Scalar(bool_value=True)] * length)
            value = filter_pb2.Filter(must=[filter_pb2.Condition(key="a", **{kind: scalars})])
            if length == LIMITS.in_list_max:
                filters.filter_from_pb(value, LIMITS)
            else:
                refused("LIMIT_EXCEEDED", "in_list_max", filters.filter_from_pb, value, LIMITS)


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ("filter.must[0]", {}),
        ("filter.must[0].key", {"match_text": "x"}),
        ("filter.must[0].match_value", {"key": "a", "match_value": {}}),
        ("filter.must[0].match_value", {"key": "a", "match_value": {"double_value": math.nan}}),
        ("filter.must[0].range.gte", {"key": "a", "range": {"gte": {}}}),
        ("filter.must[0].range.lt", {"key": "a", "range": {"lt": {"real": math.inf}}}),
        ("filter.must[0].datetime_range.gt.nanos", {"key": "a", "datetime_range": {"gt": {"nanos": -1}}}),
        ("filter.must[0].geo_radius.lat", {"key": "a", "geo_radius": {"lat": math.nan}}),
        ("filter.must[0].geo_bounding_box.left", {"key": "a", "geo_bounding_box": {"left": math.inf}}),
    ],
)
def test_conditions_that_say_nothing(path: str, condition: dict[str, Any]) -> None:
    message = filter_pb2.Filter(must=[filter_pb2.Condition(**condition)])
    refused("BAD_FILTER", path, filters.filter_from_pb, message, LIMITS)


def test_min_should_needs_a_count() -> None:
    message = filter_pb2.Filter(min_should=[filter_pb2.Condition(key="a", match_text="x")])
    refused("BAD_FILTER", "filter.min_should", filters.filter_from_pb, message, LIMITS)


def test_filters_that_the_wire_cannot_say() -> None:
    refused("BAD_FILTER", "match", filters.filter_to_pb, Filter(must=(MatchValue("a", 2**63),)))
    refused("BAD_FILTER", "range", filters.filter_to_pb, Filter(must=(Range("a", gt=-(2**63) - 1),)))
    refused("BAD_FILTER", "range", filters.filter_to_pb, Filter(must=(Range("a", gt=math.inf, datetime=True),)))


def test_datetime_bounds_between_microseconds_keep_their_meaning() -> None:
    stamps = {name: {"seconds": 1, "nanos": 1500} for name in ("gt", "gte", "lt", "lte")}
    message = filter_pb2.Filter(must=[filter_pb2.Condition(key="a", datetime_range=stamps)])
    bounds = filters.filter_from_pb(message, LIMITS).must[0]
    assert bounds == Range("a", gt=1_000_001, gte=1_000_002, lt=1_000_002, lte=1_000_001, datetime=True)
    floats = Range("a", gt=1.5, gte=1.5, lt=1.5, lte=1.5, datetime=True)
    back = filters.filter_from_pb(filters.filter_to_pb(Filter(must=(floats,))), LIMITS).must[0]
    assert back == Range("a", gt=1, gte=2, lt=2, lte=1, datetime=True)


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("v.dim", {"dim": 0}),
        ("v.dim", {"dim": -1}),
        ("v.dim", {"dim": 12, "dtype": common_pb2.DATA_TYPE_BIT}),
        ("v.dtype", {"dim": 4, "dtype": 77}),
        ("v.data", {"dim": 4, "data": b"123"}),
        ("v.data", {"dim": 4, "data": b"\0" * 16}),
        ("v.data", {"dim": 2**62, "data": b"\0" * 32}),
        ("v.present", {"dim": 4, "data": b"\0" * 32, "present": b"\1\1"}),
        ("v.data", {"dim": 4, "data": b"\0" * 32, "present": b"\1"}),
        ("v holds 1 vectors for 2 points", {"sparse": {"lengths": [1], "indices": FOUR, "values": FOUR}}),
        (
            "v holds 2 vectors for 1 points",
            {"sparse": {"lengths": [1, 0], "indices": FOUR, "values": FOUR}, "present": b"\1"},
        ),
        ("v has lengths that sum to 2", {"sparse": {"lengths": [1, 1], "indices": FOUR, "values": FOUR}}),
        ("v has lengths that sum to 8589934590", {"sparse": {"lengths": [(1 << 32) - 1] * 2}}),
        ("1 indices and 0 values", {"sparse": {"lengths": [1, 0], "indices": FOUR}}),
        ("v holds 5 and 4 bytes", {"sparse": {"lengths": [1, 0], "indices": b"12345", "values": FOUR}}),
        ("v has more than one", {"sparse": {"lengths": [0, 0]}, "texts": {"texts": ["a", "b"]}}),
        ("v has more than one", {"sparse": {"lengths": [0, 0]}, "data": FOUR}),
        ("v holds 1 vectors for 2 points", {"texts": {"texts": ["a"]}}),
        ("v.present", {"sparse": {"lengths": [0, 0]}, "present": b"\1\1"}),
    ],
)
def test_columns_that_do_not_fit(path: str, column: dict[str, Any]) -> None:
    refused("BAD_VECTOR", path, columns.column_from_pb, common_pb2.VectorColumn(**column), 2, "v")


@pytest.mark.parametrize(
    "vector",
    [
        {},
        {"dense": {"data": b"123"}},
        {"dense": {"data": b"1234", "values": [1]}},
        {"dense": {"data": b"1", "dtype": common_pb2.DATA_TYPE_BIT}},
        {"dense": {"data": b"1234", "dtype": 9}},
    ],
)
def test_vectors_that_do_not_fit(vector: dict[str, Any]) -> None:
    refused("BAD_VECTOR", "v", vectors.vector_from_pb, common_pb2.Vector(**vector), "v")


def test_sparse_vectors_that_do_not_fit() -> None:
    good = {"id": {"num": 1}, "vectors": {"s": {"sparse": {"indices": [1], "values": [1]}}}}
    short = {"id": {"num": 2}, "vectors": {"s": {"sparse": {"indices": [1, 2], "values": [1]}}}}
    other = {"id": {"num": 3}, "vectors": {"s": {"dense": {"values": [1, 2]}}}}
    refused("BAD_VECTOR", "vectors.s[1] has 2 indices and 1 values", upsert, good, short)
    refused("BAD_VECTOR", "vectors.s mix", upsert, good, other)
    query = points_pb2.QueryRequest(collection="c", nearest=short["vectors"]["s"])
    refused("BAD_VECTOR", "nearest[0] has 2 indices and 1 values", reads.query_from_pb, query, LIMITS)


def test_rows_that_have_no_form_on_the_wire() -> None:
    for indices in ([1, -1], [1, 1 << 32]):
        rows = SparseRows(np.array([0, 1, 2]), np.array(indices), np.array([1.0, 1.0]))
        refused("BAD_VECTOR", "v[1] has index", columns.column_to_pb, VectorBatch(rows), "v")
    rows = SparseRows(np.array([0, 2, 1]), np.array([1, 2]), np.array([1.0, 1.0]))
    refused("BAD_VECTOR", "v has offsets", columns.column_to_pb, VectorBatch(rows), "v")


def test_a_vector_is_written_over_what_was_there() -> None:
    message = common_pb2.Vector()
    for indices in ([1, 2, 3], [4], []):
        vector = SparseVector(np.array(indices, np.uint32), np.ones(len(indices), np.float32))
        vectors.set_vector(message, vector)
        assert list(message.sparse.indices) == indices
        assert len(message.sparse.values) == len(indices)
        assert message.WhichOneof("vector") == "sparse"


def test_a_query_without_a_vector() -> None:
    message = points_pb2.QueryRequest(collection="c")
    refused("BAD_VECTOR", "queries[2].nearest", reads.query_from_pb, message, LIMITS, "queries[2].")


def test_a_small_message_cannot_ask_for_much_memory() -> None:
    """One point has the vector, and every other one would get a row of zeros beside it."""
    limits = Limits(message_bytes_max=1 << 20)
    count, dim = limits.batch_points_max, limits.dim_max
    column = columns.column_to_pb(VectorBatch(np.ones((1, dim), np.float32)))
    column.present = b"\1" + b"\0" * (count // 8 - 1)
    batch = points_pb2.PointBatch(ids={"nums": range(count)}, vectors={"text": column})
    message = points_pb2.UpsertRequest(collection="c", batch=batch)
    assert message.ByteSize() < limits.message_bytes_max
    refused("LIMIT_EXCEEDED", "message_bytes_max", writes.upsert_from_pb, message, limits, SCHEMA)
    rows = [points_pb2.Point(id={"num": n}) for n in range(count - 1)]
    rows.append(points_pb2.Point(id={"num": count}, vectors={"x": {"dense": {"data": b"\0" * 4 * dim}}}))
    message = points_pb2.UpsertRequest(collection="c", points=rows)
    refused("LIMIT_EXCEEDED", "message_bytes_max", writes.upsert_from_pb, message, limits, None)


def test_both_ways_at_once() -> None:
    refused("INVALID_ARGUMENT", "points and batch", upsert, GOOD, batch={"ids": {"nums": [1]}})
    message = points_pb2.DeletePointsRequest(ids=[{"num": 1}], id_column={"nums": [1]})
    refused("INVALID_ARGUMENT", "ids and id_column", writes.delete_from_pb, message, LIMITS)
    refused("INVALID_ARGUMENT", "mode", upsert, GOOD, mode=99)
    refused("INVALID_ARGUMENT", "durability", upsert, GOOD, durability=99)


def test_bfloat16_reaches_only_fields_that_store_it() -> None:
    ones = np.full((1, 4), 0x3F80, np.uint16)
    batch = points_pb2.PointBatch(ids={"nums": [1]}, vectors={"text": columns.column_to_pb(VectorBatch(ones))})
    request = writes.upsert_from_pb(points_pb2.UpsertRequest(collection="c", batch=batch), LIMITS, SCHEMA)
    assert request.batch.vectors["text"].rows.dtype == np.float32
    assert request.batch.vectors["text"].rows.tolist() == [[1, 1, 1, 1]]


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from(["upsert", "query", "delete", "scroll"]))
def test_random_bytes_raise_nothing_else(data: bytes, kind: str) -> None:
    readers: dict[str, Any] = {
        "upsert": lambda: writes.upsert_from_pb(points_pb2.UpsertRequest.FromString(data), LIMITS, SCHEMA),
        "query": lambda: reads.query_from_pb(points_pb2.QueryRequest.FromString(data), LIMITS),
        "delete": lambda: writes.delete_from_pb(points_pb2.DeletePointsRequest.FromString(data), LIMITS),
        "scroll": lambda: reads.scroll_from_pb(points_pb2.ScrollRequest.FromString(data), LIMITS),
    }
    try:
        readers[kind]()
    except (VecstoreError, DecodeError):
        return
