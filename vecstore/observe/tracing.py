"""Traces by OpenTelemetry: a span for each call, in the caller's trace (W3C `traceparent`), with a child for each part.

Off unless the environment asks for it (`OTEL_TRACES_EXPORTER` or an `OTEL_EXPORTER_OTLP_*ENDPOINT`), by the variables
that OpenTelemetry defines; then the `otel` extra is needed. A program that runs a server in itself and has set up a
tracer provider gets the spans there. Off, nothing of OpenTelemetry is imported.

Children are made when the call has ended, from the times that its parts took, so nothing else on the way of a query
knows of spans.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from vecstore.engine.parts import Parts
from vecstore.errors import FailedPrecondition, InvalidArgument, VecstoreError
from vecstore.version import __version__

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"


class Tracing:
    """Spans from a tracer provider."""

    def __init__(self, provider: Any, *, owned: bool = False) -> None:
        """`owned`: `close` shuts the provider down."""
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._owned = owned
        self._tracer = provider.get_tracer("vecstore", __version__)
        self._trace = trace
        self._context = context
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, protocol: str, method: str, headers: Iterable[tuple[Any, Any]]) -> Any:
        """A span that is current in this context from now on."""
        carrier = {text(name): text(value) for name, value in headers if text(name) in ("traceparent", "tracestate")}
        parent = self._propagator.extract(carrier, self._context.Context())
        service, _, name = method.rpartition("/")
        attributes = {"rpc.system": protocol, "rpc.service": f"vecstore.v1.{service}", "rpc.method": name}
        kind = self._trace.SpanKind.SERVER
        span = self._tracer.start_span(f"vecstore.v1.{method}", parent, kind, attributes)
        self._context.attach(self._trace.set_span_in_context(span))
        return span

    def end(self, span: Any, code: str, error: VecstoreError | None, parts: Parts) -> None:
        if span.is_recording():
            span.set_attribute("rpc.grpc.status_code", code)
            now, epoch = time.perf_counter(), time.time_ns()
            inside = self._trace.set_span_in_context(span)
            for name, start, end in parts.spans:
                child = self._tracer.start_span(name, inside, start_time=epoch - int((now - start) * 1e9))
                if name == "search" and parts.batch:
                    child.set_attribute("vecstore.batch", parts.batch)
                child.end(epoch - int((now - end) * 1e9))
            if error is not None:
                span.set_attribute("error.type", error.reason)
                if error.http_status >= 500:
                    span.set_status(self._trace.StatusCode.ERROR, error.reason)
        span.end()

    def ids(self, span: Any) -> dict[str, str]:
        context = span.get_span_context()
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def close(self) -> None:
        """Send what is still to be sent."""
        if self._owned:
            self._provider.shutdown()


def tracing_from_environment(environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """None where nobody asks for traces. Raises FailedPrecondition (EXTRA_MISSING), and InvalidArgument (BAD_CONFIG)
    for an exporter or a protocol that is not there."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    exporter = environ.get("OTEL_TRACES_EXPORTER", "otlp" if any(environ.get(name) for name in ENDPOINTS) else "none")
    if exporter == "none":
        return _of_this_program()
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.sdk") is None:
        message = f"OTEL_TRACES_EXPORTER={exporter} needs OpenTelemetry: pip install 'vecstore[otel]'"
        raise FailedPrecondition(message, reason="EXTRA_MISSING")
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    chosen: Any
    if exporter == "console":
        chosen = ConsoleSpanExporter()
    elif exporter == "otlp":
        protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), PROTOCOL)
        if protocol != PROTOCOL:
            message = f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r:.40} is not spoken here; use {PROTOCOL}"
            raise InvalidArgument(message, reason="BAD_CONFIG")
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        chosen = OTLPSpanExporter()
    else:
        message = f"OTEL_TRACES_EXPORTER={exporter!r:.40} is none of otlp, console, none"
        raise InvalidArgument(message, reason="BAD_CONFIG")
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):  # the environment gives no name
        resource = resource.merge(Resource({"service.name": "vecstore"}))
    provider = TracerProvider(resource=resource)  # which reads OTEL_TRACES_SAMPLER
    provider.add_span_processor(BatchSpanProcessor(chosen))
    return Tracing(provider, owned=True)


def _of_this_program() -> Tracing | None:
    """The provider that the program around has set, if it has."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    if trace is None or sdk is None:
        return None
    provider = trace.get_tracer_provider()
    return Tracing(provider) if isinstance(provider, sdk.TracerProvider) else None


def text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
