"""Traces of a live server, caught in memory, and when there are none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from server_support import Client, failure, query

from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.errors import FailedPrecondition, InvalidArgument
from vecstore.observe import tracing as tracing_module
from vecstore.observe.logs import Event
from vecstore.observe.tracing import Tracing, tracing_from_environment
from vecstore.pb.v1 import points_pb2
from vecstore.server.running import start_server

pytest.importorskip("opentelemetry.sdk", reason="needs the otel extra")
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Traced(NamedTuple):
    client: Client
    spans: InMemorySpanExporter


@pytest.fixture
def traced() -> Iterator[Traced]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = Settings(server=Server(port=0))
    with Database.open(None, settings) as database, start_server(database, settings, Tracing(provider)) as handle:
        client = Client(handle.port)
        client.create()
        client.upsert(3)
        exporter.clear()
        yield Traced(client, exporter)
        client.channel.close()


def test_a_call_is_a_span_in_the_callers_trace(traced: Traced) -> None:
    header = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
    traced.client.points.Query(query(filter={"must": [{"key": "n", "exists": {}}]}), metadata=header)
    *children, span = traced.spans.get_finished_spans()
    assert span.name == "vecstore.v1.Points/Query"
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.kind.name == "SERVER"
    assert dict(span.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "vecstore.v1.Points",
        "rpc.method": "Query",
        "rpc.grpc.status_code": "OK",
    }
    assert {child.name for child in children} == {"queue", "wait", "search", "payload", "encode"}
    for child in children:
        assert child.parent.span_id == span.context.span_id
        assert child.context.trace_id == span.context.trace_id
        assert span.start_time - 2_000_000 <= child.start_time <= child.end_time <= span.end_time + 2_000_000
    times = {child.name: child for child in children}
    assert times["wait"].end_time <= times["search"].end_time <= times["payload"].end_time
    assert times["search"].attributes["vecstore.batch"] == 1


def test_calls_without_a_trace_begin_one_each(traced: Traced) -> None:
    for _ in range(2):
        traced.client.points.Query(query())
    bad = (("traceparent", "00-zz"),)
    traced.client.points.Query(query(), metadata=bad)
    roots = [span for span in traced.spans.get_finished_spans() if span.parent is None]
    assert len({span.context.trace_id for span in roots}) == 3


def test_failures_and_their_log_lines_are_in_the_trace(traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="vecstore")
    header = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
    failure(traced.client.points.Query, query(collection="nil8"), metadata=header)
    span = traced.spans.get_finished_spans()[-1]
    assert span.attributes["error.type"] == "COLLECTION_NOT_FOUND"
    assert span.attributes["rpc.grpc.status_code"] == "NOT_FOUND"
    assert span.status.status_code.name == "UNSET"  # the caller's mistake is not the server's error
    [line] = [record.msg.fields for record in caplog.records if isinstance(record.msg, Event)]
    assert line["trace_id"] == TRACE
    assert line["span_id"] == f"{span.context.span_id:016x}"


def test_each_query_of_a_stream_is_a_span(traced: Traced) -> None:
    stream = [points_pb2.QueryStreamRequest(tag=n, query=query()) for n in range(3)]
    list(traced.client.points.QueryStream(iter(stream)))
    names = [span.name for span in traced.spans.get_finished_spans()]
    assert names.count("vecstore.v1.Points/QueryStream.query") == 3
    assert names.count("vecstore.v1.Points/QueryStream") == 1


@pytest.mark.parametrize(
    "environ",
    [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}],
)
def test_off_unless_asked_for(environ: dict[str, str]) -> None:
    assert tracing_from_environment(environ) is None


def test_on_when_asked_for() -> None:
    for environ in (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_TRACES_EXPORTER": "console"},
    ):
        tracing = tracing_from_environment(environ)
        assert tracing is not None
        assert tracing._provider.resource.attributes["service.name"] == "vecstore"
        tracing.close()


def test_the_name_is_the_operators_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "search-eu")
    tracing = tracing_from_environment({"OTEL_TRACES_EXPORTER": "console"})
    assert tracing is not None
    assert tracing._provider.resource.attributes["service.name"] == "search-eu"
    tracing.close()


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_TRACES_EXPORTER": "jaeger"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_is_not_there_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument) as raised:
        tracing_from_environment(environ)
    assert raised.value.reason == "BAD_CONFIG"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FailedPrecondition, match=r"vecstore\[otel\]"):
        tracing_from_environment({"OTEL_TRACES_EXPORTER": "otlp"})


def test_off_imports_nothing() -> None:
    program = (
        "import sys; from vecstore.engine.database import Database; from vecstore.server.running import start_server\n"
        "from vecstore.config import Server, Settings\n"
        "settings = Settings(server=Server(port=0))\n"
        "with Database.open(None, settings) as d, start_server(d, settings): pass\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


def test_a_span_does_not_leak_into_the_next_call(traced: Traced) -> None:
    from opentelemetry import trace

    traced.client.points.Query(query())
    assert not trace.get_current_span().get_span_context().is_valid
    assert asyncio.run(_current()) == 0


async def _current() -> int:
    from opentelemetry import trace

    context: Any = trace.get_current_span().get_span_context()
    return int(context.trace_id)
