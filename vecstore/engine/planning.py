"""The plan of a query: what each stage would do in each segment, what that and the alternatives are expected to cost,
and how many rows its filter lets through. No vectors are read and no payloads; payload indexes are asked.

Times are of one core, by the costs that searches choose by (`index.costs`): their ratios are meant, not microseconds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from vecstore.config import Storage
from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.left_out import LeftOut
from vecstore.engine.scan import usable
from vecstore.engine.segment import SegmentView
from vecstore.engine.stage import Stage
from vecstore.engine.staged import both, stage_name, what_ranks
from vecstore.index import costs
from vecstore.index.base import DEFAULT_PARAMS, EXACT_SCAN, SearchParams, Way, is_stale
from vecstore.kernels.base import Kernels
from vecstore.query.bitmaps import bitmap_from_words
from vecstore.query.evaluate import bounds
from vecstore.query.filter import Filter


@dataclass(slots=True)
class Planning:
    kernels: Kernels
    view: View
    storage: Storage

    def described(self, stage: Stage, above: Filter | None = None) -> dict[str, Any]:
        """One stage and those below it, JSON-able."""
        where = both(above, stage.filter)
        found: dict[str, Any] = {"stage": what_ranks(stage) if stage.stages else stage_name(stage), "limit": stage.k}
        if stage.name:
            found["using"] = stage.name
        if stage.params != DEFAULT_PARAMS:
            given = asdict(stage.params)
            found["params"] = {name: value for name, value in given.items() if value != getattr(DEFAULT_PARAMS, name)}
        if stage.stages:
            found["prefetch"] = [self.described(below, where) for below in stage.stages]
            found["candidates"] = min(self.view.points, sum(below.k for below in stage.stages))
            if stage.by_vector and stage.field is not None:
                cost = costs.exact(found["candidates"], stage.field.row_bytes, k=stage.k)
                found["estimated_us"] = round(cost / 1e3, 1)
        elif stage.field is not None:
            found["segments"] = [self._segment(stage, one, where) for one in self.view.segments]
            known = [one["estimated_us"] for one in found["segments"] if one["estimated_us"] is not None]
            found["estimated_us"] = round(sum(known), 1) if len(known) == len(found["segments"]) else None
        else:
            found["segments"] = [self._matched(one, where)[0] for one in self.view.segments]
        return found

    def _matched(self, segment: SegmentView, where: Filter | None, name: str = "") -> tuple[dict[str, Any], int]:
        """What is known of a segment before it is searched, and how many rows are expected to match."""
        alive = segment.alive
        present = segment.segment.present(name, segment.n_rows) if name else None
        if present is not None:
            alive = alive & present
        sure = possible = bitmaps.count_bits(alive)
        if where is not None:
            sure, possible = bounds(where, segment, bitmap_from_words(alive))
        expected = (sure + possible + 1) // 2
        described = {
            "kind": "sealed" if segment.segment.sorted_by_id else "growing",
            "rows": segment.n_rows,
            "alive": segment.n_alive,
            "matches": {"least": sure, "most": possible, "expected": expected},
            "payloads_to_read": possible - sure,
        }
        return described, expected

    def _segment(self, stage: Stage, segment: SegmentView, where: Filter | None) -> dict[str, Any]:
        described, matches = self._matched(segment, where, stage.name)
        assert stage.field is not None
        if LeftOut(stage.params, self.storage).waits(segment, stage.name, stage.field):
            return {**described, "strategy": "left_out", "estimated_us": 0.0, "est_recall": None, "alternatives": []}
        ways = self._ways(stage, segment, matches, filtered=where is not None)
        chosen = next((way for way in ways if way.chosen), None)
        return {
            **described,
            "strategy": "none" if chosen is None else chosen.strategy,
            "estimated_us": 0.0 if chosen is None else _rounded(chosen.est_us),
            "est_recall": None if chosen is None else chosen.recall,
            "alternatives": [
                {"strategy": way.strategy, "estimated_us": _rounded(way.est_us), "est_recall": way.recall}
                for way in sorted(ways, key=lambda way: (way.est_us is None, way.est_us))
                if way is not chosen
            ],
        }

    def _ways(self, stage: Stage, segment: SegmentView, matches: int, *, filtered: bool) -> list[Way]:
        assert stage.field is not None
        if not matches:
            return []
        name, k, params = stage.name, min(stage.k, matches), stage.params
        kernels = segment.segment.guard(self.kernels, name)
        by_rows = costs.exact(matches, stage.field.row_bytes, costs.row_factor(kernels), k=k) / 1e3
        index = usable(segment, name, matches, params)
        if index is None or params.truncate_dim:
            built = usable(segment, name, segment.n_rows, SearchParams())
            others = [] if built is None else built.ways(kernels, k, matches, params)
            lists = stage.field.is_sparse and not segment.segment.sorted_by_id  # which growing segments have
            exact = Way("inverted_growing" if lists else EXACT_SCAN, None if lists else by_rows, 1.0, True)
            return [exact, *(replace(way, chosen=False) for way in others if way.strategy != EXACT_SCAN)]
        ways = index.ways(kernels, k, matches, params)
        if matches <= k and any(way.strategy == EXACT_SCAN for way in ways):  # then there is nothing to choose
            ways = [replace(way, chosen=way.strategy == EXACT_SCAN) for way in ways]
        if is_stale(index, segment.n_alive):
            ways = [
                way if way.strategy == EXACT_SCAN else Way(way.strategy, way.est_us, None, way.chosen) for way in ways
            ]
        if not any(way.strategy == EXACT_SCAN for way in ways):
            ways = [*ways, Way(EXACT_SCAN, by_rows, 1.0, False)]
        usual = index.name
        return [
            replace(way, strategy=f"{usual}_filtered") if filtered and way.strategy == usual else way for way in ways
        ]


def _rounded(us: float | None) -> float | None:
    return None if us is None else round(us, 1)
