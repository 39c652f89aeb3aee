"""Writes that touch only points which are as somebody expects them to be: optimistic concurrency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.writes import Condition, Single, Upsert, VectorsUpdate, ids_of, select
from vecstore.errors import FailedPrecondition
from vecstore.query.bitmaps import bitmap_words
from vecstore.query.evaluate import evaluate
from vecstore.query.filter import Filter, HasId, PointId

Overlay = dict[PointId, int]  # ids that earlier writes of a group touch: the seq they leave, or 0 where they delete


def narrowed(write: Single, view: View, overlay: Overlay) -> tuple[Single, int]:
    """The write to the points that match its condition, and how many do not. Raises FailedPrecondition
    (VERSION_MISMATCH) where one is enough."""
    ids = ids_of(write)
    if write.condition is None or ids is None:
        return write, 0
    matches = _matching(write.condition, ids, view, overlay)
    if matches.all():
        return write, 0
    kept = np.flatnonzero(matches)
    if isinstance(write, Upsert | VectorsUpdate):
        write = replace(write, batch=select(write.batch, kept.tolist()))
    else:
        write = replace(write, ids=[ids[place] for place in kept.tolist()])
    return write, len(ids) - len(kept)


def _matching(condition: Condition, ids: Sequence[PointId], view: View, overlay: Overlay) -> np.ndarray:
    """Whether each point is as it has to be (bool)."""
    seqs = seqs_of(ids, view, overlay)
    matches = np.ones(len(ids), dtype=bool)
    if condition.seqs is not None:
        wanted = np.array([condition.seqs[point_id] for point_id in ids], dtype=np.uint64)
        matches = seqs == wanted
        if condition.fail and not matches.all():
            raise _mismatch(ids, matches, seqs, condition.seqs)
    if condition.filter is not None:  # earlier writes have been applied: `writes.reads_state`
        satisfied = np.zeros(len(ids), dtype=bool)
        among = Filter(must=(HasId(tuple(ids)), condition.filter))
        for segment in view.segments:
            rows = segment.find(ids)
            has = np.flatnonzero(rows >= 0)
            if len(has):
                words = bitmap_words(evaluate(among, segment), segment.n_rows)
                satisfied[has] = bitmaps.are_set(words, rows[has])
        matches &= satisfied | (seqs == 0)
        if condition.fail and not matches.all():
            raise _mismatch(ids, matches, seqs, None)
    return matches


def seqs_of(ids: Sequence[PointId], view: View, overlay: Overlay) -> np.ndarray:
    """The write that each point comes from, 0 where there is none (uint64)."""
    seqs = np.zeros(len(ids), dtype=np.uint64)
    for segment in view.segments:
        rows = segment.find(ids)
        has = np.flatnonzero(rows >= 0)
        if len(has):
            seqs[has] = segment.segment.seqs(rows[has])
    if overlay:
        for place, point_id in enumerate(ids):
            if point_id in overlay:
                seqs[place] = overlay[point_id]
    return seqs


def _mismatch(
    ids: Sequence[PointId], matches: np.ndarray, seqs: np.ndarray, wanted: Mapping[PointId, int] | None
) -> FailedPrecondition:
    place = int(np.argmin(matches))
    point_id, seq = ids[place], int(seqs[place])
    if wanted is None:
        what = f"point {point_id!r:.80} does not satisfy the filter of if_match"
    else:
        found = f"comes from write {seq}" if seq else "does not exist"
        what = f"point {point_id!r:.80} {found}, not from write {wanted[point_id]}"
        if not wanted[point_id]:
            what = f"point {point_id!r:.80} exists, from write {seq}"
    count = int(np.count_nonzero(~matches))
    metadata = {"id": point_id, "seq": seq, "mismatches": count}
    return FailedPrecondition(f"{what}; {count} of {len(ids)} points", reason="VERSION_MISMATCH", metadata=metadata)
