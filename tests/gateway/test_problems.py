"""What is refused: status, reason, and the path of what is wrong."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from gateway_support import DOCS, JSON, paths, refused

POINT = {"id": 1, "vectors": {"text": [1, 2, 3, 4]}}
QUERY = {"nearest": [1, 2, 3, 4], "using": "text"}

BAD: list[tuple[str, str, Any, str, str]] = [
    ("PUT", "/points", {}, "BAD_ARGUMENT", "points"),
    ("PUT", "/points", {"points": []}, "EMPTY_BATCH", "ids"),
    ("PUT", "/points", {"points": [POINT], "batch": {"ids": [1]}}, "BAD_ARGUMENT", "points"),
    ("PUT", "/points", {"points": [POINT], "mode": "replace"}, "BAD_ARGUMENT", "mode"),
    ("PUT", "/points", {"points": [POINT, {"id": -1}]}, "BAD_ID", "points[1].id"),
    ("PUT", "/points", {"points": [{"id": ""}]}, "BAD_ID", "points[0].id"),
    ("PUT", "/points", {"points": [{"id": 1.5}]}, "BAD_ID", "points[0].id"),
    ("PUT", "/points", {"points": [{"id": True}]}, "BAD_ID", "points[0].id"),
    ("PUT", "/points", {"points": [{"id": 1 << 64}]}, "BAD_ID", "points[0].id"),
    ("PUT", "/points", {"points": [{"vectors": {}}]}, "BAD_ARGUMENT", "points[0]"),
    ("PUT", "/points", {"points": [{**POINT, "vector": [1]}]}, "BAD_ARGUMENT", "points[0].vector"),
    ("PUT", "/points", {"points": [POINT, {"id": 2, "payload": [1]}]}, "BAD_PAYLOAD", "points[1].payload"),
    ("PUT", "/points", {"points": [POINT] * 3 + [{"id": 9, "vectors": {"text": [1, 2, 3]}}]},
     "DIMENSION_MISMATCH", "points[3].vectors.text"),
    ("PUT", "/points", {"points": [POINT, {"id": 9, "vectors": {"body": "x", "text": [1, "2", 3, 4]}}]},
     "BAD_VECTOR", "points[1].vectors.text[1]"),
    ("PUT", "/points", {"points": [{"id": 9, "vectors": {"text": [0, 0, 0, 0]}}]},
     "ZERO_VECTOR", "points[0].vectors.text"),
    ("PUT", "/points", {"points": [{"id": 9, "vectors": {"text": [1e39, 0, 0, 0]}}]},
     "NAN_OR_INF", "points[0].vectors.text"),
    ("PUT", "/points", {"points": [{"id": 9, "vectors": {"text": {"data": "AAAA"}}}]},
     "BAD_VECTOR", "points[0].vectors.text.data"),
    ("PUT", "/points", {"points": [{"id": 9, "vectors": {"text": {"data": "!!"}}}]},
     "BAD_VECTOR", "points[0].vectors.text.data"),
    ("PUT", "/points", {"points": [{"id": 9, "vectors": {"text": {}}}]}, "BAD_VECTOR", "points[0].vectors.text"),
    ("PUT", "/points", {"points": [{"id": 9, "vectors": {"text": {"data": "/////w==", "dtype": "bit"}}}]},
     "BAD_VECTOR", "vectors.text"),
    ("PUT", "/points", {"batch": {"ids": [1, 2], "payloads": [None]}}, "BAD_PAYLOAD", "batch.payloads"),
    ("PUT", "/points", {"batch": {"ids": [1], "vectors": {"text": {"data": "AAAA", "dim": 4}}}},
     "BAD_VECTOR", "batch.vectors.text.data"),
    ("POST", "/points/query", {"using": "text"}, "BAD_VECTOR", "nearest"),
    ("POST", "/points/query", {**QUERY, "nearest_id": 1}, "BAD_ARGUMENT", "nearest_id"),
    ("POST", "/points/query", {**QUERY, "limit": 0}, "BAD_ARGUMENT", "k"),
    ("POST", "/points/query", {**QUERY, "limit": "3"}, "BAD_ARGUMENT", "limit"),
    ("POST", "/points/query", {**QUERY, "nearest": [1, 2]}, "DIMENSION_MISMATCH", "query"),
    ("POST", "/points/query", {**QUERY, "nearest": [1, [2], 3, 4]}, "BAD_VECTOR", "nearest"),
    ("POST", "/points/query", {**QUERY, "nearest": [[1, 2], [3]]}, "DIMENSION_MISMATCH", "nearest"),
    ("POST", "/points/query", {**QUERY, "nearest": {"data": "/////w==", "dtype": "bit"}}, "BAD_VECTOR", "nearest"),
    ("POST", "/points/query", {**QUERY, "nearest": {"indices": [1, 2], "values": [1]}}, "BAD_VECTOR", "nearest[0]"),
    ("POST", "/points/query", {**QUERY, "filter": {"must": [{"key": "a"}]}}, "BAD_FILTER", "filter.must[0]"),
    ("POST", "/points/query", {**QUERY, "min_seq": 1 << 70}, "LIMIT_EXCEEDED", "min_seq"),
    ("POST", "/points/query", {**QUERY, "timeout_ms": 0}, "BAD_ARGUMENT", "timeout_ms"),
    ("POST", "/points/query", {"fusion": {"weights": [1]}, "prefetch": [QUERY]}, "BAD_ARGUMENT", "fusion"),
    ("POST", "/points/query", {"fusion": "rrf", "prefetch": [{"using": "text"}]}, "BAD_VECTOR", "prefetch[0].nearest"),
    ("POST", "/points/query", {"formula": {"add": 1}, "prefetch": [QUERY]}, "BAD_FORMULA", "formula.add"),
    ("POST", "/points/query", {"formula": "score(0) + spam(1)", "prefetch": [QUERY]}, "BAD_FORMULA", "formula"),
    ("POST", "/points/query", {"recommend": {"positive": [{}]}, "using": "text"},
     "BAD_VECTOR", "recommend.positive[0]"),
    ("POST", "/points/query/batch", {"queries": []}, "EMPTY_BATCH", "queries"),
    ("POST", "/points/query/batch", {"queries": [QUERY, {**QUERY, "filter": 3}]}, "BAD_FILTER", "queries[1].filter"),
    ("POST", "/points/delete", {"filter": {"has_id": [{"uuid": "x"}]}}, "BAD_FILTER", "filter.has_id[0].uuid"),
    ("POST", "/points/payload", {"ids": [1]}, "BAD_ARGUMENT", "body"),
    ("POST", "/points/facet", {"key": "lang", "limit": 0}, "BAD_ARGUMENT", "limit"),
    ("PUT", "/indexes/x", {"kind": "number"}, "BAD_ARGUMENT", "kind"),
    ("PUT", "/vectors/text/index", {"index": "ivf | nothing"}, "BAD_INDEX_SPEC", "index"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "reason", "where"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(
    client: httpx.Client, method: str, path: str, body: Any, reason: str, where: str
) -> None:
    before = client.get(DOCS).json()
    problem = refused(client.request(method, DOCS + path, json=body), 400, reason)
    assert where in paths(problem), problem
    assert client.get(DOCS).json() == before


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"points": [', b"\xff", b"[" * 100_000, b'{"a": \x00}', b'{"points": []} x', b"null"]
)
def test_what_is_no_json_is_refused(client: httpx.Client, body: bytes) -> None:
    response = client.put(f"{DOCS}/points", content=body, headers=JSON)
    assert response.status_code == 400
    assert response.json()["reason"] in ("BAD_JSON", "BAD_ARGUMENT", "BAD_ID")


def test_routes_methods_and_media_types(client: httpx.Client) -> None:
    refused(client.get("/v2/collections"), 404, "ROUTE_NOT_FOUND")
    refused(client.get("/v1/collections//points"), 404, "ROUTE_NOT_FOUND")
    response = client.patch(f"{DOCS}/points")
    refused(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "PUT"
    for media in ("", "text/plain", "application/x-www-form-urlencoded"):
        response = client.put(f"{DOCS}/points", content=b"{}", headers={"content-type": media})
        refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    response = client.put(f"{DOCS}/points", content=b"{}", headers={**JSON, "content-encoding": "br"})
    refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    refused(client.get("/v1/collections/no-such"), 404, "COLLECTION_NOT_FOUND")
    refused(client.get("/v1/collections/a%20b"), 400, "BAD_NAME")
    refused(client.get("/v1/collections/%ff"), 400, "BAD_PATH")
    refused(client.get(f"{DOCS}/points/777"), 404, "POINT_NOT_FOUND")
    refused(client.get("/v1/operations/none"), 404, "OPERATION_NOT_FOUND")
    refused(client.get("/v1/operations?colection=docs"), 400, "BAD_ARGUMENT")
    refused(client.get(f"{DOCS}/points/1?with_vectors=maybe"), 400, "BAD_ARGUMENT")
    refused(client.get(f"{DOCS}/points/1?with_vectors=true&with_vectors=true"), 400, "BAD_ARGUMENT")
    body = {"schema": {"vectors": {"text": {"dim": 5}}}}
    refused(client.put(DOCS, json=body), 409, "COLLECTION_EXISTS")


def test_request_ids_come_back(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"x-request-id": "abc-123"}).headers["x-request-id"] == "abc-123"
    new = client.get("/healthz").headers["x-request-id"]
    assert new != client.get("/healthz").headers["x-request-id"]
    for bad in ("two words", "x" * 129):
        assert client.get("/healthz", headers={"x-request-id": bad}).headers["x-request-id"] != bad


def test_a_call_may_bring_its_own_deadline(client: httpx.Client) -> None:
    for bad in ("0", "-1", "soon", "9" * 30):
        response = client.post(f"{DOCS}/points/count", json={}, headers={"x-timeout-ms": bad})
        refused(response, 400, "BAD_ARGUMENT")
    late = client.post(f"{DOCS}/points/count", json={"min_seq": 1_000_000}, headers={"x-timeout-ms": "50"})
    refused(late, 504, "QUERY_TIMEOUT")
    query = {"nearest": [1, 2, 3, 4], "using": "text", "min_seq": 1_000_000, "timeout_ms": 50}
    refused(client.post(f"{DOCS}/points/query", json=query), 504, "QUERY_TIMEOUT")
