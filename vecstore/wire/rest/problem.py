"""The body of an error (RFC 9457), and the error that it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from vecstore.errors import (
    AlreadyExists,
    Cancelled,
    Corruption,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    IoFailed,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    VecstoreError,
)

PREFIX = "urn:vecstore:error:"


class FieldError(msgspec.Struct):
    """What is wrong with the part of the request that `path` names, such as `points[3].vectors.text`."""

    path: str
    message: str


class Problem(msgspec.Struct, kw_only=True):
    """`type` names the class of error and `reason` the case, both stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    request_id: str = ""
    metadata: dict[str, str] = {}
    errors: list[FieldError] = []


CLASSES = (
    InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, PermissionDenied, Unauthenticated, ResourceExhausted,
    DeadlineExceeded, Cancelled, Unavailable, Corruption, IoFailed, Unimplemented,
)  # fmt: skip
_INTERNAL = f"{PREFIX}internal"


def _slug(kind: type[VecstoreError]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


_BY_TYPE: Mapping[str, type[VecstoreError]] = {f"{PREFIX}{_slug(kind)}": kind for kind in CLASSES}
_TYPES = {kind: (uri, _slug(kind).replace("_", " ").capitalize()) for uri, kind in _BY_TYPE.items()}


def type_of(error: VecstoreError) -> tuple[str, str]:
    """The URI and the title of an error's class, or of the nearest one above it that has one."""
    return next((_TYPES[kind] for kind in type(error).__mro__ if kind in _TYPES), (_INTERNAL, "Internal error"))


def error_of(problem: Problem) -> VecstoreError:
    kind = _BY_TYPE.get(problem.type, VecstoreError)
    violations = [(one.path, one.message) for one in problem.errors]
    return kind(problem.detail, reason=problem.reason, metadata=problem.metadata, field_violations=violations)
