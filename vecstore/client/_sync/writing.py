# Made from ../_async by `python -m vecstore.client.unasync`; edit there.
"""Writing points of a collection: whole ones, their vectors, their payloads, and taking them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Unpack

from vecstore.client._sync.handle import Handle
from vecstore.client.atomic import Batch, Mode, as_names
from vecstore.client.batches import UPLOAD_BYTES, check, request_bytes_max, skip_points, split
from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.payloads import Payload, encode_payload
from vecstore.client.points import PointLike, batches_of
from vecstore.client.progress import Advance, progress_bar
from vecstore.client.requests import as_mode
from vecstore.client.results import UploadResult
from vecstore.client.vectors import Ids, Vectors, as_ids, build_batch
from vecstore.client.writing import Wait, WriteOptions, check_options, if_match_of, key_of, part_of, wait_of
from vecstore.errors import VecstoreError
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    Durability,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    UpdateBatchRequest,
    UpdateVectorsRequest,
    UpsertRequest,
    WriteRequest,
    WriteResult,
)


class Writing(Handle):
    """What a handle on a collection can write."""

    def upsert(
        self,
        ids: Ids | PointId,
        vectors: Vectors = None,
        payloads: Sequence[Payload | bytes | None] | None = None,
        *,
        mode: Mode = "upsert",
        **options: Unpack[WriteOptions],
    ) -> WriteResult:
        """Write points; they are durable and visible to every later read when this returns.

        `vectors` is array-like of shape (n, dim), or a mapping from field name to such arrays; float and integer dtypes
        for dense fields, packed uint8 of shape (n, dim / 8) or bool of shape (n, dim) for binary ones; a scipy matrix
        or a list of {index: value} or (indices, values) for sparse fields, a list of texts for text fields, a list of
        arrays (tokens, dim) for multi-vector fields. Of an id given twice the last one wins. A call that fits one
        message is atomic; a larger one is sent in pieces, in order, each of them atomic. Raises InvalidArgument with
        nothing written.

        Here and in the other writes: `durability` "fsync" or "os"; `if_match` a filter that points which are there have
        to satisfy, `expected_seqs` the writes that they must come from (0: no such point), `on_mismatch` "skip" or
        "fail"; `idempotency_key` a name under which the write is done once, however often it is sent; `wait` "visible",
        or "indexed": until all that is written so far is served by the indexes of its fields.
        """
        write_mode = as_mode(mode)

        def write(schema: Schema) -> WriteResult:
            batch = build_batch(schema, ids, vectors, payloads)
            return self._write_batch(batch, schema, lambda piece: UpsertRequest(self.name, piece, write_mode), options)

        return self._by_schema(write)

    def _write_batch(
        self,
        batch: PointBatch,
        schema: Schema,
        make: Callable[[PointBatch], UpsertRequest | UpdateVectorsRequest],
        options: WriteOptions,
    ) -> WriteResult:
        check_options(options, WriteOptions)
        condition = if_match_of(options, self._limits, len(batch.ids))
        pieces = list(split(batch, request_bytes_max(self._limits), self._limits.batch_points_max))
        if len(pieces) > 1:
            check(batch, schema, self._limits)
        total, start = WriteResult(seq=self.last_seq, changed=0), 0
        for place, piece in enumerate(pieces):
            request = make(piece)
            request.collection = total.collection or self.name  # all of them go where the first one went
            request.durability = options.get("durability")
            request.if_match = part_of(condition, start, len(piece.ids))
            request.idempotency_key = key_of(options.get("idempotency_key"), place, len(pieces))
            last = place == len(pieces) - 1
            request.wait = wait_of(options.get("wait", "visible"), self._timeout_s, last=last)
            result = self._write(request)
            changed, skipped = total.changed + result.changed, total.skipped + result.skipped
            total = WriteResult(result.seq, changed, skipped, collection=result.collection)
            start += len(piece.ids)
        return total

    def upload(
        self,
        points: Iterable[PointBatch | PointLike] | None = None,
        *,
        ids: Ids | None = None,
        vectors: Vectors = None,
        payloads: Sequence[Payload | bytes | None] | None = None,
        mode: Mode = "upsert",
        skip: int = 0,
        batch_bytes: int = UPLOAD_BYTES,
        total: int | None = None,
        progress: bool | Advance | None = None,
        durability: Durability | None = None,
    ) -> UploadResult:
        """Write many points in requests of about `batch_bytes`, with a progress bar (`progress` None: on a
        terminal; a function: called with the number of points just stored).

        `points` is any iterable of dictionaries {"id", "vector" or "vectors", "payload"} or of `PointBatch`, read as it
        is sent; or give arrays as in `upsert`. When this fails, the error's metadata `points_done` says how many points
        from the start are safely stored: call again with `skip` set to it to go on from there.
        """
        info = self.info()  # all of them go to one collection
        schema, write_mode = info.schema, as_mode(mode)
        if points is None:
            batch = build_batch(schema, [] if ids is None else ids, vectors, payloads)
            total = len(batch.ids)
            points = [batch]
        result = UploadResult(seq=self.last_seq)
        bytes_max = min(batch_bytes, request_bytes_max(self._limits))
        with progress_bar(f"upload to {self.name}", total, progress, done=skip) as advance:
            try:
                for batch in skip_points(batches_of(points, schema), skip):
                    for piece in split(batch, bytes_max, self._limits.batch_points_max):
                        written = self._write(UpsertRequest(info.name, piece, write_mode, durability))
                        result.points += len(piece.ids)
                        result.changed += written.changed
                        result.skipped += written.skipped
                        result.requests += 1
                        result.seq = written.seq
                        advance(len(piece.ids))
            except VecstoreError as error:
                error.metadata["points_done"] = str(skip + result.points)
                raise
        return result

    def delete(
        self,
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteResult:
        """Delete points by ids or by filter, exactly one of the two; `changed` says how many there were."""
        return self._target(DeleteRequest(self.name), ids, filter, options)

    def update_vectors(self, ids: Ids | PointId, vectors: Vectors, **options: Unpack[WriteOptions]) -> WriteResult:
        """Replace the vectors given of points that exist; their other vectors and their payloads stay. `vectors` is as
        in `upsert`; a list may hold None for points whose vector stays. `skipped` counts ids that do not exist."""

        def write(schema: Schema) -> WriteResult:
            batch = build_batch(schema, ids, vectors, None)
            return self._write_batch(batch, schema, lambda piece: UpdateVectorsRequest(self.name, piece), options)

        return self._by_schema(write)

    def delete_vectors(
        self,
        names: str | Sequence[str],
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteResult:
        """Take the vectors of some fields from the points listed or matched; the rest of the points stays."""
        return self._target(DeleteVectorsRequest(self.name, as_names(names)), ids, filter, options)

    def update_batch(
        self,
        batch: Batch,
        *,
        durability: Durability | None = None,
        idempotency_key: str | None = None,
        wait: Wait = "visible",
    ) -> WriteResult:
        """Several writes as one: all of them or none, under one seq, each seeing what those before it leave; readers
        never see a part. `operations` of the answer says what each did. Raises InvalidArgument with nothing written,
        also LIMIT_EXCEEDED when it does not fit one message."""

        def write(schema: Schema) -> WriteResult:
            operations = batch.requests(schema, self._limits)
            key, waited = key_of(idempotency_key), wait_of(wait, self._timeout_s)
            return self._write(UpdateBatchRequest(self.name, operations, durability, key, waited))

        return self._by_schema(write)

    def set_payload(
        self,
        payload: Payload,
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteResult:
        """Merge the keys of `payload` into the payloads of the points listed or matched."""
        request = PayloadRequest(self.name, PayloadOp.SET, payload=encode_payload(payload))
        return self._target(request, ids, filter, options)

    def overwrite_payload(
        self,
        payload: Payload,
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteResult:
        """Replace the payloads of the points listed or matched."""
        request = PayloadRequest(self.name, PayloadOp.OVERWRITE, payload=encode_payload(payload))
        return self._target(request, ids, filter, options)

    def delete_payload(
        self,
        keys: Sequence[str],
        ids: Ids | PointId | None = None,
        *,
        filter: FilterLike | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteResult:
        """Remove top-level keys from the payloads of the points listed or matched."""
        request = PayloadRequest(self.name, PayloadOp.DELETE_KEYS, keys=as_names(keys))
        return self._target(request, ids, filter, options)

    def clear_payload(
        self, ids: Ids | PointId | None = None, *, filter: FilterLike | None = None, **options: Unpack[WriteOptions]
    ) -> WriteResult:
        """Remove the payloads of the points listed or matched."""
        return self._target(PayloadRequest(self.name, PayloadOp.CLEAR), ids, filter, options)

    def _target(
        self,
        request: DeleteRequest | PayloadRequest | DeleteVectorsRequest,
        ids: Ids | PointId | None,
        filter: FilterLike | None,
        options: WriteOptions,
    ) -> WriteResult:
        """Send a write to the points listed or matched."""
        check_options(options, WriteOptions)
        request.ids = None if ids is None else as_ids(ids)
        request.filter = as_filter(filter, self._limits)
        request.durability = options.get("durability")
        request.if_match = if_match_of(options, self._limits, None if request.ids is None else len(request.ids))
        request.idempotency_key = key_of(options.get("idempotency_key"))
        request.wait = wait_of(options.get("wait", "visible"), self._timeout_s)
        return self._write(request)

    def _write(self, request: WriteRequest) -> WriteResult:
        result = self._transport.write(request)
        self._seqs.wrote(self.name, result.collection, result.seq)
        return result
