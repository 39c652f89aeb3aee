"""Requests that hold texts where a field's vectors belong, into the same requests with vectors."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from vecstore.config import Limits
from vecstore.embed.base import Role
from vecstore.embed.embedders import Embedders
from vecstore.embed.walk import query_of, walked
from vecstore.errors import InvalidArgument, limit_exceeded
from vecstore.rows import GivenRows, Rows, TextRows
from vecstore.schema import Schema, VectorField
from vecstore.sparse_check import bad_vector

R = TypeVar("R")


class Key(NamedTuple):
    collection: str
    field: str
    role: Role

    @property
    def path(self) -> str:
        return f"vectors.{self.field}"


@dataclass(slots=True)
class _Texts:
    """The texts of one key, each once."""

    field: VectorField
    places: dict[str, int]
    rows: Rows | None = None


class Embedding:
    """Turns texts into vectors by the embedders that the schemas name."""

    def __init__(self, embedders: Embedders, limits: Limits, schema_of: Callable[[str], Schema]) -> None:
        """`schema_of` gives a collection's schema, or raises what is to be raised for a name that is none."""
        self.embedders = embedders
        self._limits = limits
        self._schema_of = schema_of

    def wanted(self, requests: Sequence[Any], *, many: bool = False) -> bool:
        """Whether a request holds texts for an embedder. Raises InvalidArgument (BAD_VECTOR, LIMIT_EXCEEDED)."""
        return bool(self._texts(requests, many))

    def resolved(self, requests: Sequence[R], deadline: float = math.inf, *, many: bool = False) -> Sequence[R]:
        """The requests with vectors, `many` where a vector is a batch of queries; as they are when none holds a text
        for an embedder. Embeds in this thread, until `deadline` or the queries' own.

        Raises InvalidArgument (BAD_VECTOR, LIMIT_EXCEEDED) and what `Embedders.embed` raises."""
        texts = self._texts(requests, many)
        if not texts:
            return requests
        started, deadline = time.monotonic(), self._deadline(requests, deadline)
        for key, some in texts.items():
            some.rows = self.embedders.embed(key.path, some.field, list(some.places), key.role, deadline)
        return self._swapped(requests, texts, started, many)

    async def resolved_async(
        self, requests: Sequence[R], deadline: float = math.inf, *, many: bool = False
    ) -> Sequence[R]:
        """The same in threads that are the embedders' own, those of several fields at a time."""
        texts = self._texts(requests, many)
        if not texts:
            return requests
        started, deadline = time.monotonic(), self._deadline(requests, deadline)
        pending = [
            asyncio.wrap_future(self.embedders.submit(key.path, some.field, list(some.places), key.role, deadline))
            for key, some in texts.items()
        ]
        for some, rows in zip(texts.values(), await asyncio.gather(*pending), strict=True):
            some.rows = rows
        return self._swapped(requests, texts, started, many)

    def _deadline(self, requests: Sequence[Any], deadline: float) -> float:
        now = time.monotonic()
        for request in requests:
            query = query_of(request)
            if query is not None:
                deadline = min(deadline, now + (query.timeout_s or self._limits.deadline_default_s))
        return deadline

    def _texts(self, requests: Sequence[Any], many: bool) -> dict[Key, _Texts]:
        found: dict[Key, _Texts] = {}
        bound = self._limits.text_length_max
        for number, request in enumerate(requests):
            collection = _collection(request)
            schema = self._schema_of(collection)
            if not any(field.embedder for field in schema.vectors.values()):
                continue

            def collect(
                name: str, field: VectorField, given: TextRows, role: Role, path: str, own: str = collection
            ) -> GivenRows:
                some = found.setdefault(Key(own, name, role), _Texts(field, {}))
                for place, text in enumerate(given.texts):
                    if not text.strip():
                        raise bad_vector(f"{path}[{place}]", "is blank: there is nothing to embed")
                    if len(text) > bound:
                        raise limit_exceeded("text_length_max", len(text), bound, path=f"{path}[{place}] characters")
                    some.places.setdefault(text, len(some.places))
                return given

            try:
                walked(request, schema, collect, many=many)
            except InvalidArgument as error:
                raise (error.at(f"queries[{number}]") if len(requests) > 1 else error) from None
        return found

    def _swapped(self, requests: Sequence[R], texts: dict[Key, _Texts], started: float, many: bool) -> list[R]:
        took = time.monotonic() - started
        answers = []
        for request in requests:
            collection = _collection(request)

            def swap(
                name: str, _field: VectorField, given: TextRows, role: Role, _path: str, own: str = collection
            ) -> GivenRows:
                some = texts[Key(own, name, role)]
                assert some.rows is not None
                return some.rows[np.array([some.places[text] for text in given.texts], np.int64)]

            answer = walked(request, self._schema_of(collection), swap, many=many)
            query = query_of(answer)
            if query is not None and query.timeout_s is not None:
                query.timeout_s = max(query.timeout_s - took, 1e-3)
            answers.append(answer)
        return answers


def _collection(request: Any) -> str:
    name: str = (query_of(request) or request).collection
    return name
