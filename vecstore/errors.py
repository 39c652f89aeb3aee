"""The tree of errors, split by what the caller can do about it.

VecstoreError
├── InvalidArgument        the request is wrong; change it
├── NotFound               the collection, point or operation does not exist
├── AlreadyExists          a name or an id is taken
├── FailedPrecondition     the store is in a state that refuses this (read-only, newer format)
├── PermissionDenied / Unauthenticated
├── ResourceExhausted      a bound was met; retry later or ask for less
├── DeadlineExceeded       the time given ran out
├── Cancelled              the caller or an operator stopped it
├── Unavailable            not now; safe to retry
├── Corruption             bytes on disk are not what was written
├── IoFailed               the operating system refused; final until reopened
└── Unimplemented          not built

Each class holds its gRPC code and HTTP status; each error carries a stable `reason`, a message that names the thing,
the bound and the value, and optional `field_violations` as (path, description) pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

RETRY_AFTER = "retry_after_s"  # metadata of an error that may be retried


class VecstoreError(Exception):
    """Base of every error that vecstore raises on purpose."""

    grpc_code: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, object] | None = None,
        field_violations: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = {key: str(value) for key, value in (metadata or {}).items()}
        self.field_violations = tuple(field_violations)

    def at(self, path: str) -> Self:
        """The same error, told of a part of a larger request: `path` goes before the message and every field."""
        violations = [(f"{path}.{field}", description) for field, description in self.field_violations]
        return type(self)(
            f"{path}: {self.message}", reason=self.reason, metadata=self.metadata, field_violations=violations
        )

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class InvalidArgument(VecstoreError):
    grpc_code = "INVALID_ARGUMENT"
    http_status = 400
    default_reason = "INVALID_ARGUMENT"


class NotFound(VecstoreError):
    grpc_code = "NOT_FOUND"
    http_status = 404
    default_reason = "NOT_FOUND"


class AlreadyExists(VecstoreError):
    grpc_code = "ALREADY_EXISTS"
    http_status = 409
    default_reason = "ALREADY_EXISTS"


class FailedPrecondition(VecstoreError):
    grpc_code = "FAILED_PRECONDITION"
    http_status = 412
    default_reason = "FAILED_PRECONDITION"


class PermissionDenied(VecstoreError):
    grpc_code = "PERMISSION_DENIED"
    http_status = 403
    default_reason = "PERMISSION_DENIED"


class Unauthenticated(VecstoreError):
    grpc_code = "UNAUTHENTICATED"
    http_status = 401
    default_reason = "UNAUTHENTICATED"


class ResourceExhausted(VecstoreError):
    grpc_code = "RESOURCE_EXHAUSTED"
    http_status = 429
    default_reason = "RESOURCE_EXHAUSTED"


class DeadlineExceeded(VecstoreError):
    grpc_code = "DEADLINE_EXCEEDED"
    http_status = 504
    default_reason = "QUERY_TIMEOUT"


class Cancelled(VecstoreError):
    grpc_code = "CANCELLED"
    http_status = 499
    default_reason = "CANCELLED"


class Unavailable(VecstoreError):
    grpc_code = "UNAVAILABLE"
    http_status = 503
    default_reason = "UNAVAILABLE"


class Corruption(VecstoreError):
    grpc_code = "DATA_LOSS"
    http_status = 500
    default_reason = "CHECKSUM_MISMATCH"


class IoFailed(VecstoreError):
    grpc_code = "FAILED_PRECONDITION"
    http_status = 503
    default_reason = "IO_FAILED"


class Unimplemented(VecstoreError):
    grpc_code = "UNIMPLEMENTED"
    http_status = 501
    default_reason = "UNIMPLEMENTED"


def invalid(reason: str, message: str, path: str | None = None) -> InvalidArgument:
    """What is wrong at a place of a request."""
    return InvalidArgument(message, reason=reason, field_violations=[(path, message)] if path else ())


def limit_exceeded(name: str, value: object, bound: object, *, path: str | None = None) -> InvalidArgument:
    """The one wording for a limit: `k=50000 exceeds k_max=10000`."""
    message = f"{path or name}={value} exceeds {name}={bound}"
    return InvalidArgument(
        message,
        reason="LIMIT_EXCEEDED",
        metadata={"limit": name, "bound": bound, "value": value},
        field_violations=[(path or name, message)],
    )


def overloaded(message: str, retry_after_s: float) -> ResourceExhausted:
    return ResourceExhausted(message, reason="OVERLOADED", metadata={RETRY_AFTER: retry_after_s})


BY_GRPC_CODE: Mapping[str, type[VecstoreError]] = {
    cls.grpc_code: cls
    for cls in (
        VecstoreError, IoFailed, InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, PermissionDenied,
        Unauthenticated, ResourceExhausted, DeadlineExceeded, Cancelled, Unavailable, Corruption, Unimplemented,
    )
}  # fmt: skip
