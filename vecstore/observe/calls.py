"""What is kept of each call: a count and its time; a span where traces are on; a line in the log when it failed or was
slow. One `Observer` for each door."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from vecstore.engine.parts import PARTS, Parts
from vecstore.errors import VecstoreError
from vecstore.observe.logs import Event
from vecstore.observe.metrics import Meter, Meters
from vecstore.observe.tracing import Tracing, text

REQUEST_ID = "x-request-id"
REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}\Z")
MESSAGE_CHARACTERS_MAX = 500

log = logging.getLogger("vecstore.server")

Pairs = Iterable[tuple[Any, Any]] | None
Facts = Callable[[], Mapping[str, Any]]


class Observer:
    def __init__(self, protocol: str, metrics: Meters, tracing: Tracing | None, slow_s: float) -> None:
        """Calls that take longer than `slow_s` are logged; 0 logs none for that."""
        self.protocol = protocol
        self.metrics = metrics
        self.tracing = tracing
        self.slow_s = slow_s

    def method(self, name: str, *, waits: bool = False) -> Method:
        """`name` is the door's own, never what a caller wrote. Calls of one that `waits` for others, as streams do, are
        not slow because they are long."""
        return Method(self, name, self.metrics.meter(self.protocol, name), waits)


class Method:
    """What the calls of one method share."""

    __slots__ = ("meter", "name", "observer", "waits")

    def __init__(self, observer: Observer, name: str, meter: Meter, waits: bool) -> None:
        self.observer = observer
        self.name = name
        self.meter = meter
        self.waits = waits

    def begin(self, headers: Callable[[], Pairs]) -> Observed:
        """Call in the task that handles the call: its parts and its span become those of the context. `headers` are
        asked for only where they are needed."""
        return Observed(self, headers)


class Observed:
    """One call. `facts` may be set to a function that says what the call was about; it is asked when a line is written,
    and may raise."""

    __slots__ = ("_headers", "_method", "_request_id", "_span", "facts", "parts", "started")

    def __init__(self, method: Method, headers: Callable[[], Pairs]) -> None:
        self._method = method
        self._headers = headers
        self._request_id: str | None = None
        self.facts: Facts | None = None
        self.parts = Parts()
        PARTS.set(self.parts)
        self.started = time.perf_counter()
        tracing = method.observer.tracing
        self._span = None if tracing is None else tracing.begin(method.observer.protocol, method.name, headers() or ())

    @property
    def request_id(self) -> str:
        """The caller's own (`x-request-id`), where it is of a decent form, or a new one."""
        if self._request_id is None:
            pairs = self._headers() or ()
            given = next((text(value) for name, value in pairs if text(name).lower() == REQUEST_ID), "")
            self._request_id = given if REQUEST_ID_FORM.match(given) else secrets.token_hex(8)
        return self._request_id

    def end(self, code: str = "OK", error: VecstoreError | None = None) -> None:
        """`code` is a gRPC status by name. An error is given the request's id, which the caller may then name."""
        took = time.perf_counter() - self.started
        method = self._method
        method.meter.done(code, took)
        observer = method.observer
        if error is not None:
            error.metadata.setdefault("request_id", self.request_id)
        slow = 0 < observer.slow_s < took and not method.waits
        if self._span is not None and observer.tracing is not None:
            observer.tracing.end(self._span, code, error, self.parts)
        if slow:
            self._write(logging.WARNING, "slow", code, took, error)
        elif code == "CANCELLED":
            self._write(logging.INFO, "cancelled", code, took, error)
        elif error is not None:
            self._write(logging.INFO, "failed", code, took, error)
        elif log.isEnabledFor(logging.DEBUG):
            self._write(logging.DEBUG, "done", code, took, error)

    def _write(self, level: int, name: str, code: str, took: float, error: VecstoreError | None) -> None:
        if not log.isEnabledFor(level):
            return
        line: dict[str, Any] = {
            "method": self._method.name,
            "protocol": self._method.observer.protocol,
            "request_id": self.request_id,
            "code": code,
            "ms": round(took * 1_000, 2),
            **self.parts.milliseconds(),
        }
        if self.parts.batch > 1:
            line["batch"] = self.parts.batch
        if self.facts is not None:
            with suppress(Exception):  # a request that is wrong cannot be described
                line |= self.facts()
        if error is not None:
            line |= {"reason": error.reason, "message": error.message[:MESSAGE_CHARACTERS_MAX]}
        if self._span is not None and self._method.observer.tracing is not None:
            line |= self._method.observer.tracing.ids(self._span)
        log.log(level, Event(name, line))
