"""Log lines, as text for people or as JSON for machines (`server.log_format`).

An `Event` is a line with a name and fields. Fields of both formats are encoded as JSON, so that nothing that a caller
sends can begin a new line. What is never in a line: vectors, payloads, values of filters, keys.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from vecstore.config import Server


class Event:
    """What a record's message is; the text is made when a handler wants it."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        self.name = name
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={_text(value)}" for key, value in self.fields.items())])


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, event, its fields, and the ids of a trace, if any."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        if isinstance(record.msg, Event):
            line |= {"event": record.msg.name, **record.msg.fields}
        else:
            line["event"] = record.getMessage()
        if "trace_id" not in line:
            line |= current_trace()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def configure_logging(settings: Server) -> None:
    """For a process of ours; a program that runs a server in itself keeps its own logging."""
    formatter = JsonFormatter() if settings.log_format == "json" else logging.Formatter(TEXT)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)


def current_trace() -> dict[str, str]:
    """The ids of the trace that the running call belongs to; looked for only where OpenTelemetry is in use."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _text(value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isprintable() and not set(value) & set(' "='):
        return value
    return msgspec.json.encode(value, enc_hook=str).decode()
