"""What a live server logs of calls: failures with a request id, slow queries with where the time went, no secrets."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from server_support import Client, failure, point, query, serving

from vecstore.engine.parts import PARTS
from vecstore.observe.logs import Event, JsonFormatter
from vecstore.pb.v1 import filter_pb2, points_pb2

SECRET = "s3cret-value"
FILTER = filter_pb2.Filter(must=[{"key": "owner", "match_value": {"string_value": SECRET}}])


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    found = [record.msg for record in caplog.records if isinstance(record.msg, Event)]
    return [dict(event.fields) for event in found if event.name == name]


def test_slow_calls_say_where_the_time_went(caplog: pytest.LogCaptureFixture) -> None:
    with serving(slow_query_s=1e-9) as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert(5)
        caplog.clear()
        client.points.Query(
            query(limit=3, filter=FILTER, with_payload={"all": True}), metadata=(("x-request-id", "r-7"),)
        )
        client.points.QueryBatch(points_pb2.QueryBatchRequest(queries=[query(), query()]))
        stream = [points_pb2.QueryStreamRequest(tag=1, query=query(limit=2))]
        list(client.points.QueryStream(iter(stream)))
        client.channel.close()
    slow = {line["method"]: line for line in events(caplog, "slow")}
    assert "Points/QueryStream" not in slow  # it waits for its caller
    one = slow["Points/Query"]
    assert (one["collection"], one["k"], one["filter"]) == ("docs", 3, "must(match_value owner)")
    assert (one["request_id"], one["code"], one["key"], one["using"]) == ("r-7", "OK", "anyone", "text")
    parts = {name: one[name] for name in ("queue_ms", "wait_ms", "search_ms", "payload_ms", "encode_ms")}
    assert all(value >= 0 for value in parts.values())
    assert one["search_ms"] > 0
    assert sum(parts.values()) <= one["ms"] + 0.1
    assert slow["Points/QueryBatch"]["collection"] == "docs"
    assert (slow["Points/QueryStream.query"]["k"], slow["Points/QueryStream.query"]["collection"]) == (2, "docs")
    text = caplog.text + "".join(JsonFormatter().format(record) for record in caplog.records)
    assert SECRET not in text


def test_quick_calls_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    for slow_s in (0.0, 60.0):
        with serving(slow_query_s=slow_s) as (handle, _):
            client = Client(handle.port)
            client.create()
            client.points.Query(query())
            client.channel.close()
        assert not events(caplog, "slow")
        assert not events(caplog, "done")
    caplog.set_level(logging.DEBUG, logger="vecstore")
    with serving() as (handle, _):
        client = Client(handle.port)
        client.create()
        client.channel.close()
    assert events(caplog, "done")[0]["method"] == "Collections/Create"


def test_failures_carry_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="vecstore")
    with serving(api_key="k") as (handle, _):
        client = Client(handle.port)
        key = ("api-key", "k")
        bad = "spaces are no id"
        for given in ("my-id", bad, None):
            more = () if given is None else (("x-request-id", given),)
            _, error = failure(client.points.Query, query(collection="nil8"), metadata=(key, *more))
            line = events(caplog, "failed")[-1]
            assert line["request_id"] == error.metadata["request_id"]
            assert (line["request_id"] == given) == (given == "my-id")
            assert (line["reason"], line["code"], line["collection"]) == ("COLLECTION_NOT_FOUND", "NOT_FOUND", "nil8")
            assert line["peer"]
        _, refused = failure(client.points.Query, query())
        assert events(caplog, "failed")[-1]["request_id"] == refused.metadata["request_id"]
        client.channel.close()


def test_a_request_that_cannot_be_read_is_logged_still(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="vecstore")
    with serving() as (handle, _):
        client = Client(handle.port)
        assert failure(client.raw, "/vecstore.v1.Points/Query", b"\xff\xff")[0] == "INVALID_ARGUMENT"
        client.channel.close()
    line = events(caplog, "failed")[-1]
    assert line["method"] == "Points/Query"
    assert "collection" not in line


def test_queries_that_run_together_say_so(caplog: pytest.LogCaptureFixture) -> None:
    """Many at once on one stream: some wait for others, and each line's times are its own."""
    with serving(slow_query_s=1e-9) as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert(5)
        caplog.clear()
        stream = [points_pb2.QueryStreamRequest(tag=n, query=query(filter=FILTER)) for n in range(64)]
        assert len(list(client.points.QueryStream(iter(stream)))) == 64
        client.upsert(1)
        client.points.Upsert(points_pb2.UpsertRequest(collection="docs", points=[point(1)]))
        client.channel.close()
    lines = [line for line in events(caplog, "slow") if line["method"] == "Points/QueryStream.query"]
    assert len(lines) == 64
    assert any(line.get("batch", 1) > 1 for line in lines)
    assert all(line["wait_ms"] + line["search_ms"] <= line["ms"] + 0.1 for line in lines)
    assert PARTS.get() is None
    assert len(json.dumps(lines[0])) < 1_000
