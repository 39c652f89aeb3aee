"""Several writes of one collection, put together before they are sent as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Self

from vecstore.client.batches import point_bytes, request_bytes_max
from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.payloads import Payload, encode_payload
from vecstore.client.requests import as_mode
from vecstore.client.vectors import Ids, Vectors, as_ids, build_batch
from vecstore.config import Limits
from vecstore.errors import VecstoreError, limit_exceeded
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    PayloadOp,
    PayloadRequest,
    SingleWrite,
    UpdateVectorsRequest,
    UpsertRequest,
    WriteMode,
)

Mode = WriteMode | Literal["upsert", "insert_only", "update_only"]
Make = Callable[[Schema, Limits], SingleWrite]


class Batch:
    """Writes in order, for `update_batch`: all of them happen or none, and each sees what those before it leave. Its
    methods are those of a collection, and give the batch back, so that they can be written one after another:

        docs.update_batch(Batch().delete(filter=F("document").eq("a")).upsert(ids, vectors, payloads))
    """

    def __init__(self) -> None:
        self._makers: list[Make] = []

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return f"Batch({len(self)} operations)"

    def upsert(
        self,
        ids: Ids | PointId,
        vectors: Vectors = None,
        payloads: Sequence[Payload | bytes | None] | None = None,
        *,
        mode: Mode = "upsert",
    ) -> Self:
        """Write points, as `upsert` of a collection."""
        return self._add(
            lambda schema, _: UpsertRequest("", build_batch(schema, ids, vectors, payloads), as_mode(mode))
        )

    def delete(self, ids: Ids | PointId | None = None, *, filter: FilterLike | None = None) -> Self:
        """Delete points by ids or by filter."""
        return self._add(lambda _, limits: DeleteRequest("", _listed(ids), as_filter(filter, limits)))

    def set_payload(
        self, payload: Payload, ids: Ids | PointId | None = None, *, filter: FilterLike | None = None
    ) -> Self:
        """Merge the keys of `payload` into the payloads of the points listed or matched."""
        return self._payload(PayloadOp.SET, ids, filter, payload)

    def overwrite_payload(
        self, payload: Payload, ids: Ids | PointId | None = None, *, filter: FilterLike | None = None
    ) -> Self:
        """Replace the payloads of the points listed or matched."""
        return self._payload(PayloadOp.OVERWRITE, ids, filter, payload)

    def delete_payload(
        self, keys: Sequence[str], ids: Ids | PointId | None = None, *, filter: FilterLike | None = None
    ) -> Self:
        """Remove top-level keys from the payloads of the points listed or matched."""
        return self._payload(PayloadOp.DELETE_KEYS, ids, filter, keys=as_names(keys))

    def clear_payload(self, ids: Ids | PointId | None = None, *, filter: FilterLike | None = None) -> Self:
        """Remove the payloads of the points listed or matched."""
        return self._payload(PayloadOp.CLEAR, ids, filter)

    def update_vectors(self, ids: Ids | PointId, vectors: Vectors) -> Self:
        """Replace the vectors given of points that exist, and keep the rest of them."""
        return self._add(lambda schema, _: UpdateVectorsRequest("", build_batch(schema, ids, vectors, None)))

    def delete_vectors(
        self, names: str | Sequence[str], ids: Ids | PointId | None = None, *, filter: FilterLike | None = None
    ) -> Self:
        """Take the vectors of some fields from the points listed or matched, and keep the rest of them."""
        return self._add(
            lambda _, limits: DeleteVectorsRequest("", as_names(names), _listed(ids), as_filter(filter, limits))
        )

    def requests(self, schema: Schema, limits: Limits) -> list[SingleWrite]:
        """What is sent. Raises InvalidArgument as the collection's methods do, and LIMIT_EXCEEDED for more than one
        message holds: a batch cannot be cut."""
        made: list[SingleWrite] = []
        size, bound = 0, request_bytes_max(limits)
        for place, make in enumerate(self._makers):
            try:
                made.append(make(schema, limits))
            except VecstoreError as error:
                raise error.at(f"operations[{place}]") from None
            one = made[-1]
            size += int(point_bytes(one.batch).sum()) if isinstance(one, UpsertRequest | UpdateVectorsRequest) else 0
        if size > bound:
            raise limit_exceeded("message_bytes_max", size, bound, path="bytes of the batch")
        return made

    def _payload(
        self,
        op: PayloadOp,
        ids: Ids | PointId | None,
        filter: FilterLike | None,
        payload: Payload | None = None,
        keys: Sequence[str] = (),
    ) -> Self:
        return self._add(
            lambda _, limits: PayloadRequest(
                "", op, _listed(ids), as_filter(filter, limits), encode_payload(payload), keys
            )
        )

    def _add(self, make: Make) -> Self:
        self._makers.append(make)
        return self


def as_names(names: str | Sequence[str]) -> list[str]:
    """A list of names; one may be given without a list."""
    return [names] if isinstance(names, str) else list(names)


def _listed(ids: Ids | PointId | None) -> list[PointId] | None:
    return None if ids is None else as_ids(ids)
