"""What a write wants (built and checked in the caller's thread, `prepare.py`) and what it comes to (decided by the
committer, `resolve.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vecstore.engine.records import WriteRecord
from vecstore.query.filter import Filter, PointId
from vecstore.rows import taken
from vecstore.storage.checksum import xxh3_64
from vecstore.types import PayloadOp, PointBatch, VectorBatch, WriteMode


@dataclass(slots=True)
class Condition:
    """`types.IfMatch`, checked; `seqs` by id."""

    filter: Filter | None
    seqs: dict[PointId, int] | None
    fail: bool


@dataclass(slots=True)
class Upsert:
    batch: PointBatch  # distinct ids, vectors in storage dtype, payloads checked
    mode: WriteMode
    nbytes: int
    condition: Condition | None = None
    encoded: bytes | None = None  # the log record, where every point is sure to be taken


@dataclass(slots=True)
class Delete:
    ids: list[PointId] | None
    filter: Filter | None
    nbytes: int = 0
    condition: Condition | None = None


@dataclass(slots=True)
class PayloadChange:
    op: PayloadOp
    ids: list[PointId] | None
    filter: Filter | None
    payload: bytes | None
    keys: tuple[str, ...]
    nbytes: int = 0
    condition: Condition | None = None


@dataclass(slots=True)
class VectorsUpdate:
    batch: PointBatch  # as of an upsert, without payloads
    nbytes: int
    condition: Condition | None = None


@dataclass(slots=True)
class VectorsDelete:
    names: tuple[str, ...]
    ids: list[PointId] | None
    filter: Filter | None
    nbytes: int = 0
    condition: Condition | None = None


Single = Upsert | Delete | PayloadChange | VectorsUpdate | VectorsDelete


@dataclass(slots=True)
class Batch:
    operations: list[Single]
    nbytes: int


Write = Single | Batch


@dataclass(slots=True)
class Resolved:
    """A write decided against the state it follows: its log record and the rows of sealed segments that die."""

    record: WriteRecord
    dead: dict[str, np.ndarray] = field(default_factory=dict)  # uid of a sealed segment -> rows
    changed: int = 0
    skipped: int = 0
    encoded: bytes = b""  # the record, once it is to be logged
    operations: list[tuple[int, int]] = field(default_factory=list)  # of a batch: changed, skipped of each


def reads_state(write: Write) -> bool:
    """Whether deciding the write needs more than which ids exist since which write, so that earlier writes must be
    applied first."""
    if not isinstance(write, Upsert | Delete) or (write.condition is not None and write.condition.filter is not None):
        return True
    return isinstance(write, Delete) and write.filter is not None


def ids_of(write: Single) -> list[PointId] | None:
    """The ids that the write names; None where it has a filter."""
    return write.batch.ids if isinstance(write, Upsert | VectorsUpdate) else write.ids


def fingerprint(write: Write) -> int:
    """Tells a write that is sent again from another one: by what it does, and to which points. Not by their vectors:
    those that are embedded here need not be the same to the last bit."""
    return xxh3_64(repr(_outline(write)).encode())


def _outline(write: Write) -> tuple[object, ...]:
    if isinstance(write, Batch):
        return tuple(map(_outline, write.operations))
    if isinstance(write, Upsert):
        return "upsert", write.mode, write.batch.ids, sorted(write.batch.vectors), write.batch.payloads
    if isinstance(write, VectorsUpdate):
        return "update_vectors", write.batch.ids, sorted(write.batch.vectors)
    if isinstance(write, VectorsDelete):
        return "delete_vectors", write.names, write.ids, write.filter
    if isinstance(write, Delete):
        return "delete", write.ids, write.filter
    return write.op, write.ids, write.filter, write.payload, write.keys


def only_deletes(write: Write) -> bool:
    """Whether the write gives back space, and may use the reserve for it."""
    if isinstance(write, Batch):
        return all(isinstance(one, Delete) for one in write.operations)
    return isinstance(write, Delete)


def select(batch: PointBatch, places: Sequence[int]) -> PointBatch:
    """The points of a batch at `places`."""
    index = np.asarray(places, dtype=np.int64)
    vectors = {
        name: VectorBatch(taken(given.rows, index), None if given.present is None else given.present[index])
        for name, given in batch.vectors.items()
    }
    payloads = None if batch.payloads is None else [batch.payloads[place] for place in places]
    return PointBatch([batch.ids[place] for place in places], vectors, payloads)
