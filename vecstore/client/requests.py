"""Small pieces of requests, built from what users write."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from vecstore.client.fields import IndexKind
from vecstore.errors import Cancelled, InvalidArgument, VecstoreError, invalid
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.schema import FieldKind
from vecstore.types import FieldIndexRequest, OperationInfo, OperationState, Selection, WriteMode

PARAMS_REMEMBERED = 256
LONGEST_S = 1e6  # a longer time is as good as this one, which every clock and encoding can take: 11 days
_DEFAULT_SELECTION = Selection()


def as_mode(mode: str) -> WriteMode:
    try:
        return WriteMode(mode)
    except ValueError:
        raise InvalidArgument(f"mode={mode!r} is not one of {', '.join(WriteMode)}", reason="BAD_MODE") from None


def select(payload: bool | Sequence[str], vectors: bool | Sequence[str]) -> Selection:
    """A selection; one name may be given without a list. Raises InvalidArgument (BAD_ARGUMENT)."""
    if payload is True and vectors is False:
        return _DEFAULT_SELECTION
    return Selection(_chosen("with_payload", payload), _chosen("with_vectors", vectors))


def _chosen(name: str, value: Any) -> bool | list[str]:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    if not all(isinstance(one, str) for one in names):
        raise bad_argument(name, f"{name}={value!r:.80} must be True, False or a list of names")
    return names


def field_index(collection: str, key: str, kind: IndexKind) -> FieldIndexRequest:
    try:
        return FieldIndexRequest(collection, key, FieldKind(kind))
    except ValueError:
        message = f"index kind {kind!r} is not one of {', '.join(FieldKind)}"
        raise InvalidArgument(message, reason="BAD_SCHEMA") from None


def search_params(
    nprobe: int | None,
    oversampling: float | None,
    rescore: bool,
    exact: bool,
    truncate_dim: int | None,
    recall: float | None,
    ef: int | None,
    block_factor: float | None,
    indexed_only: bool,
    allow_partial: bool,
) -> SearchParams:
    """What is left out is the index's choice; 0 is not a choice here. Upper bounds are checked by the engine."""
    left_out = nprobe is oversampling is truncate_dim is recall is ef is block_factor is None
    if rescore is True and exact is indexed_only is allow_partial is False and left_out:
        return DEFAULT_PARAMS
    try:
        return _made_params(
            nprobe, oversampling, rescore, exact, truncate_dim, recall, ef, block_factor, indexed_only, allow_partial
        )  # fmt: skip
    except TypeError:  # of what cannot be a key, to be refused by its name
        return _made_params.__wrapped__(
            nprobe, oversampling, rescore, exact, truncate_dim, recall, ef, block_factor, indexed_only, allow_partial
        )  # fmt: skip


@lru_cache(PARAMS_REMEMBERED, typed=True)
def _made_params(
    nprobe: int | None,
    oversampling: float | None,
    rescore: bool,
    exact: bool,
    truncate_dim: int | None,
    recall: float | None,
    ef: int | None,
    block_factor: float | None,
    indexed_only: bool,
    allow_partial: bool,
) -> SearchParams:
    """The same object for the same settings: programs ask with the same ones again and again, and what was checked once
    is known by it."""
    return SearchParams(
        nprobe=0 if nprobe is None else as_count("nprobe", _positive("nprobe", nprobe)),
        oversampling=0.0 if oversampling is None else _positive("oversampling", oversampling),
        rescore=as_flag("rescore", rescore),
        exact=as_flag("exact", exact),
        truncate_dim=0 if truncate_dim is None else as_count("truncate_dim", _positive("truncate_dim", truncate_dim)),
        recall_target=0.0 if recall is None else _share("recall", _positive("recall", recall)),
        ef=0 if ef is None else as_count("ef", _positive("ef", ef)),
        block_factor=0.0 if block_factor is None else _positive("block_factor", block_factor),
        indexed_only=as_flag("indexed_only", indexed_only),
        allow_partial=as_flag("allow_partial", allow_partial),
    )


def _positive(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise bad_argument(name, f"{name}={value!r:.80} must be a number above 0; leave it out for the index's choice")
    return value


def _share(name: str, value: float) -> float:
    if value > 1:
        raise bad_argument(name, f"{name}={value!r:.80} must be above 0 and at most 1")
    return value


def as_number(name: str, value: Any) -> float | None:
    """A number, None for none. What it may be is checked by the engine."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise bad_argument(name, f"{name}={value!r:.80} must be a number")


def as_timeout(given: Any, otherwise: float) -> float:
    """Seconds, above 0. Raises InvalidArgument (BAD_ARGUMENT)."""
    seconds = as_number("timeout_s", given)
    if seconds is not None and not seconds > 0:
        raise bad_argument("timeout_s", f"timeout_s={given!r:.80} must be above 0")
    return otherwise if seconds is None else min(seconds, LONGEST_S)


def as_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise bad_argument(name, f"{name}={value!r:.80} must be a string")
    return value


def as_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise bad_argument(name, f"{name}={value!r:.80} must be True or False")
    return bool(value)


def bad_argument(name: str, message: str) -> InvalidArgument:
    return invalid("BAD_ARGUMENT", message, name)


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
        raise bad_argument(name, f"{name}={value!r:.80} must be an integer") from None
