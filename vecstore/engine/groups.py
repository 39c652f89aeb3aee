"""Grouping the answers of a query by a payload key.

A search is widened until it holds enough groups, each full, or everything there is. Where groups stay open after a few
rounds (a document of two chunks never has three), one more search among their points alone fills them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vecstore.engine.row_keys import by_segment, keys_of, ranked_of, rows_of
from vecstore.engine.search import ordered_ties
from vecstore.engine.segment import STOP_ROWS, decode_payload
from vecstore.engine.stage import Stage, StagePlan
from vecstore.engine.staged import Staged
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.stop import check_stop
from vecstore.quality import NOTHING, Quality, over_rounds
from vecstore.query.filter import Filter, MatchAny
from vecstore.query.group_values import Value, group_values
from vecstore.query.path import found_at, parse_path, values_of
from vecstore.ranking import OrderBy, Sample

FIRST_K = 64
WIDER = 4  # times as many each round
ROUNDS = 3  # of widening for groups that are not full


@dataclass(slots=True)
class Found:
    """Answers by ascending (distance, id), and the groups they form, in the order of their best hits: value -> places
    in `keys`. `legs` are the scores of a fusion, (n, prefetches)."""

    keys: Int64Array
    distances: Float32Array
    legs: Float32Array | None = None
    groups: dict[Value, list[int]] = field(default_factory=dict)
    quality: Quality = NOTHING


@dataclass(slots=True)
class Grouping:
    staged: Staged
    by: str
    size: int
    limit: int
    _values: dict[int, tuple[Value, ...]] = field(default_factory=dict)  # by key of the row

    def run(self, stage: Stage, plan: StagePlan | None) -> Found:
        """The first `limit` groups, each with its `size` best points."""
        everything = max(1, self.staged.view.points)
        whole = bool(stage.stages) or isinstance(stage.ranking, OrderBy | Sample)
        k = everything if whole else max(FIRST_K, 2 * self.limit * self.size)
        rounds = 0
        while True:
            found = self._search(replace(stage, k=k), plan)
            rounds += 1
            if whole or len(found.keys) < k or k >= everything or found.quality.timed_out:
                return found
            if len(found.groups) == self.limit:
                open_values = [value for value, places in found.groups.items() if len(places) < self.size]
                if not open_values:
                    return found
                if rounds >= ROUNDS:
                    return self._filled(found, open_values, stage, plan)
            k *= WIDER

    def _search(self, stage: Stage, plan: StagePlan | None, only: Sequence[Value] | None = None) -> Found:
        ranked, legs = self.staged.run(stage, plan)
        found = Found(keys_of(ranked), ranked.distances[0], legs, quality=ranked.quality)
        self._group(found, only)
        return found

    def _group(self, found: Found, only: Sequence[Value] | None) -> None:
        """Put answers into groups: into the first `limit`, or into those of `only`."""
        self._read(found.keys)
        groups: dict[Value, list[int]] = {} if only is None else {value: [] for value in only}
        for place, key in enumerate(found.keys.tolist()):
            for value in self._values[key]:
                members = groups.get(value)
                if members is None:
                    if only is not None or len(groups) == self.limit:
                        continue
                    members = groups[value] = []
                if len(members) < self.size:
                    members.append(place)
        found.groups = groups

    def _filled(self, found: Found, values: list[Value], stage: Stage, plan: StagePlan | None) -> Found:
        """With the best points of the groups of `values`, found among these groups' points alone."""
        members = Filter(must=(MatchAny(self.by, tuple(value for _, value in values)),))
        where = members if stage.filter is None else Filter(must=(stage.filter, members))
        k = WIDER * self.size * len(values)
        while True:
            own = self._search(replace(stage, k=k, filter=where), plan, values)
            full = all(len(places) == self.size for places in own.groups.values())
            if len(own.keys) < k or full or own.quality.timed_out:
                break
            k *= WIDER
        keys, firsts = np.unique(np.concatenate([found.keys, own.keys]), return_index=True)
        distances = np.concatenate([found.distances, own.distances])[firsts]
        order = np.argsort(distances, kind="stable")
        keys, distances = keys[order], distances[order]
        order = ordered_ties(self.staged.view, ranked_of(keys, distances), len(keys))
        merged = Found(keys[order], distances[order], quality=over_rounds(found.quality, own.quality))
        self._group(merged, list(found.groups))
        return merged

    def _read(self, keys: Int64Array) -> None:
        """Learn the values of rows that are new."""
        known, path = self._values, parse_path(self.by)
        fresh = np.array([key for key in keys.tolist() if key not in known], np.int64)
        for place, at in by_segment(fresh):
            stored = self.staged.view.segments[place].segment.take_payloads(rows_of(fresh[at]))
            for count, (key, encoded) in enumerate(zip(fresh[at].tolist(), stored, strict=True)):
                if count % STOP_ROWS == 0:
                    check_stop()
                known[key] = group_values(values_of(found_at(decode_payload(encoded), path))) if encoded else ()
