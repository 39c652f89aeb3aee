"""Several writes of one collection, put together before they are sent as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Self, Unpack

from vecstore.client.batches import point_bytes, request_bytes_max
from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.payloads import Payload, encode_payload
from vecstore.client.requests import as_mode
from vecstore.client.vectors import Ids, Vectors, as_ids, build_batch
from vecstore.client.writing import MatchOptions, check_options, if_match_of
from vecstore.config import Limits
from vecstore.errors import VecstoreError, limit_exceeded
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    IfMatch,
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
        **options: Unpack[MatchOptions],
    ) -> Self:
        """Write points, as `upsert` of a collection."""

        def make(schema: Schema, limits: Limits) -> SingleWrite:
            batch = build_batch(schema, ids, vectors, payloads)
            condition = if_match_of(options, limits, len(batch.ids))
            return UpsertRequest("", batch, as_mode(mode), if_match=condition)

        return self._add(make, options)

    def delete(
        self, ids: Ids | PointId | None = None, *, filter: FilterLike | None = None, **options: Unpack[MatchOptions]
    ) -> Self:
        """Delete points by ids or by filter."""

        def make(_: Schema, limits: Limits) -> SingleWrite:
            listed, condition = _targets(ids, options, limits)
            return DeleteRequest("", listed, as_filter(filter, limits), if_match=condition)

        return self._add(make, options)

    def set_payload(
        self,
        payload: Payload,
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[MatchOptions],
    ) -> Self:
        """Merge the keys of `payload` into the payloads of the points listed or matched."""
        return self._payload(PayloadOp.SET, ids, filter, options, payload)

    def overwrite_payload(
        self,
        payload: Payload,
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[MatchOptions],
    ) -> Self:
        """Replace the payloads of the points listed or matched."""
        return self._payload(PayloadOp.OVERWRITE, ids, filter, options, payload)

    def delete_payload(
        self,
        keys: Sequence[str],
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[MatchOptions],
    ) -> Self:
        """Remove top-level keys from the payloads of the points listed or matched."""
        return self._payload(PayloadOp.DELETE_KEYS, ids, filter, options, keys=as_names(keys))

    def clear_payload(
        self, ids: Ids | PointId | None = None, *, filter: FilterLike | None = None, **options: Unpack[MatchOptions]
    ) -> Self:
        """Remove the payloads of the points listed or matched."""
        return self._payload(PayloadOp.CLEAR, ids, filter, options)

    def update_vectors(self, ids: Ids | PointId, vectors: Vectors, **options: Unpack[MatchOptions]) -> Self:
        """Replace the vectors given of points that exist, and keep the rest of them."""

        def make(schema: Schema, limits: Limits) -> SingleWrite:
            batch = build_batch(schema, ids, vectors, None)
            return UpdateVectorsRequest("", batch, if_match=if_match_of(options, limits, len(batch.ids)))

        return self._add(make, options)

    def delete_vectors(
        self,
        names: str | Sequence[str],
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[MatchOptions],
    ) -> Self:
        """Take the vectors of some fields from the points listed or matched, and keep the rest of them."""

        def make(_: Schema, limits: Limits) -> SingleWrite:
            listed, condition = _targets(ids, options, limits)
            return DeleteVectorsRequest("", as_names(names), listed, as_filter(filter, limits), if_match=condition)

        return self._add(make, options)

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
        options: MatchOptions,
        payload: Payload | None = None,
        keys: Sequence[str] = (),
    ) -> Self:
        def make(_: Schema, limits: Limits) -> SingleWrite:
            listed, condition = _targets(ids, options, limits)
            where, encoded = as_filter(filter, limits), encode_payload(payload)
            return PayloadRequest("", op, listed, where, encoded, keys, if_match=condition)

        return self._add(make, options)

    def _add(self, make: Make, options: MatchOptions) -> Self:
        check_options(options, MatchOptions)
        self._makers.append(make)
        return self


def as_names(names: str | Sequence[str]) -> list[str]:
    """A list of names; one may be given without a list."""
    return [names] if isinstance(names, str) else list(names)


def _targets(
    ids: Ids | PointId | None, options: MatchOptions, limits: Limits
) -> tuple[list[PointId] | None, IfMatch | None]:
    listed = None if ids is None else as_ids(ids)
    return listed, if_match_of(options, limits, None if listed is None else len(listed))
