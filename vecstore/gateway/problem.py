"""Errors as `application/problem+json` (RFC 9457): type, title, status, detail, and beside these the reason, metadata
and field violations that gRPC's status details hold."""

from __future__ import annotations

import math

import msgspec

from vecstore.errors import (
    RETRY_AFTER,
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    VecstoreError,
)
from vecstore.wire.errors import MESSAGE_BYTES_MAX, cut
from vecstore.wire.rest.problem import FieldError, Problem, type_of

PROBLEM_JSON = b"application/problem+json"
ERRORS_MAX = 50

_KINDS: tuple[type[VecstoreError], ...] = (
    AlreadyExists, Cancelled, DeadlineExceeded, FailedPrecondition, NotFound, PermissionDenied, ResourceExhausted,
    Unauthenticated, Unavailable,
)  # fmt: skip
_CODES = {kind.http_status: kind.grpc_code for kind in _KINDS} | {408: DeadlineExceeded.grpc_code}

_encode = msgspec.json.Encoder().encode


def typed(error: BaseException) -> VecstoreError:
    """What the caller is told; details of unexpected errors stay in the log."""
    if isinstance(error, VecstoreError):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceeded("the time for this request ran out")
    if isinstance(error, MemoryError):
        return ResourceExhausted("the server is out of memory for this request", reason="OUT_OF_MEMORY")
    if isinstance(error, Exception):
        return VecstoreError("an unexpected error, which the server has logged")
    raise error  # cancelled, or the interpreter is going down


def code_of(status: int) -> str:
    """gRPC's name for what an answer of that status says."""
    return "OK" if status < 400 else _CODES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def problem_of(error: VecstoreError, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body."""
    status = error.http_status
    kind, title = type_of(error)
    problem = Problem(
        type=kind,
        title=title,
        status=status,
        detail=cut(error.message, MESSAGE_BYTES_MAX),
        reason=error.reason,
        request_id=request_id,
        metadata={key: cut(value, MESSAGE_BYTES_MAX) for key, value in error.metadata.items()},
        errors=[FieldError(cut(path, 200), cut(said, 500)) for path, said in error.field_violations[:ERRORS_MAX]],
    )
    headers = [(b"content-type", PROBLEM_JSON)]
    if RETRY_AFTER in error.metadata:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(float(error.metadata[RETRY_AFTER])))))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 405:
        headers.append((b"allow", error.metadata["allow"].encode()))
    return status, headers, _encode(problem)
