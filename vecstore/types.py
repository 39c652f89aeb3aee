"""Requests and answers of the engine: what the SDK builds, the wire carries and `Database` takes. Arrays are numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import msgspec
import numpy as np

from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.index_spec import Index
from vecstore.query.filter import Filter, PointId
from vecstore.query.fusion import Fusion
from vecstore.ranking import Ranking
from vecstore.rows import GivenRows, StoredVector
from vecstore.schema import FieldKind, Schema

Durability = Literal["fsync", "os"]
ANSWER_S = 0.5  # of a call's time, at most, that a wait leaves for the answer


class WriteMode(StrEnum):
    UPSERT = "upsert"
    INSERT_ONLY = "insert_only"  # ids that exist are skipped
    UPDATE_ONLY = "update_only"  # ids that do not exist are skipped


@dataclass(slots=True)
class VectorBatch:
    """Vectors of one field for a batch of points: `rows` is (len(ids), storage width) in float32 (dense), float16,
    uint16 (bfloat16) or uint8 (packed bits, first dimension in the high bit of byte 0), for a sparse field SparseRows,
    for a text field TextRows or SparseRows of terms, for a multi-vector field TokenRows. `present` (bool, len(ids))
    says which points have one; None means all. Rows that are not present are zero or empty."""

    rows: GivenRows
    present: np.ndarray | None = None


@dataclass(slots=True)
class PointBatch:
    """Points by column. `payloads` holds each point's payload as encoded JSON (an object), or None for no payload."""

    ids: list[PointId]
    vectors: dict[str, VectorBatch] = field(default_factory=dict)
    payloads: list[bytes | None] | None = None


@dataclass(slots=True)
class IfMatch:
    """What a point has to be for a write to touch it, decided at the moment the write is applied. A point that is there
    has to satisfy `filter`. `seqs` has a number for each id of the request: the seq of the write that the point must
    come from, 0 where there must be none. Points that do not match are skipped; with `fail` one of them is enough to
    end the write with VERSION_MISMATCH, and nothing is written."""

    filter: Filter | None = None
    seqs: Sequence[int] | None = None
    fail: bool = False


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a write waits for once it is durable and visible: that every row written up to it is sealed, and served by
    the indexes that its fields ask for. `timeout_s`: how long at most; None is `limits.deadline_default_s`."""

    timeout_s: float | None = None

    def within(self, left_s: float) -> Indexed:
        """In a call that has so long left."""
        bound = left_s - min(ANSWER_S, left_s / 10)
        return Indexed(bound if self.timeout_s is None else min(bound, self.timeout_s))


@dataclass(slots=True)
class UpsertRequest:
    """Here and in the other writes: a write with an `idempotency_key` that was used before is not done again, and gets
    the answer of the first time. `durability` None is the server's setting, `wait` None: until the write is visible."""

    collection: str
    batch: PointBatch
    mode: WriteMode = WriteMode.UPSERT
    durability: Durability | None = None
    if_match: IfMatch | None = None
    idempotency_key: str | None = None
    wait: Indexed | None = None


@dataclass(slots=True)
class DeleteRequest:
    """Deletes by `ids` or by `filter`, exactly one of the two."""

    collection: str
    ids: Sequence[PointId] | None = None
    filter: Filter | None = None
    durability: Durability | None = None
    if_match: IfMatch | None = None  # for writes by ids
    idempotency_key: str | None = None
    wait: Indexed | None = None


class PayloadOp(StrEnum):
    SET = "set"  # merge the given keys in
    OVERWRITE = "overwrite"  # replace the whole payload
    DELETE_KEYS = "delete_keys"
    CLEAR = "clear"


@dataclass(slots=True)
class PayloadRequest:
    collection: str
    op: PayloadOp
    ids: Sequence[PointId] | None = None
    filter: Filter | None = None
    payload: bytes | None = None  # encoded JSON object, for SET and OVERWRITE
    keys: Sequence[str] = ()  # top-level keys, for DELETE_KEYS
    durability: Durability | None = None
    if_match: IfMatch | None = None  # for writes by ids
    idempotency_key: str | None = None
    wait: Indexed | None = None


@dataclass(slots=True)
class UpdateVectorsRequest:
    """Replaces the vectors that `batch` has of points that exist; their other vectors and their payloads stay. `batch`
    has no payloads."""

    collection: str
    batch: PointBatch
    durability: Durability | None = None
    if_match: IfMatch | None = None  # for writes by ids
    idempotency_key: str | None = None
    wait: Indexed | None = None


@dataclass(slots=True)
class DeleteVectorsRequest:
    """Takes the vectors of the fields `names` from points; the rest of the points stays."""

    collection: str
    names: Sequence[str]
    ids: Sequence[PointId] | None = None
    filter: Filter | None = None
    durability: Durability | None = None
    if_match: IfMatch | None = None  # for writes by ids
    idempotency_key: str | None = None
    wait: Indexed | None = None


SingleWrite = UpsertRequest | DeleteRequest | PayloadRequest | UpdateVectorsRequest | DeleteVectorsRequest


@dataclass(slots=True)
class UpdateBatchRequest:
    """Writes of one collection, in order, as one: all of them or none, under one seq. Each sees what those before it
    leave. They name no collection or this one, and no durability,
    idempotency key or wait of their own."""

    collection: str
    operations: Sequence[SingleWrite]
    durability: Durability | None = None
    idempotency_key: str | None = None
    wait: Indexed | None = None


WriteRequest = SingleWrite | UpdateBatchRequest


@dataclass(slots=True)
class WriteResult:
    """`seq` is the write's sequence number in `collection`; every later read of that which reports a `seq` at least as
    large has seen it. `collection` is called so itself, by whatever alias the write came."""

    seq: int
    changed: int  # points written or deleted
    skipped: int = 0  # ids that the mode or a condition left alone, or that there was nothing to change of
    operations: Sequence[WriteResult] = ()  # of a batch: what each of its writes did
    collection: str = ""


@dataclass(slots=True)
class Selection:
    """What to return of each point: True for all, False for none, or a list of payload keys / vector names."""

    payload: bool | Sequence[str] = True
    vectors: bool | Sequence[str] = False


@dataclass(slots=True)
class Point:
    """One stored point. `payload_json` is the encoded payload (None when not asked for); `payload` decodes it.
    `vectors` are in the field's storage dtype (bfloat16 widened to float32); binary ones are packed uint8, sparse ones
    and those of texts SparseVector, multi-vectors (tokens, dim)."""

    id: PointId
    seq: int
    payload_json: bytes | None = None
    vectors: dict[str, StoredVector] | None = None

    @property
    def payload(self) -> dict[str, Any] | None:
        return None if self.payload_json is None else msgspec.json.decode(self.payload_json)

    def __repr__(self) -> str:
        """The payload as it is read, and of the rest what is there."""
        ranked = {"score": self.score, "legs": self.legs} if isinstance(self, Hit) else {}
        parts = {"id": self.id, **ranked, "payload": self.payload, "vectors": self.vectors}
        shown = ", ".join(f"{name}={value!r}" for name, value in parts.items() if value is not None)
        return f"{type(self).__name__}({shown})"


@dataclass(slots=True, repr=False)
class Hit(Point):
    """`legs` are the point's scores in those of the prefetches of a fusion that found it, by the prefetch's place."""

    score: float = 0.0
    legs: dict[int, float] | None = None


@dataclass(slots=True)
class GetRequest:
    """Here and in the other reads: `min_seq` is the write of the collection to be seen at least. `min_seqs` are writes
    by their collection's name; they are waited for before it is looked up what an alias stands for, so that they hold
    for the collection that they were made in, and for no other."""

    collection: str
    ids: Sequence[PointId]
    select: Selection = field(default_factory=Selection)
    min_seq: int = 0
    min_seqs: Mapping[str, int] | None = None


@dataclass(slots=True)
class ScrollRequest:
    """Points in id order (numbers, then UUIDs, then strings), starting after `after`."""

    collection: str
    filter: Filter | None = None
    limit: int = 10
    after: PointId | None = None
    select: Selection = field(default_factory=Selection)
    min_seq: int = 0
    min_seqs: Mapping[str, int] | None = None


@dataclass(slots=True)
class ScrollResult:
    points: list[Point]
    next_after: PointId | None  # pass as `after` to go on; None at the end
    seq: int
    collection: str = ""  # what to go on in: the alias that was asked for may stand for another one by then


@dataclass(slots=True)
class CountRequest:
    collection: str
    filter: Filter | None = None
    min_seq: int = 0
    min_seqs: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Mmr:
    """Choose answers that are near the query and unlike each other, of so many `candidates`. `diversity` is 0 (only
    near) to 1 (only unlike)."""

    diversity: float = 0.5
    candidates: int = 100


@dataclass(slots=True)
class Prefetch:
    """A query whose answers another one starts from: by `vector`, by a `ranking`, or a `fusion` of its own prefetches.
    With prefetches and a vector, theirs are scored exactly by it."""

    vector: GivenRows | None = None
    using: str | None = None
    filter: Filter | None = None
    k: int = 100
    score_threshold: float | None = None
    params: SearchParams = DEFAULT_PARAMS
    prefetch: Sequence[Prefetch] = ()
    fusion: Fusion | None = None
    ranking: Ranking | None = None


@dataclass(slots=True)
class QueryRequest:
    """The k nearest points to `vector` (float32 of length dim, packed uint8 for a binary field, one SparseRows for a
    sparse field, one TextRows or SparseRows for a text field, one TokenRows for a multi-vector field), or in
    `query_many` to each row of it.

    With `prefetch`, of the points that these find: the k that `fusion` ranks first, or that are nearest to `vector`.
    A `ranking` takes the place of a vector: examples, an order, a sample, a formula."""

    collection: str
    vector: GivenRows | None = None
    using: str | None = None  # may be left out when the collection has one vector field
    filter: Filter | None = None
    k: int = 10
    offset: int = 0
    score_threshold: float | None = None
    select: Selection = field(default_factory=Selection)
    min_seq: int = 0
    timeout_s: float | None = None
    explain: bool = False
    params: SearchParams = DEFAULT_PARAMS
    prefetch: Sequence[Prefetch] = ()
    fusion: Fusion | None = None
    mmr: Mmr | None = None
    ranking: Ranking | None = None
    min_seqs: Mapping[str, int] | None = None

    @property
    def is_staged(self) -> bool:
        """Whether it is more than one search."""
        if self.prefetch or self.fusion is not None:
            return True
        return self.mmr is not None or self.ranking is not None


@dataclass(slots=True)
class CollectionInfo:
    name: str
    schema: Schema
    seq: int
    points: int
    version: int = 1  # of the schema: it grows by each change


class OperationState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class OperationInfo:
    """A long job. `done` of `total` counts the unit that `phase` names; rates are per second."""

    id: str
    kind: str  # seal, merge, create_field, drop_segment, ...
    collection: str
    state: OperationState
    phase: str = ""
    done: int = 0
    total: int = 0
    started_at: float = 0.0  # seconds since 1970
    finished_at: float | None = None
    rate: float = 0.0
    eta_s: float | None = None
    error: str | None = None


@dataclass(slots=True)
class SnapshotInfo:
    """A snapshot: `seqs` and `points` by collection, the last write that is in it and how many points."""

    name: str
    created_at: float  # seconds since 1970
    bytes: int
    seqs: dict[str, int] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    error: str | None = None  # why it cannot be read


@dataclass(slots=True)
class VectorIndexRequest:
    """Index the vector field `vector` by `spec` from now on; None leaves it to the engine."""

    collection: str
    vector: str
    spec: Index | None


@dataclass(slots=True)
class TuneRequest:
    """Measure on `queries`, one a row, how hard the indexes of a vector field have to look; None is the only field."""

    collection: str
    queries: GivenRows
    using: str | None = None


@dataclass(slots=True)
class FieldIndexRequest:
    collection: str
    key: str
    kind: FieldKind | None = None  # None when deleting
