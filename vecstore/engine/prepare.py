"""From a request to a write: everything that can be checked without the collection's state, in the caller's thread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine.records import WriteRecord, encode_record, record_vectors
from vecstore.engine.writes import (
    Batch,
    Condition,
    Delete,
    PayloadChange,
    Single,
    Upsert,
    VectorsDelete,
    VectorsUpdate,
    Write,
    ids_of,
    select,
)
from vecstore.errors import VecstoreError, invalid, limit_exceeded
from vecstore.given import stored_rows
from vecstore.query.filter import Filter, PointId
from vecstore.query.parse import check_filter
from vecstore.query.schema_check import check_vectors
from vecstore.schema import Schema
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    Indexed,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    SingleWrite,
    UpdateBatchRequest,
    UpdateVectorsRequest,
    UpsertRequest,
    VectorBatch,
    WriteMode,
    WriteRequest,
)

KEY_LENGTH_MAX = 255
LARGE = 1 << 20  # a write whose vectors are not kept beside its record


def prepare(request: WriteRequest, schema: Schema, limits: Limits) -> Write:
    """Raises InvalidArgument."""
    if isinstance(request, UpdateBatchRequest):
        return _prepare_batch(request, schema, limits)
    write = _prepare_single(request, schema, limits)
    if isinstance(write, Upsert) and write.mode is WriteMode.UPSERT and write.condition is None:
        write.encoded = encode_record(WriteRecord(write.batch))
        if write.nbytes >= LARGE:
            write.batch.vectors = record_vectors(write.encoded, write.batch.vectors, schema)
    return write


def _prepare_batch(request: UpdateBatchRequest, schema: Schema, limits: Limits) -> Batch:
    count, bound = len(request.operations), limits.batch_operations_max
    if not count:
        raise invalid("EMPTY_BATCH", "operations is empty", "operations")
    if count > bound:
        raise limit_exceeded("batch_operations_max", count, bound, path="operations count")
    writes: list[Single] = []
    points = 0
    for place, one in enumerate(request.operations):
        try:
            if one.collection not in ("", request.collection):
                message = f"collection={one.collection!r:.80} is not the batch's, {request.collection!r:.80}"
                raise invalid("BAD_ARGUMENT", message, "collection")
            for name in ("durability", "idempotency_key", "wait"):
                if getattr(one, name) is not None:
                    raise invalid("BAD_ARGUMENT", f"{name} is the whole batch's", name)
            writes.append(_prepare_single(one, schema, limits))
        except VecstoreError as error:
            raise error.at(f"operations[{place}]") from None
        points += _named_points(writes[-1])
        if points > limits.batch_points_max:
            message = "points and ids of all operations"
            raise limit_exceeded("batch_points_max", points, limits.batch_points_max, path=message)
    return Batch(writes, sum(write.nbytes for write in writes))


def _named_points(write: Single) -> int:
    return len(ids_of(write) or ())


def check_key(key: str | None, limits: Limits) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= KEY_LENGTH_MAX:
        message = f"idempotency_key={key!r:.80} must be a string of 1 to {KEY_LENGTH_MAX} characters"
        raise invalid("BAD_ARGUMENT", message, "idempotency_key")
    if not limits.idempotency_keys_max:
        raise limit_exceeded("idempotency_keys_max", 1, 0)
    return key


def check_wait(wait: Indexed | None) -> None:
    if wait is not None and not isinstance(wait, Indexed):
        raise invalid("BAD_ARGUMENT", f"wait={wait!r:.80} is not one of visible, indexed", "wait")
    if wait is not None and wait.timeout_s is not None and not wait.timeout_s > 0:
        raise invalid("BAD_ARGUMENT", f"wait.timeout_s={wait.timeout_s} must be positive", "wait.timeout_s")


def _prepare_single(request: SingleWrite, schema: Schema, limits: Limits) -> Single:
    if isinstance(request, UpsertRequest):
        batch, nbytes = _checked_batch(request.batch, schema, limits)
        condition = _condition(request, request.batch.ids, schema, limits)
        return Upsert(batch, WriteMode(request.mode), nbytes, condition)
    if isinstance(request, UpdateVectorsRequest):
        return _vectors_update(request, schema, limits)
    ids, where = check_target(request.ids, request.filter, limits)
    condition = _condition(request, request.ids, schema, limits)
    if isinstance(request, DeleteRequest):
        return Delete(ids, where, 0, condition)
    if isinstance(request, DeleteVectorsRequest):
        return VectorsDelete(_names(request.names, schema), ids, where, 0, condition)
    return _payload_change(request, ids, where, condition, limits)


def _condition(request: SingleWrite, ids: Sequence[PointId] | None, schema: Schema, limits: Limits) -> Condition | None:
    """`ids` as they were given, which `seqs` belong to."""
    given = request.if_match
    if given is None or (given.filter is None and given.seqs is None):
        return None
    if ids is None:
        message = "if_match is for writes by ids: what a filter has to hold belongs in the filter"
        raise invalid("BAD_ARGUMENT", message, "if_match")
    where = None if given.filter is None else check_filter(given.filter, limits)
    if where is not None:
        check_vectors(where, schema.vectors)
    seqs = None
    if given.seqs is not None:
        if len(given.seqs) != len(ids):
            message = f"{len(given.seqs)} seqs for {len(ids)} ids"
            raise invalid("BAD_ARGUMENT", message, "if_match.seqs")
        for place, seq in enumerate(given.seqs):
            if isinstance(seq, bool) or not isinstance(seq, int) or not 0 <= seq < 1 << 64:
                message = f"if_match.seqs[{place}]={seq!r:.80} must be a seq, or 0"
                raise invalid("BAD_ARGUMENT", message, f"if_match.seqs[{place}]")
        seqs = dict(zip(validate.check_ids(ids, limits), given.seqs, strict=True))
    return Condition(where, seqs, given.fail)


def _checked_batch(batch: PointBatch, schema: Schema, limits: Limits) -> tuple[PointBatch, int]:
    """The batch as it is stored, and its bytes. Of points that share an id the last one wins."""
    ids = validate.check_ids(batch.ids, limits)
    vectors, nbytes = {}, 0
    for name, given in batch.vectors.items():
        _check_known(name, schema)
        rows = stored_rows(given.rows, schema.vectors[name], len(ids), f"vectors.{name}", limits, given.present)
        nbytes += rows.nbytes
        vectors[name] = VectorBatch(rows, check_present(given.present, len(ids), name))
    payloads = batch.payloads
    if payloads is not None:
        if len(payloads) != len(ids):
            message = f"{len(payloads)} payloads for {len(ids)} points"
            raise invalid("BAD_PAYLOAD", message, "payloads")
        payloads = [
            None if payload is None else validate.check_payload_json(payload, limits, f"payloads[{place}]")
            for place, payload in enumerate(payloads)
        ]
    checked = PointBatch(ids, vectors, payloads)
    if len(set(ids)) != len(ids):
        checked = select(checked, sorted({point_id: place for place, point_id in enumerate(ids)}.values()))
    return checked, nbytes + sum(len(p) for p in payloads or () if p)


def check_present(present: np.ndarray | None, count: int, name: str) -> np.ndarray | None:
    if present is None:
        return None
    flags = np.asarray(present, dtype=bool)
    if flags.shape != (count,):
        message = f"vectors.{name}.present has shape {flags.shape} for {count} points"
        raise invalid("BAD_VECTOR", message, f"vectors.{name}.present")
    return None if flags.all() else flags


def _vectors_update(request: UpdateVectorsRequest, schema: Schema, limits: Limits) -> VectorsUpdate:
    if request.batch.payloads is not None:
        raise invalid("BAD_PAYLOAD", "update_vectors takes no payloads", "payloads")
    if not request.batch.vectors:
        raise invalid("BAD_VECTOR", "update_vectors needs the vectors of at least one field", "vectors")
    condition = _condition(request, request.batch.ids, schema, limits)
    return VectorsUpdate(*_checked_batch(request.batch, schema, limits), condition)


def _names(names: Sequence[str], schema: Schema) -> tuple[str, ...]:
    if not names:
        raise invalid("BAD_ARGUMENT", "delete_vectors needs the name of at least one field", "names")
    for name in names:
        _check_known(name, schema)
    return tuple(dict.fromkeys(names))


def _check_known(name: str, schema: Schema) -> None:
    if name not in schema.vectors:
        known = ", ".join(sorted(schema.vectors))
        message = f"no vector field named {name!r:.80}; the collection has {known}"
        raise invalid("VECTOR_NAME_UNKNOWN", message, f"vectors.{name}")


def _payload_change(
    request: PayloadRequest,
    ids: list[PointId] | None,
    where: Filter | None,
    condition: Condition | None,
    limits: Limits,
) -> PayloadChange:
    op = PayloadOp(request.op)
    payload = request.payload
    if op in (PayloadOp.SET, PayloadOp.OVERWRITE):
        if payload is None:
            raise invalid("BAD_PAYLOAD", f"{op.value} needs a payload", "payload")
        payload = validate.check_payload_json(payload, limits)
    elif payload is not None:
        raise invalid("BAD_PAYLOAD", f"{op.value} takes no payload", "payload")
    if op is PayloadOp.DELETE_KEYS and not request.keys:
        raise invalid("BAD_PAYLOAD", "delete_keys needs at least one key", "keys")
    keys = tuple(validate.check_payload_key(key) for key in request.keys)
    return PayloadChange(op, ids, where, payload, keys, len(payload or b""), condition)


def check_target(
    ids: Sequence[PointId] | None, where: Filter | None, limits: Limits
) -> tuple[list[PointId] | None, Filter | None]:
    """Exactly one of ids and filter; ids distinct, in order of first mention."""
    if (ids is None) == (where is None):
        raise invalid("BAD_ARGUMENT", "give either ids or a filter", "ids")
    if where is not None:
        return None, check_filter(where, limits)
    assert ids is not None
    return list(dict.fromkeys(validate.check_ids(ids, limits))), None
