"""What goes out comes back: for every kind of message, through its bytes."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import wire_values as values
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from vecstore.config import Limits
from vecstore.hits import Hits
from vecstore.pb.v1 import collections_pb2, common_pb2, points_pb2
from vecstore.query.filter import Filter
from vecstore.schema import DataType, Schema, VectorField
from vecstore.types import (
    CollectionInfo,
    FieldIndexRequest,
    OperationInfo,
    OperationState,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    QueryRequest,
    UpdateBatchRequest,
    UpdateVectorsRequest,
    UpsertRequest,
    VectorBatch,
    WriteResult,
)
from vecstore.wire import answers, columns, facets, filters, groups, ids, reads, schemas, vectors, writes
from vecstore.wire.values import fields_from_pb, set_fields

M = TypeVar("M", bound=Message)
LIMITS = Limits()


def sent(message: M) -> M:
    return type(message).FromString(message.SerializeToString())


def check(back: object, value: object) -> None:
    assert values.same(back, value), f"{back}\n is not \n{value}"


@given(values.IDS)
def test_ids(value: Any) -> None:
    check(ids.id_from_pb(sent(ids.id_to_pb(value))), value)


@given(st.lists(values.IDS, max_size=20))
def test_id_columns(column: list[Any]) -> None:
    check(ids.column_from_pb(sent(ids.column_to_pb(column))), column)


@given(values.PAYLOADS)
def test_payloads_as_maps(payload: dict[str, Any]) -> None:
    message = common_pb2.MapValue()
    set_fields(message.fields, payload)
    check(fields_from_pb(sent(message).fields), payload)


@given(st.one_of(values.vector(), values.SPARSE_VECTORS, values.MULTI_VECTORS, values.TEXT))
def test_vectors(vector: Any) -> None:
    check(vectors.vector_from_pb(sent(vectors.vector_to_pb(vector)), "v"), vector)


def columns_of(count: int) -> st.SearchStrategy[tuple[int, VectorBatch]]:
    return st.tuples(st.just(count), values.column(count) | values.ragged(count))


@given(st.integers(1, 20).flatmap(columns_of))
def test_vector_columns(drawn: tuple[int, VectorBatch]) -> None:
    count, column = drawn
    back = columns.column_from_pb(sent(columns.column_to_pb(column)), count, "v")
    if column.present is not None and not column.present.any():
        assert back.present is not None  # nobody has the vector: its width is not worth memory
        assert not back.present.any()
        return
    check(back, column)


@given(values.FILTERS)
def test_filters(value: Filter) -> None:
    check(filters.filter_from_pb(sent(filters.filter_to_pb(value)), LIMITS), value)


@given(values.UPSERTS)
def test_upserts(request: Any) -> None:
    fields = {
        name: VectorField("dense", 8, "cosine", DataType.BFLOAT16)  # type: ignore[arg-type]
        for name in request.batch.vectors
    }
    schema = Schema(fields)
    back = writes.upsert_from_pb(sent(writes.upsert_to_pb(request)), LIMITS, schema)
    for name, batch in request.batch.vectors.items():
        if batch.present is not None and not batch.present.any():
            back.batch.vectors[name] = batch  # see test_vector_columns
    if request.batch.payloads is None or not any(request.batch.payloads):
        back.batch.payloads = request.batch.payloads
    check(back, request)


@given(values.DELETES)
def test_deletes(request: Any) -> None:
    check(writes.delete_from_pb(sent(writes.delete_to_pb(request)), LIMITS), request)


@given(values.VECTOR_DELETES)
def test_vector_deletes(request: Any) -> None:
    check(writes.delete_vectors_from_pb(sent(writes.delete_vectors_to_pb(request)), LIMITS), request)


@given(values.batches(), values.DURABILITIES, values.CONDITIONS, values.KEYS)
def test_vector_updates(batch: PointBatch, durability: Any, condition: Any, key: Any) -> None:
    """As upserts, whose batches they share."""
    request = UpdateVectorsRequest("c", batch, durability, condition, key)
    back = writes.update_vectors_from_pb(sent(writes.update_vectors_to_pb(request)), LIMITS)
    upsert = sent(writes.upsert_to_pb(UpsertRequest("c", batch, durability=durability)))
    assert values.same(back.batch, writes.upsert_from_pb(upsert, LIMITS).batch)
    assert (back.collection, back.durability, back.if_match, back.idempotency_key) == ("c", durability, condition, key)


@given(
    st.lists(st.one_of(values.DELETES, values.VECTOR_DELETES, values.payload_requests()), max_size=4),
    values.DURABILITIES,
    values.KEYS,
)
def test_batches(operations: list[Any], durability: Any, key: Any) -> None:
    request = UpdateBatchRequest("c", operations, durability, key)
    check(writes.update_batch_from_pb(sent(writes.update_batch_to_pb(request)), LIMITS), request)


@given(values.payload_requests())
def test_payload_requests(request: PayloadRequest) -> None:
    message: Any = sent(writes.payload_to_pb(request))
    check(writes.payload_request_from_pb(message, PayloadOp(request.op), LIMITS), request)


@given(values.GETS)
def test_gets(request: Any) -> None:
    check(reads.get_from_pb(sent(reads.get_to_pb(request))), request)


@given(values.SCROLLS)
def test_scrolls(request: Any) -> None:
    check(reads.scroll_from_pb(sent(reads.scroll_to_pb(request)), LIMITS), request)


@given(values.COUNTS)
def test_counts(request: Any) -> None:
    check(reads.count_from_pb(sent(reads.count_to_pb(request)), LIMITS), request)


@given(values.QUERIES)
def test_queries(request: QueryRequest) -> None:
    check(reads.query_from_pb(sent(reads.query_to_pb(request)), LIMITS), request)


@given(values.HITS_OF_QUERIES)
def test_hits(hits: Hits) -> None:
    answer = answers.hits_to_pb(hits, common_pb2.PAYLOAD_ENCODING_JSON)
    back = answers.hits_from_pb(sent(answer))
    check(list(back), list(hits))
    check((back.seq, back.explain, back.ids.dtype), (hits.seq, hits.explain, hits.ids.dtype))


@given(values.GROUPS_REQUESTS)
def test_grouped_queries(request: Any) -> None:
    check(groups.groups_request_from_pb(sent(groups.groups_request_to_pb(request)), LIMITS), request)


@given(values.grouped_answers())
def test_grouped_answers(answer: Any) -> None:
    back = groups.groups_from_pb(sent(groups.groups_to_pb(answer, common_pb2.PAYLOAD_ENCODING_JSON)))
    check([(one.value, list(one.hits)) for one in back.groups], [(one.value, list(one.hits)) for one in answer.groups])
    check((back.seq, back.explain), (answer.seq, answer.explain))


@given(values.FACET_REQUESTS)
def test_facet_requests(request: Any) -> None:
    check(facets.facet_from_pb(sent(facets.facet_to_pb(request)), LIMITS), request)


@given(values.FACETS)
def test_facets(answer: Any) -> None:
    check(facets.facets_from_pb(sent(facets.facets_to_pb(answer))), answer)


@given(values.MATRIX_REQUESTS)
def test_matrix_requests(request: Any) -> None:
    check(facets.matrix_request_from_pb(sent(facets.matrix_request_to_pb(request)), LIMITS), request)


@given(values.matrices())
def test_matrices(answer: Any) -> None:
    back = facets.matrix_from_pb(sent(facets.matrix_to_pb(answer)))
    check((back.ids.tolist(), back.scores, back.seq), (answer.ids.tolist(), answer.scores, answer.seq))


@given(values.SCROLL_RESULTS)
def test_scroll_results(result: Any) -> None:
    answer = answers.scroll_result_to_pb(result, common_pb2.PAYLOAD_ENCODING_JSON)
    check(answers.scroll_result_from_pb(sent(answer)), result)


@given(st.lists(st.tuples(values.IDS, values.PAYLOADS.filter(bool)), max_size=4))
def test_payloads_of_answers_as_maps(drawn: list[tuple[Any, dict[str, Any]]]) -> None:
    hits = [values.Hit(point_id, 1, msgspec.json.encode(payload)) for point_id, payload in drawn]
    answer = answers.hits_to_pb(Hits.of(hits, 1), common_pb2.PAYLOAD_ENCODING_UNSPECIFIED)
    back = answers.hits_from_pb(sent(answer))
    check([hit.payload for hit in back], [payload for _, payload in drawn])
    assert not any(point.HasField("payload_json") for point in answer.points)


@given(values.SCHEMAS, values.NAMES, values.U64, values.U64)
def test_collections(schema: Schema, name: str, seq: int, points: int) -> None:
    info = CollectionInfo(name, schema, seq, points)
    check(schemas.collection_from_pb(sent(schemas.collection_to_pb(info))), info)


@given(st.builds(OperationInfo, error=st.none() | st.text(max_size=5), eta_s=st.none() | values.FINITE,
                 finished_at=st.none() | values.FINITE, id=values.TEXT, kind=values.TEXT, collection=values.TEXT,
                 state=st.sampled_from(OperationState), done=values.I64, total=values.I64))  # fmt: skip
def test_operations(info: OperationInfo) -> None:
    check(schemas.operation_from_pb(sent(schemas.operation_to_pb(info))), info)


def test_field_indexes() -> None:
    for kind in collections_pb2.FieldKind.keys()[1:]:
        message = collections_pb2.CreateFieldIndexRequest(collection="c", key="a.b", kind=kind)
        request = schemas.field_index_from_pb(message)
        assert request == FieldIndexRequest("c", "a.b", request.kind)
        assert schemas.field_index_to_pb(request) == message


@given(values.U64, values.U64, values.U64)
def test_write_results(seq: int, changed: int, skipped: int) -> None:
    result = WriteResult(seq, changed, skipped)
    check(writes.write_result_from_pb(sent(writes.write_result_to_pb(result))), result)


def test_rows_become_the_same_columns() -> None:
    """`points` and `batch` are two ways to say the same."""
    points = [
        points_pb2.Point(
            id={"num": 1},
            vectors={"a": {"dense": {"values": [1, 2]}}, "b": {"binary": {"data": b"\x80"}}},
            payload={"n": {"integer_value": 3}, "l": {"list_value": {"values": [{"null_value": 0}]}}},
        ),
        points_pb2.Point(id={"str": "x"}, vectors={"a": {"dense": {"values": [3, 4]}}}, payload_json=b'{"n":4}'),
        points_pb2.Point(id={"uuid": "00000000-0000-0000-0000-000000000007"}),
    ]
    rows = writes.upsert_from_pb(sent(points_pb2.UpsertRequest(collection="c", points=points)), LIMITS)
    columns = writes.upsert_from_pb(sent(writes.upsert_to_pb(rows)), LIMITS)
    check(columns, rows)
    assert rows.batch.vectors["a"].rows.tolist() == [[1, 2], [3, 4], [0, 0]]
    assert rows.batch.vectors["b"].present is not None
    assert rows.batch.vectors["b"].present.tolist() == [True, False, False]
    assert [p and msgspec.json.decode(p) for p in rows.batch.payloads or ()] == [{"n": 3, "l": [None]}, {"n": 4}, None]
