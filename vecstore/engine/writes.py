"""What a write wants (built and checked in the caller's thread, `prepare.py`) and what it comes to (decided by the
committer, `resolve.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vecstore.engine.records import WriteRecord
from vecstore.query.filter import Filter, PointId
from vecstore.rows import taken
from vecstore.types import PayloadOp, PointBatch, VectorBatch, WriteMode


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


@dataclass(slots=True)
class VectorsUpdate:
    batch: PointBatch  # as of an upsert, without payloads
    nbytes: int


@dataclass(slots=True)
class VectorsDelete:
    names: tuple[str, ...]
    ids: list[PointId] | None
    filter: Filter | None
    nbytes: int = 0


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
    """Whether deciding the write needs more than which ids exist, so that earlier writes must be applied first."""
    return not (isinstance(write, Upsert) or (isinstance(write, Delete) and write.filter is None))


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
