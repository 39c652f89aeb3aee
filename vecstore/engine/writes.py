"""What a write wants (built and validated in the caller's thread) and what it comes to (decided by the committer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine.records import WriteRecord, encode_record
from vecstore.given import stored_rows
from vecstore.query.filter import Filter, PointId
from vecstore.query.parse import check_filter
from vecstore.rows import taken
from vecstore.schema import Schema
from vecstore.types import DeleteRequest, PayloadOp, PayloadRequest, PointBatch, UpsertRequest, VectorBatch, WriteMode


@dataclass(slots=True)
class Upsert:
    batch: PointBatch  # distinct ids, vectors in storage dtype, payloads checked
    mode: WriteMode
    encoded: bytes | None  # the log record, when the mode takes every point
    nbytes: int


@dataclass(slots=True)
class Delete:
    ids: list[PointId] | None
    filter: Filter | None
    nbytes: int = 0


@dataclass(slots=True)
class PayloadChange:
    op: PayloadOp
    ids: list[PointId] | None
    filter: Filter | None
    payload: bytes | None
    keys: tuple[str, ...]
    nbytes: int = 0


Write = Upsert | Delete | PayloadChange


@dataclass(slots=True)
class Resolved:
    """A write decided against the state it follows: its log record and the rows of sealed segments that die."""

    record: WriteRecord
    encoded: bytes
    dead: dict[str, np.ndarray] = field(default_factory=dict)  # uid of a sealed segment -> rows
    changed: int = 0
    skipped: int = 0


def reads_state(write: Write) -> bool:
    """Whether deciding the write needs more than which ids exist, so that earlier writes must be applied first."""
    return isinstance(write, PayloadChange) or (isinstance(write, Delete) and write.filter is not None)


def prepare_upsert(request: UpsertRequest, schema: Schema, limits: Limits) -> Upsert:
    """Check and convert a batch. Of points that share an id the last one wins. Raises InvalidArgument."""
    batch = request.batch
    ids = validate.check_ids(batch.ids, limits)
    vectors, nbytes = {}, 0
    for name, given in batch.vectors.items():
        spec = schema.vectors.get(name)
        if spec is None:
            known = ", ".join(sorted(schema.vectors))
            message = f"no vector field named {name!r:.80}; the collection has {known}"
            raise validate.invalid("VECTOR_NAME_UNKNOWN", message, f"vectors.{name}")
        rows = stored_rows(given.rows, spec, len(ids), f"vectors.{name}", limits, given.present)
        nbytes += rows.nbytes
        vectors[name] = VectorBatch(rows, check_present(given.present, len(ids), name))
    payloads = batch.payloads
    if payloads is not None:
        if len(payloads) != len(ids):
            message = f"{len(payloads)} payloads for {len(ids)} points"
            raise validate.invalid("BAD_PAYLOAD", message, "payloads")
        payloads = [
            None if payload is None else validate.check_payload_json(payload, limits, f"payloads[{place}]")
            for place, payload in enumerate(payloads)
        ]
    checked = PointBatch(ids, vectors, payloads)
    if len(set(ids)) != len(ids):
        checked = select(checked, sorted({point_id: place for place, point_id in enumerate(ids)}.values()))
    mode = WriteMode(request.mode)
    nbytes += sum(len(p) for p in payloads or () if p)
    encoded = encode_record(WriteRecord(checked)) if mode is WriteMode.UPSERT else None
    return Upsert(checked, mode, encoded, nbytes)


def check_present(present: np.ndarray | None, count: int, name: str) -> np.ndarray | None:
    if present is None:
        return None
    flags = np.asarray(present, dtype=bool)
    if flags.shape != (count,):
        message = f"vectors.{name}.present has shape {flags.shape} for {count} points"
        raise validate.invalid("BAD_VECTOR", message, f"vectors.{name}.present")
    return None if flags.all() else flags


def select(batch: PointBatch, places: Sequence[int]) -> PointBatch:
    """The points of a batch at `places`."""
    index = np.asarray(places, dtype=np.int64)
    vectors = {
        name: VectorBatch(taken(given.rows, index), None if given.present is None else given.present[index])
        for name, given in batch.vectors.items()
    }
    payloads = None if batch.payloads is None else [batch.payloads[place] for place in places]
    return PointBatch([batch.ids[place] for place in places], vectors, payloads)


def prepare_delete(request: DeleteRequest, limits: Limits) -> Delete:
    ids, where = check_target(request.ids, request.filter, limits)
    return Delete(ids, where)


def prepare_payload(request: PayloadRequest, limits: Limits) -> PayloadChange:
    ids, where = check_target(request.ids, request.filter, limits)
    op = PayloadOp(request.op)
    payload = request.payload
    if op in (PayloadOp.SET, PayloadOp.OVERWRITE):
        if payload is None:
            raise validate.invalid("BAD_PAYLOAD", f"{op.value} needs a payload", "payload")
        payload = validate.check_payload_json(payload, limits)
    elif payload is not None:
        raise validate.invalid("BAD_PAYLOAD", f"{op.value} takes no payload", "payload")
    if op is PayloadOp.DELETE_KEYS and not request.keys:
        raise validate.invalid("BAD_PAYLOAD", "delete_keys needs at least one key", "keys")
    keys = tuple(validate.check_payload_key(key) for key in request.keys)
    return PayloadChange(op, ids, where, payload, keys, len(payload or b""))


def check_target(
    ids: Sequence[PointId] | None, where: Filter | None, limits: Limits
) -> tuple[list[PointId] | None, Filter | None]:
    """Exactly one of ids and filter; ids distinct, in order of first mention."""
    if (ids is None) == (where is None):
        raise validate.invalid("BAD_ARGUMENT", "give either ids or a filter", "ids")
    if where is not None:
        return None, check_filter(where, limits)
    assert ids is not None
    return list(dict.fromkeys(validate.check_ids(ids, limits))), None
