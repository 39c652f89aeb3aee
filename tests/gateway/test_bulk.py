"""Points by the stream, as lines of JSON and as Arrow: what goes in comes out, and what is wrong is named."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pyarrow as pa
import pytest
from gateway_support import paths, refused

from vecstore.gateway import bulk

SEED = 20261127
N = 1_300  # more than two batches of lines
BULK = "/v1/collections/bulk"
LINES = {"content-type": bulk.NDJSON}
ARROW = {"content-type": bulk.ARROW}
FIELDS = {"v": {"dim": 4}, "t": {"kind": "text"}, "s": {"kind": "sparse"}, "m": {"kind": "multi", "dim": 2}}
ODD = "6f6e6c79-2061-4e20-8578-616d706c6500"


def points() -> list[dict[str, Any]]:
    rng = np.random.default_rng(SEED)
    made = [
        {"id": n, "payload": {"n": n, "big": (1 << 63) - 1 - n}, "vectors": {"v": rng.random(4).astype("f4").tolist()}}
        for n in range(N)
    ]
    made[7]["id"], made[8]["id"], made[9]["id"] = ODD, {"str": ODD}, "seven"
    made[10]["vectors"] = {"t": "a whale", "s": {"indices": [3, 9], "values": [0.5, 2.0]}}
    made[12]["vectors"]["m"] = [[0.5, 1.0], [2.0, -1.0]]
    made[11].pop("payload")
    return made


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def empty(client: httpx.Client) -> httpx.Client:
    client.delete(BULK)
    schema = {"vectors": FIELDS}
    assert client.put(BULK, json={"schema": schema}).status_code == 200
    return client


def exported(client: httpx.Client, **headers: str) -> httpx.Response:
    response = client.post(f"{BULK}/export", json={}, headers=headers)
    assert response.status_code == 200, response.text
    return response


def test_lines_go_in_and_come_out(empty: httpx.Client) -> None:
    rows = points()
    answer = empty.post(f"{BULK}/import", content=iter([lines(rows[:3]), lines(rows[3:])]), headers=LINES).json()
    assert (answer["points"], answer["changed"], answer["skipped"]) == (N, N, 0)
    found = [json.loads(line) for line in exported(empty).iter_lines()]
    order = {json.dumps(row["id"]): row for row in rows}
    assert len(found) == N
    for one in found:
        row = order[json.dumps(one["id"])]
        assert one["payload"] == row.get("payload", {})
        if "v" in row["vectors"]:
            np.testing.assert_array_equal(np.array(one["vectors"]["v"], "f4"), np.array(row["vectors"]["v"], "f4"))
    assert [one["id"] for one in found[-3:]] == [ODD, {"str": ODD}, "seven"]
    again = empty.post(f"{BULK}/import?mode=insert_only", content=lines(rows[:5]), headers=LINES).json()
    assert (again["changed"], again["skipped"]) == (0, 5)
    packed = gzip.compress(lines(rows[:5]))
    put = empty.post(f"{BULK}/import", content=packed, headers={**LINES, "content-encoding": "gzip"})
    assert put.json()["changed"] == 5
    some = empty.post(f"{BULK}/export", json={"filter": {"key": "n", "range": {"lt": 3}}, "with_vectors": False})
    assert [json.loads(line)["payload"]["n"] for line in some.iter_lines()] == [0, 1, 2]


def test_arrow_goes_out_and_in(empty: httpx.Client) -> None:
    assert empty.post(f"{BULK}/import", content=lines(points()), headers=LINES).status_code == 200
    before = exported(empty).content
    stream = exported(empty, accept=bulk.ARROW).content
    table = pa.ipc.open_stream(io.BytesIO(stream)).read_all()
    assert table.num_rows == N
    assert set(table.column_names) == {"id", "id_kind", "v", "t", "s", "m", "payload"}
    empty.delete(BULK)
    schema = {"vectors": FIELDS}
    empty.put(BULK, json={"schema": schema})
    assert empty.post(f"{BULK}/import", content=stream, headers=ARROW).json()["changed"] == N

    def plain(content: bytes) -> list[Any]:
        return [{**json.loads(line), "seq": 0} for line in content.splitlines()]

    assert plain(exported(empty).content) == plain(before)


def test_arrow_of_others(empty: httpx.Client) -> None:
    """Ids as numbers, vectors as lists, payload in columns."""
    columns = {
        "id": pa.array([1, 2], pa.uint64()),
        "v": pa.array([[1, 2, 3, 4], None], pa.list_(pa.float32(), 4)),
        "m": pa.array([None, [[1, 2], [3, 4]]], pa.list_(pa.list_(pa.float64()))),
        "lang": pa.array(["en", None]),
    }
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.table(columns).schema) as writer:
        writer.write_table(pa.table(columns))
    assert empty.post(f"{BULK}/import", content=sink.getvalue(), headers=ARROW).json()["points"] == 2
    found = empty.post(f"{BULK}/points/get", json={"ids": [1, 2], "with_vectors": True}).json()["points"]
    assert found[0]["payload"] == {"lang": "en"}
    assert found[0]["vectors"]["v"] == [1, 2, 3, 4]
    assert found[1]["payload"] == {}
    assert found[1]["vectors"] == {"m": [[1, 2], [3, 4]]}
    for broken in (sink.getvalue()[:-200], b"nothing of the kind", b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 9):
        problem = empty.post(f"{BULK}/import", content=broken, headers=ARROW)
        assert problem.status_code in (400, 413), problem.text


def test_what_fails_is_named_and_what_is_written_is_counted(empty: httpx.Client) -> None:
    rows = points()
    rows[700]["vectors"] = {"v": [1, 2]}
    problem = refused(empty.post(f"{BULK}/import", content=lines(rows), headers=LINES), 400, "DIMENSION_MISMATCH")
    assert problem["metadata"]["points_written"] == str(bulk.LINES)
    assert paths(problem) == ["points[700].vectors.v"]
    assert empty.post(f"{BULK}/points/count", json={}).json()["count"] == bulk.LINES
    rows = points()
    rows[600]["id"] = ""  # refused by the engine
    assert paths(refused(empty.post(f"{BULK}/import", content=lines(rows), headers=LINES), 400, "BAD_ID")) == [
        "points[600].id"
    ]
    body = lines(rows[:600]) + b'{"id": 5, "payloads": 3}\n'
    problem = refused(empty.post(f"{BULK}/import", content=body, headers=LINES), 400, "BAD_ARGUMENT")
    assert problem["errors"][0]["path"] == "points[600].payloads"
    refused(empty.post(f"{BULK}/import", content=b"{}", headers={"content-type": "text/csv"}), 415,
            "UNSUPPORTED_MEDIA_TYPE")  # fmt: skip
    refused(empty.post(f"{BULK}/export", json={}, headers={"accept": "text/csv"}), 415, "UNSUPPORTED_MEDIA_TYPE")
    refused(empty.post("/v1/collections/none/export", json={}), 404, "COLLECTION_NOT_FOUND")
    refused(empty.post(f"{BULK}/export", json={"after": ""}), 400, "BAD_ID")
    refused(empty.post(f"{BULK}/export", json={"with_vectors": ["w"]}), 400, "VECTOR_NAME_UNKNOWN")
    where = {"has_vector": "w"}
    for accept in bulk.MEDIA:
        refused(
            empty.post(f"{BULK}/export", json={"filter": where}, headers={"accept": accept}), 400, "VECTOR_NAME_UNKNOWN"
        )


def arrow(*blocks: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    made = [pa.RecordBatch.from_pydict({"id": pa.array(b["id"], pa.uint64()), "v": b["v"]}) for b in blocks]
    with pa.ipc.new_stream(sink, made[0].schema) as writer:
        for one in made:
            writer.write_batch(one)
    return sink.getvalue()


def test_points_are_put_as_lines_or_arrow_all_or_none(empty: httpx.Client) -> None:
    put = f"{BULK}/points"
    written = empty.put(put, content=lines(points()), headers=LINES).json()
    assert written["changed"] == N
    seq = written["seq"]
    blocks = [{"id": [5000 + n, 6000 + n], "v": [[n, 0, 0, 1], None]} for n in range(3)]
    written = empty.put(put, content=arrow(*blocks), headers=ARROW).json()
    assert (written["changed"], written["seq"]) == (6, seq + 1)  # one write
    found = empty.post(f"{put}/get", json={"ids": [5002, 6002], "with_vectors": True}).json()["points"]
    assert [one["vectors"] for one in found] == [{"v": [2, 0, 0, 1]}, {}]
    again = arrow(*({**one, "id": [id + 50 for id in one["id"]]} for one in blocks))
    assert empty.put(put, content=again[:-300], headers=ARROW).status_code == 400
    wrong = arrow({"id": [7000], "v": [[1, 2, 3, 4]]}, {"id": [7001], "v": [[1, 2]]})
    refused(empty.put(put, content=wrong, headers=ARROW), 400, "DIMENSION_MISMATCH")
    rows = [{**row, "id": 9000 + n} for n, row in enumerate(points())]
    rows[1_200]["vectors"] = {"v": [1, 2]}
    problem = refused(empty.put(put, content=lines(rows), headers=LINES), 400, "DIMENSION_MISMATCH")
    assert paths(problem) == ["points[1200].vectors.v"]
    rows[1_200]["vectors"] = {"v": ["a", 2, 3, 4]}
    problem = empty.put(put, content=lines(rows), headers=LINES).json()
    assert problem["status"] == 400
    assert paths(problem)[0].startswith("points[1200].vectors")
    for nothing in (b"", b"\n\n"):
        refused(empty.put(put, content=nothing, headers=LINES), 400, "EMPTY_BATCH")
    assert empty.put(put, content=arrow({"id": [], "v": pa.array([], pa.list_(pa.float32()))}), headers=ARROW).json()[
        "reason"] == "EMPTY_BATCH"  # fmt: skip
    assert empty.post(f"{put}/count", json={}).json()["count"] == N + 6


def test_conditions_and_keys_are_given_beside_lines_and_arrow(empty: httpx.Client) -> None:
    """As in a body of JSON: which points a write may touch, and that it is done once."""
    put = f"{BULK}/points"
    first = [{"id": n, "vectors": {"v": [1, 0, 0, n]}, "payload": {"open": n % 2 == 0}} for n in range(4)]
    once = {"idempotency_key": "load-1"}
    written = empty.put(put, content=lines(first), headers=LINES, params=once).json()
    assert empty.put(put, content=lines(first), headers=LINES, params=once).json() == written
    refused(empty.put(put, content=lines(first[:2]), headers=LINES, params=once), 400, "IDEMPOTENCY_KEY_REUSED")
    only_open = {"if_match": json.dumps({"filter": {"key": "open", "match": {"value": True}}})}
    table, sink = pa.table({"id": [0, 1, 2, 3], "v": [[0.0, 1.0, 0.0, 0.0]] * 4, "open": [True] * 4}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    columns = sink.getvalue()
    for method, path in (("PUT", put), ("POST", f"{BULK}/import")):
        answer = empty.request(method, path, content=columns, headers=ARROW, params=only_open).json()
        assert (answer["changed"], answer["skipped"]) == (2, 2), answer
    seqs = {"if_match": json.dumps({"seqs": [written["seq"]], "fail": True})}
    assert empty.put(put, content=lines(first[1:2]), headers=LINES, params=seqs).status_code == 200
    refused(empty.put(put, content=lines(first[1:2]), headers=LINES, params=seqs), 412, "VERSION_MISMATCH")
    new = empty.put(put, content=lines([{"id": 0}]), headers=LINES, params={"mode": "insert_only"}).json()
    assert (new["changed"], new["skipped"]) == (0, 1)
    for given, reason, path in (
        ("{", "BAD_ARGUMENT", "if_match"),
        ('{"seq": 3}', "BAD_ARGUMENT", "if_match"),
        ('{"filter": 3}', "BAD_FILTER", "if_match.filter"),
    ):
        problem = refused(empty.put(put, content=lines(first), headers=LINES, params={"if_match": given}), 400, reason)
        assert paths(problem) == [path]
    for params in (only_open, once, {"mode": "insert_only"}, {"durability": "os"}):
        wrong = refused(empty.put(put, json={"points": first}, params=params), 400, "BAD_ARGUMENT")
        assert paths(wrong) == list(params)


def test_a_stream_sent_again_is_written_once(empty: httpx.Client) -> None:
    rows, key = lines([{"id": n, "vectors": {"v": [n, 0, 0, 1]}} for n in range(N)]), {"idempotency_key": "again"}
    whole = empty.post(f"{BULK}/import", content=iter([rows]), headers=LINES, params=key).json()
    torn = [rows[start : start + 999] for start in range(0, len(rows), 999)]  # other pieces, the same lines
    again = empty.post(f"{BULK}/import", content=iter(torn), headers=LINES, params=key).json()
    assert again == whole
    assert empty.post(f"{BULK}/points/count").json()["seq"] == whole["seq"]
    for params, path in (
        ({"if_match": '{"seqs": [1]}'}, "if_match.seqs"),
        ({"idempotency_key": "k" * 241}, "idempotency_key"),
        ({"idempotency_key": ""}, "idempotency_key"),
    ):
        problem = refused(empty.post(f"{BULK}/import", content=rows, headers=LINES, params=params), 400, "BAD_ARGUMENT")
        assert paths(problem) == [path]


def test_without_pyarrow_arrow_is_refused_by_name(empty: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise bulk.FailedPrecondition(f"this file format needs {name}: pip install 'vecstore[io]'")

    monkeypatch.setattr(bulk, "need_module", missing)
    problem = refused(empty.post(f"{BULK}/import", content=b"", headers=ARROW), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert "vecstore[io]" in problem["detail"]
    assert UUID(ODD)
