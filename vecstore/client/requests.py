"""Small pieces of requests, built from what users write."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from vecstore.client.fields import IndexKind
from vecstore.errors import Cancelled, InvalidArgument, VecstoreError
from vecstore.schema import FieldKind
from vecstore.types import FieldIndexRequest, OperationInfo, OperationState, Selection, WriteMode


def as_mode(mode: str) -> WriteMode:
    try:
        return WriteMode(mode)
    except ValueError:
        raise InvalidArgument(f"mode={mode!r} is not one of {', '.join(WriteMode)}", reason="BAD_MODE") from None


def select(payload: bool | Sequence[str], vectors: bool | Sequence[str]) -> Selection:
    """A selection; one name may be given without a list."""
    return Selection(
        payload=[payload] if isinstance(payload, str) else payload,
        vectors=[vectors] if isinstance(vectors, str) else vectors,
    )


def field_index(collection: str, key: str, kind: IndexKind) -> FieldIndexRequest:
    try:
        return FieldIndexRequest(collection, key, FieldKind(kind))
    except ValueError:
        message = f"index kind {kind!r} is not one of {', '.join(FieldKind)}"
        raise InvalidArgument(message, reason="BAD_SCHEMA") from None


def finished(operation: OperationInfo) -> OperationInfo:
    """The operation, unless it failed or was cancelled: then an error that says why."""
    if operation.state is OperationState.FAILED:
        message = f"{operation.kind} of {operation.collection} failed: {operation.error}"
        raise VecstoreError(message, reason="OPERATION_FAILED", metadata={"operation": operation.id})
    if operation.state is OperationState.CANCELLED:
        raise Cancelled(
            f"{operation.kind} of {operation.collection} was cancelled", metadata={"operation": operation.id}
        )
    return operation


def as_count(name: str, value: object) -> int:
    """An integer, of numpy or of Python. How large it may be is checked by the engine."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        message = f"{name}={value!r:.80} must be an integer"
        raise InvalidArgument(message, reason="BAD_ARGUMENT", field_violations=[(name, message)]) from None
