"""`python -m bench formulas`: what a rank expression over candidates costs, in processor time within whole queries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

import vecstore
from bench import results
from vecstore.engine.formulas import Candidates
from vecstore.engine.number_columns import NumberColumns
from vecstore.engine.stage_answers import StageAnswers
from vecstore.kernels.formula import run_formula, run_numpy

# The arithmetic alone, by the kernel and by numpy; the expression with the columns that it reads, where these are kept,
# and where nothing is; the stage.
COLUMNS = ["formula", "kernel_us", "numpy_us", "expression_us", "first_us", "stage_us"]
DECAY = "exp_decay(datetime_field('at', '2000-01-01T00:00:00Z'), datetime('2026-11-01T00:00:00Z'), scale=2592000)"
FORMULAS = {
    "a score": "score(0) * 0.7 + 0.3",
    "a score, an indexed number, the decay of an indexed moment": f"score(0) + 0.05 * field('n', 0) + 0.3 * {DECAY}",
    "a score and a number without an index": "score(0) + 0.001 * field('x', 0)",
}
CACHE_BYTES = 64 << 20


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
            times: dict[str, list[float]] = {column: [] for column in COLUMNS[1:]}

            def ask(text: str = text) -> None:
                made.query({"formula": text}, 10, prefetch=prefetch)

            with (
                _timed(Candidates, "score", times["expression_us"]),
                _timed(StageAnswers, "by_formula", times["stage_us"]),
            ):
                _repeat(ask, rounds)
            with mock.patch("vecstore.query.formula_eval.run_formula", _both(times["kernel_us"], times["numpy_us"])):
                _repeat(ask, rounds)
            with _timed(Candidates, "score", times["first_us"], _forget):
                _repeat(ask, rounds)
            medians = {column: 1e6 * float(np.median(taken[1:])) for column, taken in times.items()}
            found.append({COLUMNS[0]: name, **medians})
    results.append(out, found)
    print(results.table(found, COLUMNS))
    return found


def _repeat(ask: Callable[[], None], rounds: int) -> None:
    for _ in range(rounds):
        ask()


def _forget(candidates: Candidates, *_: Any) -> None:
    candidates.numbers = NumberColumns(CACHE_BYTES)


def _timed(owner: type, name: str, times: list[float], before: Callable[..., None] = lambda *_: None) -> Any:
    """Notes what a method takes."""
    function = getattr(owner, name)

    def run(*args: Any) -> Any:
        before(*args)
        started = time.thread_time()
        answer = function(*args)
        times.append(time.thread_time() - started)
        return answer

    return mock.patch.object(owner, name, run)


def _both(kernel: list[float], numpy: list[float]) -> Callable[..., Any]:
    """By the chosen backend, and by numpy for comparison."""

    def run(code: Any, constants: Any, columns: Any) -> Any:
        started = time.thread_time()
        answer = run_formula(code, constants, columns)
        kernel.append(time.thread_time() - started)
        started = time.thread_time()
        run_numpy(code, constants, columns, np.empty_like(answer))
        numpy.append(time.thread_time() - started)
        return answer

    return run
