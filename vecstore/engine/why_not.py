"""Why a point is not among the answers to a query: each stage is run as it was asked, and once more to its end,
exactly, so that the point's true rank and score are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.left_out import LeftOut
from vecstore.engine.row_keys import key_of, keys_of, places_of
from vecstore.engine.search import Ranked
from vecstore.engine.segment import decode_payload
from vecstore.engine.stage import Stage
from vecstore.engine.stage_answers import EXACT
from vecstore.engine.staged import Staged, both, stage_name
from vecstore.query.filter import Filter, PointId
from vecstore.query.match import matches
from vecstore.query.parse import to_dict
from vecstore.schema import larger_is_nearer, score_of
from vecstore.types import QueryRequest


@dataclass(slots=True)
class WhyNot:
    """`id` is the point, `staged` reads the view."""

    staged: Staged
    id: PointId

    def report(self, request: QueryRequest, stage: Stage) -> dict[str, Any]:
        """`verdict` is one of

        answer       it is among the answers, at `rank`
        absent       there is no such point
        deleted      it was deleted, and its row is not yet gone
        filtered     conditions do not hold: `conditions` of the stage
        no_vector    it has no vector in the field
        no_match     nothing in common with the query (sparse and text fields), or no number or finite score
        threshold    its score is worse than score_threshold
        prefetch     no prefetch found it, for the reasons of each
        rank         its rank is past the limit
        offset       its rank is within the offset
        left_out     its true rank is within the limit, but its segment waits for an index (`indexed_only`)
        index        its true rank is within the limit, but the search by the index missed it
        diversity    MMR chose others
        """
        found = self._find()
        if isinstance(found, str):
            return {"verdict": found}
        key, payload, names = found
        report = self._stage(stage, key, payload, names, None)
        if request.mmr is not None and report["verdict"] == "answer":
            ranked, _ = self.staged.run(stage, None)
            spread = self.staged.diversified(stage, ranked, request.mmr, request.k + request.offset)
            rank = _place(spread, key)
            report |= {"verdict": "diversity"} if rank is None else {"rank": rank + 1}
        rank = report.get("rank")
        if report["verdict"] == "answer" and rank is not None and rank <= request.offset:
            report["verdict"] = "offset"
        return report

    def _find(self) -> str | tuple[int, dict[str, Any], list[str]]:
        """The point's key, payload and vector fields, or why there is none."""
        verdict = "absent"
        for place, view in enumerate(self.staged.view.segments):
            row = view.segment.find([self.id], view.n_rows)
            if row[0] < 0:
                continue
            if not bitmaps.are_set(view.alive, row)[0]:
                verdict = "deleted"
                continue
            encoded = view.segment.payload(int(row[0]))
            names = []
            for name in self.staged.view.schema.vectors:
                present = view.segment.present(name, view.n_rows)
                if present is None or bitmaps.are_set(present, row)[0]:
                    names.append(name)
            return int(key_of(place, row)[0]), decode_payload(encoded) if encoded else {}, names
        return verdict

    def _stage(
        self, stage: Stage, key: int, payload: dict[str, Any], names: list[str], above: Filter | None
    ) -> dict[str, Any]:
        report: dict[str, Any] = {"stage": stage_name(stage), "limit": stage.k}
        where = both(above, stage.filter)
        failed = [] if where is None else _failed(where, payload, self.id, names)
        whole, _ = self.staged.run(
            replace(stage, k=max(1, self.staged.view.points), threshold=None, params=EXACT), None, above
        )
        rank = _place(whole, key)
        if rank is not None:
            report["rank"] = rank + 1
            report["score"] = float(score_of(stage.metric, whole.distances[0][rank : rank + 1])[0])
        asked, _ = self.staged.run(stage, None, above)
        at = _place(asked, key)
        if at is not None:
            report |= {"verdict": "answer", "rank": at + 1}
        elif failed:
            report |= {"verdict": "filtered", "conditions": failed}
        elif stage.field is not None and stage.name not in names:
            report["verdict"] = "no_vector"
        elif rank is None:
            report["verdict"] = "no_match"
        elif stage.threshold is not None and _worse(report["score"], stage):
            report |= {"verdict": "threshold", "score_threshold": stage.threshold}
        else:
            missed = "left_out" if self._is_left_out(stage, key) else "index"
            report["verdict"] = "rank" if rank >= stage.k else missed
        if stage.stages:
            report["prefetch"] = [self._stage(below, key, payload, names, where) for below in stage.stages]
            if report["verdict"] == "no_match" and all(one["verdict"] != "answer" for one in report["prefetch"]):
                report["verdict"] = "prefetch"
        return report

    def _is_left_out(self, stage: Stage, key: int) -> bool:
        segment = self.staged.view.segments[int(places_of(np.array([key]))[0])]
        left_out = LeftOut(stage.params, self.staged.storage)
        return stage.field is not None and left_out.waits(segment, stage.name, stage.field)


def _place(ranked: Ranked, key: int) -> int | None:
    found = np.flatnonzero(keys_of(ranked) == key)
    return int(found[0]) if len(found) else None


def _worse(score: float, stage: Stage) -> bool:
    assert stage.threshold is not None
    return score < stage.threshold if larger_is_nearer(stage.metric) else score > stage.threshold


def _failed(where: Filter, payload: dict[str, Any], point_id: PointId, names: list[str]) -> list[dict[str, Any]]:
    """The conditions of a filter that keep a point out, as dictionaries; those of `must` one by one."""
    failed: list[dict[str, Any]] = []

    def fails(part: Filter) -> bool:
        return not matches(part, payload, point_id, names)

    for condition in where.must:
        if isinstance(condition, Filter):
            failed += _failed(condition, payload, point_id, names)
        elif fails(Filter(must=(condition,))):
            failed.append(to_dict(Filter(must=(condition,))))
    parts = [Filter(must_not=(condition,)) for condition in where.must_not]
    if where.should:
        parts.append(Filter(should=where.should))
    if where.min_should is not None:
        parts.append(Filter(min_should=where.min_should))
    return failed + [to_dict(part) for part in parts if fails(part)]
