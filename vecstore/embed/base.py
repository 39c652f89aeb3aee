"""What an embedder is: texts in, rows of a vector field out."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from vecstore.errors import FailedPrecondition, InvalidArgument
from vecstore.rows import Rows
from vecstore.schema import VectorKind

M = TypeVar("M")


class Role(StrEnum):
    """What a text is for: many models want questions and what answers them marked differently."""

    QUERY = "query"
    PASSAGE = "passage"


@runtime_checkable
class Embedder(Protocol):
    """A model. Threads may share one object; properties may take as long as loading the model does."""

    @property
    def gives(self) -> VectorKind:
        """DENSE, SPARSE or MULTI."""
        ...

    @property
    def dim(self) -> int:
        """Components of a vector, or of a token vector; 0 where it gives sparse ones."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for two embedders only if they give the same vectors, up to rounding."""
        ...

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> Rows:
        """One row for each text: float32 (n, dim), SparseRows or TokenRows. `deadline` is a time of `time.monotonic`.

        Raises DeadlineExceeded, Unavailable (EMBEDDER_UNAVAILABLE), FailedPrecondition (EMBEDDER_FAILED)."""
        ...

    def close(self) -> None:
        """Let go of connections and memory."""
        ...


class Lazy(Generic[M]):
    """A value that is made when it is first asked for, by one thread; a failure is tried again the next time."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[M] = []

    def get(self) -> M:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]


def prefixed(texts: Sequence[str], prefix: str) -> list[str]:
    return [prefix + text for text in texts] if prefix else list(texts)


def library(module: str, kind: str, extra: str) -> Any:
    """An optional library. Raises FailedPrecondition (EXTRA_MISSING)."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"embedders of kind {kind!r} need {module.split('.')[0]} ({error}): pip install 'vecstore[{extra}]'"
        raise FailedPrecondition(message, reason="EXTRA_MISSING") from None


def bad_settings(name: str, problem: str) -> InvalidArgument:
    path = f"embedders.{name}"
    return InvalidArgument(f"{path}: {problem}", reason="BAD_CONFIG", field_violations=[(path, problem)])


def failed(message: str) -> FailedPrecondition:
    """The model answered with what cannot be used, and will again."""
    return FailedPrecondition(message, reason="EMBEDDER_FAILED")
