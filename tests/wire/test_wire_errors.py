"""Errors cross the wire whole, and small enough for a trailer."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from vecstore import errors
from vecstore.errors import overloaded
from vecstore.wire.errors import DETAILS_KEY, cut, error_from_rpc, status_of

CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.VecstoreError)
]


class Failed(grpc.RpcError):
    """What a client's call raises."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Any) -> None:
        self._code, self._message, self._trailers = code, message, trailers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._message

    def trailing_metadata(self) -> Any:
        return self._trailers


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_comes_back(kind: type[errors.VecstoreError]) -> None:
    error = kind("what went wrong", metadata={"bound": 3}, field_violations=[("points[3].id", "is bad")])
    back = error_from_rpc(Failed(*status_of(error)))
    assert type(back) is kind
    assert (back.message, back.reason, back.metadata) == (error.message, error.reason, error.metadata)
    assert back.field_violations == error.field_violations


def test_the_standard_readers_understand_the_details() -> None:
    error = errors.limit_exceeded("k_max", 11, 10, path="k")
    status = rpc_status.from_call(Failed(*status_of(error)))
    assert status is not None
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(request)
    assert (info.reason, info.domain) == ("LIMIT_EXCEEDED", "vecstore")
    assert dict(info.metadata) == {"limit": "k_max", "bound": "10", "value": "11"}
    assert request.field_violations[0].field == "k"


def test_overload_says_when_to_come_back() -> None:
    code, _, trailers = status_of(overloaded("full", 0.25))
    status = status_pb2.Status.FromString(dict(trailers)[DETAILS_KEY])
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry.retry_delay.ToMilliseconds() == 250
    assert float(error_from_rpc(Failed(*status_of(overloaded("full", 0.25)))).metadata["retry_after_s"]) == 0.25


@given(st.text(max_size=3000), st.text(max_size=30), st.integers(0, 40))
def test_errors_fit_a_trailer(text: str, path: str, violations: int) -> None:
    """A peer drops trailers above 8 KiB; gRPC percent-encodes the message and base64-encodes the details."""
    big = text * 30
    violated = [(path, big)] * violations
    error = errors.InvalidArgument(big, metadata={"value": big, "other": big}, field_violations=violated)
    _, message, trailers = status_of(error)
    assert len(message.encode()) * 3 + len(dict(trailers)[DETAILS_KEY]) * 4 / 3 < 8192
    assert error_from_rpc(Failed(*status_of(error))).reason == "INVALID_ARGUMENT"


def test_lone_surrogates_do_not_break_the_error() -> None:
    assert status_of(errors.NotFound("name '\ud800'"))[1] == "name '?'"


@given(st.text(max_size=40), st.integers(0, 50))
def test_cut_keeps_its_bound(text: str, size: int) -> None:
    assert len(cut(text, size).encode()) <= size


@pytest.mark.parametrize(
    ("code", "message", "kind", "reason"),
    [
        (
            "RESOURCE_EXHAUSTED",
            "Received message larger than max (5 vs. 4)",
            "InvalidArgument",
            "LIMIT_EXCEEDED",
        ),
        ("RESOURCE_EXHAUSTED", "Decompressed message larger than max", "InvalidArgument", "LIMIT_EXCEEDED"),
        ("UNAVAILABLE", "failed to connect", "Unavailable", "UNAVAILABLE"),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", "DeadlineExceeded", "QUERY_TIMEOUT"),
        ("UNKNOWN", "", "VecstoreError", "INTERNAL"),
    ],
)
def test_statuses_that_grpc_makes_itself(code: str, message: str, kind: str, reason: str) -> None:
    for trailers in ((), None, ((DETAILS_KEY, b"\xff\xff"),) if code == "UNAVAILABLE" else ()):
        error = error_from_rpc(Failed(grpc.StatusCode[code], message, trailers))
        assert (type(error).__name__, error.reason) == (kind, reason)
