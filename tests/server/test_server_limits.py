"""Each bound of config.Limits over gRPC: at the bound it passes, one past it and far past it is refused by name, and
nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from server_support import Client, failure, point, query, serving

from vecstore.config import Limits
from vecstore.pb.v1 import collections_pb2 as cpb
from vecstore.pb.v1 import common_pb2, filter_pb2, formula_pb2
from vecstore.pb.v1 import points_pb2 as pb

SMALL = Limits(
    dim_max=64,
    k_max=20,
    queries_per_request_max=4,
    message_bytes_max=1 << 20,
    batch_points_max=40,
    batch_operations_max=6,
    payload_bytes_max=1_000,
    payload_depth_max=5,
    filter_depth_max=4,
    filter_terms_max=12,
    in_list_max=10,
    name_length_max=20,
    string_id_bytes_max=16,
    collections_max=3,
    vector_fields_max=3,
    field_indexes_max=2,
    filtered_update_points_max=30,
    prefetch_depth_max=3,
    prefetch_candidates_max=30,
    matrix_points_max=5,
    formula_depth_max=4,
    formula_terms_max=12,
)


@pytest.fixture
def small() -> Iterator[Client]:
    with serving(SMALL) as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert(5)
        yield client
        client.channel.close()


def new(name: str, *, dims: tuple[int, ...] = (4,), fields: int = 0) -> cpb.CreateCollectionRequest:
    vectors = {f"v{n}": cpb.VectorField(dim=dim) for n, dim in enumerate(dims)}
    return cpb.CreateCollectionRequest(
        name=name, schema={"vectors": vectors, "fields": {f"f{n}": cpb.FIELD_KIND_KEYWORD for n in range(fields)}}
    )


def deep_json(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def sized_json(size: int) -> bytes:
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


def deep_filter(depth: int) -> filter_pb2.Filter:
    value = filter_pb2.Filter(must=[{"key": "n", "match_value": {"integer_value": 1}}])
    for _ in range(depth - 1):
        value = filter_pb2.Filter(must=[{"filter": value}])
    return value


def wide_filter(terms: int) -> filter_pb2.Filter:
    return filter_pb2.Filter(should=[{"key": "n", "exists": {}}] * terms)


def listing(length: int) -> filter_pb2.Filter:
    values = [{"integer_value": n} for n in range(length)]
    return filter_pb2.Filter(must=[{"key": "n", "match_any": {"values": values}}])


def upsert(*points: pb.Point) -> pb.UpsertRequest:
    return pb.UpsertRequest(collection="docs", points=points)


def batch(*upserts: pb.UpsertRequest, ids: int = 0) -> pb.UpdateBatchRequest:
    operations = [pb.UpdateOperation(upsert=one) for one in upserts]
    if ids:
        listed = {"nums": range(100, 100 + ids)}
        operations.append(pb.UpdateOperation(delete=pb.DeletePointsRequest(id_column=listed)))
    return pb.UpdateBatchRequest(collection="docs", operations=operations)


def columns(count: int) -> pb.UpsertRequest:
    return pb.UpsertRequest(collection="docs", batch={"ids": {"nums": range(count)}})


def nested(depth: int) -> pb.QueryRequest:
    """A fusion of so many levels of prefetches."""
    inner = pb.Prefetch(nearest=query().nearest, using="text", limit=1)
    for _ in range(depth - 1):
        inner = pb.Prefetch(fusion={"rrf": {}}, prefetch=[inner], limit=1)
    return pb.QueryRequest(collection="docs", fusion={"rrf": {}}, prefetch=[inner])


def prefetches(candidates: int) -> pb.QueryRequest:
    inner = pb.Prefetch(nearest=query().nearest, using="text", limit=1)
    return pb.QueryRequest(collection="docs", fusion={"rrf": {}}, prefetch=[inner] * candidates)


def matrix(points: int) -> pb.DistanceMatrixRequest:
    return pb.DistanceMatrixRequest(collection="docs", using="text", sample=points)


def formula(tree: formula_pb2.Expression) -> pb.QueryRequest:
    inner = pb.Prefetch(nearest=query().nearest, using="text", limit=1)
    return pb.QueryRequest(collection="docs", formula=tree, prefetch=[inner])


def deep_formula(depth: int) -> pb.QueryRequest:
    tree = formula_pb2.Expression(number=1)
    for _ in range(depth - 1):
        tree = formula_pb2.Expression(call={"operator": "OPERATOR_ABS", "args": [tree]})
    return formula(tree)


def wide_formula(terms: int) -> pb.QueryRequest:
    ones = [formula_pb2.Expression(number=1)] * (terms - 1)
    return formula(formula_pb2.Expression(call={"operator": "OPERATOR_ADD", "args": ones}))


# The limit, the call, and the request of a given size.
CASES: list[tuple[str, str, Callable[[int], Any]]] = [
    ("dim_max", "collections.Create", lambda n: new("c", dims=(n,))),
    ("k_max", "points.Query", lambda n: query(limit=n)),
    ("k_max", "points.Query", lambda n: query(limit=1, offset=n - 1)),
    ("k_max", "points.Scroll", lambda n: pb.ScrollRequest(collection="docs", limit=n)),
    ("queries_per_request_max", "points.QueryBatch", lambda n: pb.QueryBatchRequest(queries=[query()] * n)),
    ("batch_points_max", "points.Upsert", lambda n: upsert(*[point(i) for i in range(n)])),
    ("batch_points_max", "points.Upsert", columns),
    ("batch_points_max", "points.Get", lambda n: pb.GetPointsRequest(collection="docs", id_column={"nums": range(n)})),
    (
        "batch_points_max",
        "points.Delete",
        lambda n: pb.DeletePointsRequest(collection="docs", id_column={"nums": range(100, 100 + n)}),
    ),
    ("batch_points_max", "points.UpdateBatch", lambda n: batch(*[upsert(point(i)) for i in range(2)], ids=n - 2)),
    ("batch_operations_max", "points.UpdateBatch", lambda n: batch(*[upsert(point(i)) for i in range(n)])),
    ("payload_bytes_max", "points.Upsert", lambda n: upsert(point(1, payload_json=sized_json(n)))),
    (
        "payload_bytes_max",
        "points.OverwritePayload",
        lambda n: pb.SetPayloadRequest(collection="docs", ids=[{"num": 1}], payload_json=sized_json(n)),
    ),
    ("payload_depth_max", "points.Upsert", lambda n: upsert(point(1, payload_json=deep_json(n)))),
    ("filter_depth_max", "points.Query", lambda n: query(filter=deep_filter(n))),
    ("filter_depth_max", "points.Delete", lambda n: pb.DeletePointsRequest(collection="docs", filter=deep_filter(n))),
    ("filter_terms_max", "points.Count", lambda n: pb.CountRequest(collection="docs", filter=wide_filter(n))),
    ("in_list_max", "points.Query", lambda n: query(filter=listing(n))),
    ("name_length_max", "collections.Create", lambda n: new("c" * n)),
    ("name_length_max", "collections.Create", lambda n: _named_vector("v" * n)),
    ("string_id_bytes_max", "points.Upsert", lambda n: upsert(point(1, id={"str": "x" * n}))),
    ("vector_fields_max", "collections.Create", lambda n: new("c", dims=(4,) * n)),
    ("field_indexes_max", "collections.Create", lambda n: new("c", fields=n)),
    ("prefetch_depth_max", "points.Query", nested),
    ("prefetch_candidates_max", "points.Query", prefetches),
    ("matrix_points_max", "points.DistanceMatrix", matrix),
    ("formula_depth_max", "points.Query", deep_formula),
    ("formula_terms_max", "points.Query", wide_formula),
]  # fmt: skip


def _named_vector(name: str) -> cpb.CreateCollectionRequest:
    return cpb.CreateCollectionRequest(name="c", schema={"vectors": {name: {"dim": 4}}})


# Tested below or in the files named, because a size is not all there is to them.
ELSEWHERE = {
    "collections_max": "here",
    "aliases_max": "tests/engine/test_aliases.py",
    "filtered_update_points_max": "here",
    "idempotency_keys_max": "tests/client/test_conditional_writes.py",
    "message_bytes_max": "test_server_messages.py",
    "connections_max": "test_server_messages.py",
    "rpcs_in_flight_max": "test_server_overload.py",
    "rpcs_queued_max": "test_server_overload.py",
    "request_bytes_held_max": "test_server_overload.py",
    "deadline_default_s": "test_server_deadlines.py",
    "receive_deadline_s": "test_server_deadlines.py",
    "text_length_max": "tests/client/test_text_doors.py",
    "tokens_max": "tests/client/test_stages_doors.py",
}


def test_every_limit_has_a_test() -> None:
    assert {limit for limit, _, _ in CASES} | set(ELSEWHERE) == set(Limits.__struct_fields__)


def call_of(client: Client, name: str) -> Callable[..., Any]:
    service, method = name.split(".")
    call: Callable[..., Any] = getattr(getattr(client, service), method)
    return call


@pytest.mark.parametrize(
    ("limit", "call", "request_of"), CASES, ids=[f"{c[0]}-{c[1]}-{n}" for n, c in enumerate(CASES)]
)
def test_at_the_bound_and_past_it(small: Client, limit: str, call: str, request_of: Callable[[int], Any]) -> None:
    bound = getattr(SMALL, limit)
    for size in (bound + 1, bound * 10 + 1):
        before = small.state(), [c.name for c in small.collections.List(cpb.ListCollectionsRequest()).collections]
        code, error = failure(call_of(small, call), request_of(size))
        assert (code, error.reason) == ("INVALID_ARGUMENT", "LIMIT_EXCEEDED"), error
        assert f"{limit}={bound}" in error.message
        assert (error.metadata["limit"], error.metadata["bound"]) == (limit, str(bound))
        assert error.field_violations
        after = small.state(), [c.name for c in small.collections.List(cpb.ListCollectionsRequest()).collections]
        assert after == before
    call_of(small, call)(request_of(bound), timeout=60)


@pytest.mark.parametrize("value", [0, -1, 2**31, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize(
    ("limit", "call", "request_of"),
    [
        ("k_max", "points.Query", lambda n: query(limit=n)),
        ("k_max", "points.Scroll", lambda n: pb.ScrollRequest(collection="docs", limit=n)),
        ("k_max", "points.Query", lambda n: query(offset=n if n else -2)),
        ("dim_max", "collections.Create", lambda n: new("c", dims=(n,))),
    ],
)
def test_absurd_numbers(client: Client, limit: str, call: str, request_of: Callable[[int], Any], value: int) -> None:
    bound = getattr(Limits(), limit)
    code, error = failure(call_of(client, call), request_of(value))
    assert code == "INVALID_ARGUMENT"
    if value > bound:
        assert error.reason == "LIMIT_EXCEEDED"
        assert f"{limit}={bound}" in error.message
    assert str(value or -2) in error.message or str(value) in error.message
    assert client.state() == (1, 5)


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("points.Upsert", upsert()),
        ("points.Upsert", columns(0)),
        ("points.Get", pb.GetPointsRequest(collection="docs")),
        ("points.QueryBatch", pb.QueryBatchRequest()),
    ],
)
def test_nothing_at_all_is_an_empty_batch(client: Client, call: str, request_: Any) -> None:
    code, error = failure(call_of(client, call), request_)
    assert (code, error.reason) == ("INVALID_ARGUMENT", "EMPTY_BATCH")


@pytest.mark.parametrize("name", ["", "a b", "../x", "/etc", "a\0b", "é", "a.b", "x" * 256])
def test_bad_names(client: Client, name: str) -> None:
    code, error = failure(client.collections.Create, new(name))
    assert code == "INVALID_ARGUMENT"
    assert error.reason in ("BAD_NAME", "LIMIT_EXCEEDED")


def test_collections_max(small: Client) -> None:
    for number in range(SMALL.collections_max - 1):
        small.collections.Create(new(f"c{number}"))
    code, error = failure(small.collections.Create, new("one-more"))
    assert (code, error.reason) == ("INVALID_ARGUMENT", "LIMIT_EXCEEDED")
    assert "collections_max=3" in error.message
    assert not small.collections.Exists(cpb.CollectionExistsRequest(name="one-more")).exists


def test_filtered_update_points_max(small: Client) -> None:
    bound = SMALL.filtered_update_points_max
    everything = filter_pb2.Filter(must=[{"key": "n", "exists": {}}])
    request = pb.SetPayloadRequest(collection="docs", filter=everything, payload_json=b'{"m":1}')
    small.upsert(bound)
    assert small.points.SetPayload(request).changed == bound
    small.upsert(bound + 1)
    before = small.state()
    _, error = failure(small.points.SetPayload, request)
    assert error.reason == "LIMIT_EXCEEDED"
    assert f"filtered_update_points_max={bound}" in error.message
    assert small.state() == before


POISON = [float("nan"), float("inf"), float("-inf"), 1e30, 3e38]


@pytest.mark.parametrize("value", POISON)
@pytest.mark.parametrize("dtype", ["values", "float32", "float16", "bfloat16"])
def test_poison_numbers_in_vectors(client: Client, value: float, dtype: str) -> None:

    numbers = np.array([value, 1, 1, 1], np.float32)
    if dtype == "values":
        dense: dict[str, Any] = {"values": numbers.tolist()}
    elif dtype == "float32":
        dense = {"data": numbers.tobytes()}
    elif dtype == "float16":
        with np.errstate(over="ignore"):
            dense = {"data": numbers.astype(np.float16).tobytes(), "dtype": common_pb2.DATA_TYPE_FLOAT16}
    else:
        dense = {"data": (numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes(), "dtype": "DATA_TYPE_BFLOAT16"}
    vectors = {"text": {"dense": dense}}
    column = {"dtype": dense.get("dtype", 0), "dim": 4, "data": dense.get("data", b"")}
    requests = [upsert(point(1), point(2, vectors=vectors))]
    if column["data"]:
        requests.append(pb.UpsertRequest(collection="docs", batch={"ids": {"nums": [1]}, "vectors": {"text": column}}))
    for request in requests:
        code, error = failure(client.points.Upsert, request)
        assert (code, error.reason) == ("INVALID_ARGUMENT", "NAN_OR_INF")
        assert "text" in error.message
    code, error = failure(client.points.Query, query(nearest={"dense": dense}))
    assert (code, error.reason) == ("INVALID_ARGUMENT", "NAN_OR_INF")
    assert client.state() == (1, 5)


def test_other_poison(client: Client) -> None:
    zero = {"dense": {"values": [0, 0, 0, 0]}}
    nan = float("nan")
    cases: list[tuple[str, Any, str]] = [
        ("Upsert", upsert(point(1, vectors={"text": zero})), "ZERO_VECTOR"),
        ("Query", query(nearest=zero), "ZERO_VECTOR"),
        ("Query", query(score_threshold=nan), "NAN_OR_INF"),
        ("Query", query(filter={"must": [{"key": "n", "range": {"gt": {"real": nan}}}]}), "BAD_FILTER"),
        ("Query", query(filter={"must": [{"key": "n", "match_value": {"double_value": nan}}]}), "BAD_FILTER"),
        ("Query", query(using="none"), "VECTOR_NAME_UNKNOWN"),
        ("Query", query(using=""), "VECTOR_NAME_UNKNOWN"),
        ("Query", query(nearest={"dense": {"values": [1, 2]}}), "DIMENSION_MISMATCH"),
        ("Query", query(nearest={"binary": {"data": b"1234"}}), "BAD_VECTOR"),
        ("Query", query(using="bits"), "DIMENSION_MISMATCH"),
        ("Query", query(using="bits", nearest={"dense": {"values": [1, 1]}}), "BAD_VECTOR"),
        ("Upsert", upsert(point(1, vectors={"none": zero})), "VECTOR_NAME_UNKNOWN"),
        ("Upsert", upsert(point(1, vectors={"text": {"binary": {"data": b"1234"}}})), "BAD_VECTOR"),
        ("Upsert", upsert(point(1, vectors={"bits": {"dense": {"values": [1.0, 0.0]}}})), "BAD_VECTOR"),
        ("Upsert", upsert(point(1, payload={"a": {"double_value": nan}})), "BAD_PAYLOAD"),
        ("Upsert", upsert(point(1, payload_json=b'{"a": NaN}')), "BAD_PAYLOAD"),
        ("Upsert", upsert(point(1, payload_json=b"[1]")), "BAD_PAYLOAD"),
        ("Upsert", upsert(point(1, id={"str": ""})), "BAD_ID"),
    ]
    for call, request, reason in cases:
        code, error = failure(getattr(client.points, call), request)
        assert (code, error.reason) == ("INVALID_ARGUMENT", reason), request
    assert client.state() == (1, 5)
