"""`python -m bench formulas`: what a rank expression over candidates costs, in processor time after the first call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

import vecstore
from bench import results
from vecstore.engine.formulas import Candidates
from vecstore.engine.stage_answers import StageAnswers

COLUMNS = ["formula", "expression_us", "stage_us"]
DECAY = "exp_decay(datetime_field('at', '2000-01-01T00:00:00Z'), datetime('2026-11-01T00:00:00Z'), scale=2592000)"
FORMULAS = {
    "a score": "score(0) * 0.7 + 0.3",
    "a score, an indexed number, the decay of an indexed moment": f"score(0) + 0.05 * field('n', 0) + 0.3 * {DECAY}",
    "a score and a number without an index": "score(0) + 0.001 * field('x', 0)",
}


def formulas(rows: int, candidates: int, rounds: int, out: str) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((rows, 32), np.float32)
    found = []
    with vecstore.connect(":memory:") as db:
        made = db.create_collection("c", vecstore.Dense(32, index="flat"), indexes={"n": "integer", "at": "datetime"})
        payloads = [{"n": i % 97, "x": i / 2, "at": f"2026-{1 + i % 12:02d}-01T00:00:00Z"} for i in range(rows)]
        made.upload(ids=range(rows), vectors=vectors, payloads=payloads, progress=False)
        made.compact()
        prefetch = [vecstore.Prefetch(vector=vectors[0], k=candidates)]
        for name, text in FORMULAS.items():
            expression: list[float] = []
            stage: list[float] = []
            with (
                mock.patch.object(Candidates, "score", _timed(Candidates.score, expression)),
                mock.patch.object(StageAnswers, "by_formula", _timed(StageAnswers.by_formula, stage)),
            ):
                for _ in range(rounds):
                    made.query({"formula": text}, 10, prefetch=prefetch)
            medians = [1e6 * float(np.median(times[1:])) for times in (expression, stage)]
            found.append(dict(zip(COLUMNS, [name, *medians], strict=True)))
    results.append(out, found)
    print(results.table(found, COLUMNS))
    return found


def _timed(function: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        started = time.thread_time()
        answer = function(*args)
        times.append(time.thread_time() - started)
        return answer

    return run
