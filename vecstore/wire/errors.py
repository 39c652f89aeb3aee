"""Errors as gRPC status with details: google.rpc.ErrorInfo (reason, domain, metadata), BadRequest (field violations)
and RetryInfo (how long to wait). See google/rpc/error_details.proto for what each means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from vecstore.errors import BY_GRPC_CODE, RETRY_AFTER, InvalidArgument, IoFailed, VecstoreError

DOMAIN = "vecstore"
DETAILS_KEY = "grpc-status-details-bin"  # the trailing metadata that carries google.rpc.Status
# A peer drops trailers above 8 KiB, and messages may quote what the caller sent, so all parts are cut.
MESSAGE_BYTES_MAX = 1_000
DETAILS_BYTES_MAX = 1_000

CODES = {code.name: code for code in grpc.StatusCode}
_NUMBERS = {code.name: code.value[0] for code in grpc.StatusCode}

Trailers = Sequence[tuple[str, str | bytes]]


def status_of(error: VecstoreError) -> tuple[grpc.StatusCode, str, Trailers]:
    """The arguments of `context.abort`: code, message and trailing metadata."""
    message = cut(error.message, MESSAGE_BYTES_MAX)
    status = status_pb2.Status(code=_NUMBERS[error.grpc_code], message=message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    budget = DETAILS_BYTES_MAX
    for key, value in error.metadata.items():
        info.metadata[key] = shown = cut(value, max(budget, 0))
        budget -= len(key.encode()) + len(shown.encode())
    _pack(status, info)
    if error.field_violations:
        request = error_details_pb2.BadRequest()
        budget = DETAILS_BYTES_MAX
        for path, description in error.field_violations:
            if budget <= 0:
                break
            field, text = cut(path, min(budget, 200)), cut(description, min(budget, MESSAGE_BYTES_MAX))
            request.field_violations.add(field=field, description=text)
            budget -= len(field.encode()) + len(text.encode())
        _pack(status, request)
    if RETRY_AFTER in error.metadata:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(float(error.metadata[RETRY_AFTER]) * 1e9))
        _pack(status, retry)
    return CODES[error.grpc_code], message, ((DETAILS_KEY, status.SerializeToString()),)


def error_from_rpc(rpc: grpc.RpcError) -> VecstoreError:
    """The error that a failed call carries. Statuses that the library itself makes (a lost connection, an oversized
    message) have no details; they become the class of their code, with a reason where ours would have had one."""
    code: str = rpc.code().name
    message: str = rpc.details() or ""
    pairs: Any = rpc.trailing_metadata() or ()
    trailers: dict[Any, Any] = dict(pairs)
    reason: str | None = None
    metadata: dict[str, str] = {}
    violations: list[tuple[str, str]] = []
    details = trailers.get(DETAILS_KEY)
    if isinstance(details, bytes):
        try:
            reason, metadata, violations = _details(details)
        except DecodeError:
            reason = None
    elif code == "RESOURCE_EXHAUSTED" and "larger than max" in message:
        return InvalidArgument(f"message_bytes_max: {message}", reason="LIMIT_EXCEEDED")
    return error_of(code, message, reason, metadata, violations)


def error_of(
    code: str,
    message: str,
    reason: str | None,
    metadata: Mapping[str, str],
    violations: Sequence[tuple[str, str]] = (),
) -> VecstoreError:
    """The error of a gRPC code's name and a reason."""
    kind = BY_GRPC_CODE.get(code, VecstoreError)
    if reason == IoFailed.default_reason:
        kind = IoFailed
    return kind(message, reason=reason, metadata=metadata, field_violations=violations)


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, marked when shortened. Lone surrogates, which UTF-8 cannot hold, become `?`."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= size:
        return encoded.decode()
    return encoded[: max(size - 3, 0)].decode("utf-8", "ignore") + "..."[:size]


def _pack(status: Any, detail: Any) -> None:
    packed = status.details.add()
    packed.Pack(detail)


def _details(data: bytes) -> tuple[str | None, dict[str, str], list[tuple[str, str]]]:
    reason: str | None = None
    metadata: dict[str, str] = {}
    violations: list[tuple[str, str]] = []
    retry_after: float | None = None
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for packed in status_pb2.Status.FromString(data).details:
        if packed.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif packed.Unpack(request):
            violations = [(violation.field, violation.description) for violation in request.field_violations]
        elif packed.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    if retry_after is not None:
        metadata[RETRY_AFTER] = str(retry_after)
    return reason, metadata, violations
