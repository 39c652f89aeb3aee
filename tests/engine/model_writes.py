"""Random writes, each beside what it must do to a dictionary of points; written apart from the engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import numpy as np
from hypothesis import strategies as st

from vecstore.query.builder import F, has_id, has_vector
from vecstore.query.filter import Filter
from vecstore.schema import DataType, FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    IfMatch,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    SingleWrite,
    UpdateVectorsRequest,
    UpsertRequest,
    VectorBatch,
    WriteMode,
)

DIM = 8
SCHEMA = Schema(
    {
        "l2": VectorField(VectorKind.DENSE, DIM, Metric.L2),
        "dot": VectorField(VectorKind.DENSE, DIM, Metric.DOT, DataType.FLOAT16),
        "bits": VectorField(VectorKind.BINARY, 16, Metric.HAMMING),
    },
    {"n": FieldKind.INTEGER},
)
IDS = [*range(12), *(UUID(int=n << 60) for n in range(6)), *(f"id-{n}" for n in range(8))]
Model: TypeAlias = dict[Any, dict[str, Any]]

ids = st.sampled_from(IDS)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 9) | st.none() | st.lists(st.integers(0, 9), max_size=2) | st.sampled_from(["4", 2.5]),
        "s": st.sampled_from(["red", "green", "blue", "red fox"]),
        "b": st.booleans(),
    },
)
vectors = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM)
points = st.lists(st.tuples(ids, vectors, st.integers(0, 65_535), payloads, st.booleans()), min_size=1, max_size=12)


def values(payload: dict[str, Any], key: str) -> list[Any]:
    value = payload.get(key)
    return value if isinstance(value, list) else [value]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# A filter beside what it must mean, written apart from the engine's own matcher.
Where: TypeAlias = tuple[Filter | None, Callable[[Any, dict[str, Any], bool], bool]]
FILTERS: list[Where] = [
    (None, lambda i, p, v: True),
    (F("n").eq(4), lambda i, p, v: any(is_number(x) and x == 4 for x in values(p, "n"))),
    (F("n").between(2, 6), lambda i, p, v: any(is_number(x) and 2 <= x <= 6 for x in values(p, "n"))),
    (F("s").eq("red"), lambda i, p, v: p.get("s") == "red"),
    (F("s").text("red"), lambda i, p, v: p.get("s") in ("red", "red fox")),
    (F("s").exists() & ~F("b").eq(True), lambda i, p, v: "s" in p and p.get("b") is not True),
    (F("n").is_null(), lambda i, p, v: "n" in p and (p["n"] is None)),
    (F("n").gte(5) | F("s").in_(["green", "blue"]),
     lambda i, p, v: any(is_number(x) and x >= 5 for x in values(p, "n")) or p.get("s") in ("green", "blue")),
    (has_id(1, "id-3", UUID(int=2 << 60)), lambda i, p, v: i in (1, "id-3", UUID(int=2 << 60))),
    (has_vector("bits"), lambda i, p, v: v),
]  # fmt: skip
filters = st.sampled_from(FILTERS)


def matching(model: Model, where: Where) -> list[Any]:
    return [i for i, p in model.items() if where[1](i, p["payload"], p["bits"] is not None)]


def encoded(payload: dict[str, Any]) -> bytes | None:
    return msgspec.json.encode(payload) if payload else None


@dataclass
class Step:
    """A write, and what it comes to."""

    request: SingleWrite
    after: Model
    changed: int
    skipped: int = 0
    refused: bool = False


Change: TypeAlias = Callable[[Model], Step]


@dataclass
class Write:
    name: str
    change: Change

    def __repr__(self) -> str:
        return self.name


def columns(batch: list[tuple[Any, ...]]) -> dict[str, VectorBatch]:
    dense = np.array([vector for _, vector, *_ in batch], dtype=np.float32)
    bits = np.array([[n >> 8, n & 255] for _, _, n, *_ in batch], dtype=np.uint8)
    present = np.array([has for *_, has in batch])
    bits[~present] = 0
    return {"l2": VectorBatch(dense), "dot": VectorBatch(dense * 2), "bits": VectorBatch(bits, present)}


def rows_of(batch: list[tuple[Any, ...]], place: int) -> dict[str, Any]:
    return {
        name: column.rows[place] if column.present is None or column.present[place] else None
        for name, column in columns(batch).items()
    }


def upsert(batch: list[tuple[Any, ...]], mode: WriteMode) -> Write:
    def change(model: Model) -> Step:
        names = [point_id for point_id, *_ in batch]
        last = {point_id: place for place, point_id in enumerate(names)}
        exists = {WriteMode.INSERT_ONLY: False, WriteMode.UPDATE_ONLY: True}.get(mode)
        taken = [i for i in last if exists is None or (i in model) == exists]
        after = dict(model)
        for point_id in taken:
            payload = json.loads(json.dumps(batch[last[point_id]][3]))
            after[point_id] = {**rows_of(batch, last[point_id]), "payload": payload}
        given = PointBatch(names, columns(batch), [encoded(payload) for *_, payload, _ in batch])
        return Step(UpsertRequest("c", given, mode), after, len(taken), len(last) - len(taken))

    return Write(f"upsert {mode.value}", change)


def update_vectors(batch: list[tuple[Any, ...]], fields: list[str]) -> Write:
    """The vectors of `fields`; of `bits` only where the point brings one."""

    def change(model: Model) -> Step:
        names = [point_id for point_id, *_ in batch]
        last = {point_id: place for place, point_id in enumerate(names)}
        after = dict(model)
        for point_id in last:
            if point_id in model:
                new = {name: row for name, row in rows_of(batch, last[point_id]).items() if row is not None}
                after[point_id] = {**model[point_id], **{name: new[name] for name in fields if name in new}}
        chosen = {name: column for name, column in columns(batch).items() if name in fields}
        there = sum(point_id in model for point_id in last)
        return Step(UpdateVectorsRequest("c", PointBatch(names, chosen)), after, there, len(last) - there)

    return Write("update vectors", change)


def _targets(model: Model, chosen: list[Any], where: Where) -> tuple[list[Any] | None, list[Any], int]:
    """Ids to ask for (None: by the filter), those that are there, and how many are not."""
    if where[0] is not None:
        return None, matching(model, where), 0
    wanted = list(dict.fromkeys(chosen))
    there = [i for i in wanted if i in model]
    return wanted, there, len(wanted) - len(there)


def delete(chosen: list[Any], where: Where) -> Write:
    def change(model: Model) -> Step:
        wanted, there, _ = _targets(model, chosen, where)
        after = {i: point for i, point in model.items() if i not in there}
        return Step(DeleteRequest("c", ids=wanted, filter=where[0]), after, len(there))

    return Write("delete ids" if where[0] is None else "delete filter", change)


def delete_vectors(names: list[str], chosen: list[Any], where: Where) -> Write:
    def change(model: Model) -> Step:
        wanted, there, skipped = _targets(model, chosen, where)
        after = model | {i: {**model[i], **dict.fromkeys(names)} for i in there}
        return Step(DeleteVectorsRequest("c", names, wanted, where[0]), after, len(there), skipped)

    return Write("delete vectors", change)


def change_payload(chosen: list[Any], where: Where, op: PayloadOp, new: dict[str, Any]) -> Write:
    def change(model: Model) -> Step:
        wanted, there, skipped = _targets(model, chosen, where)
        after = dict(model)
        for point_id in there:
            payload = model[point_id]["payload"]
            if op is PayloadOp.SET:
                payload = {**payload, **new}
            elif op is PayloadOp.OVERWRITE:
                payload = new
            elif op is PayloadOp.DELETE_KEYS:
                payload = {key: value for key, value in payload.items() if key not in ("n", "s")}
            else:
                payload = {}
            after[point_id] = {**model[point_id], "payload": json.loads(json.dumps(payload))}
        takes_payload = op in (PayloadOp.SET, PayloadOp.OVERWRITE)
        request = PayloadRequest(
            "c", op, wanted, where[0],
            payload=msgspec.json.encode(new) if takes_payload else None,
            keys=("n", "s") if op is PayloadOp.DELETE_KEYS else (),
        )  # fmt: skip
        return Step(request, after, len(there), skipped)

    return Write(f"payload {op.value}", change)


def matching_only(
    plain: Callable[[list[Any]], Write], items: list[Any], where: Where, right: list[bool] | None, fail: bool
) -> Write:
    """A write by ids, of points that satisfy `where` and, for each id, come from the right or a wrong write."""

    def id_of(item: Any) -> Any:
        return item[0] if isinstance(item, tuple) else item

    def change(model: Model) -> Step:
        now = {id_of(item): model[id_of(item)]["seq"] if id_of(item) in model else 0 for item in items}
        seqs = None
        if right is not None:
            expected = [right[place % len(right)] for place in range(len(items))]
            seqs = [now[id_of(item)] + (not good) for item, good in zip(items, expected, strict=True)]
        last = {id_of(item): place for place, item in enumerate(items)}
        fit = {i for i in last if seqs is None or seqs[last[i]] == now[i]}
        fit -= {i for i in fit if i in model and i not in matching(model, where)}
        request = plain(items).change(model).request
        request.if_match = IfMatch(where[0], seqs, fail)
        if fail and len(fit) < len(last):
            return Step(request, model, 0, refused=True)
        kept = [item for item in items if id_of(item) in fit]
        step = plain(kept).change(model) if kept else Step(request, model, 0)
        return Step(request, step.after, step.changed, step.skipped + len(last) - len(fit))

    return Write(f"if match {plain([(0, [0] * DIM, 0, {}, True)]).name}", change)


def by_ids(change: Callable[[list[Any]], Write], items: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[Write]:
    right = st.none() | st.lists(st.sampled_from([True, True, True, False]), min_size=1, max_size=6)
    return st.builds(matching_only, st.just(change), items, wheres, right, st.sampled_from([False, False, False, True]))


some = st.lists(ids, min_size=1, max_size=6)
different = st.lists(ids, min_size=1, max_size=6, unique=True)
fields = st.lists(st.sampled_from(sorted(SCHEMA.vectors)), min_size=1, max_size=3, unique=True)
wheres = st.just(FILTERS[0]) | filters  # without a filter: by ids
writes = st.one_of(
    st.builds(upsert, points, st.sampled_from(WriteMode)),
    st.builds(update_vectors, points, fields),
    st.builds(delete, some, wheres),
    st.builds(delete_vectors, fields, some, wheres),
    st.builds(change_payload, some, wheres, st.sampled_from([PayloadOp.SET, PayloadOp.OVERWRITE]), payloads),
    st.builds(change_payload, some, wheres, st.sampled_from([PayloadOp.DELETE_KEYS, PayloadOp.CLEAR]), payloads),
    by_ids(lambda items: upsert(items, WriteMode.UPSERT), points),
    by_ids(lambda items: upsert(items, WriteMode.INSERT_ONLY), points),
    by_ids(lambda items: update_vectors(items, ["dot", "bits"]), points),
    by_ids(lambda items: delete(items, FILTERS[0]), different),
    by_ids(lambda items: delete_vectors(["l2"], items, FILTERS[0]), different),
    by_ids(lambda items: change_payload(items, FILTERS[0], PayloadOp.SET, {"n": 5}), different),
)
WRITES = [
    *(f"upsert {mode.value}" for mode in WriteMode), *(f"payload {op.value}" for op in PayloadOp),
    "delete ids", "delete filter", "update vectors", "delete vectors", "if match upsert upsert",
    "if match update vectors", "if match delete ids", "if match payload set",
]  # fmt: skip
