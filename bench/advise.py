"""`python -m bench advise`: the advisor's picks judged on queries it has not seen, against the exhaustive optimum.

The advisor gets a sample of the file's rows and holds out queries of its own; then every option that fits the budget is
asked the file's own queries over the same rows, and the pick's recall is set beside the best.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, datasets, results
from vecstore.advise import Option, default_options, take_sample
from vecstore.advise.advisor import advise, choose_again
from vecstore.advise.measure import Built
from vecstore.advise.report import write_png
from vecstore.errors import VecstoreError
from vecstore.index_text import format_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

COLUMNS = ["budget_bytes", "pick", "bytes_per_vector", "told", "low", "high", "fresh", "best_fresh", "gap", "best"]


def judge(data: str, budgets: list[float], rows: int, k: int, out: str) -> list[dict[str, Any]]:
    found = contest.alone(measure, data, budgets, rows, k, str(out))
    around = results.surroundings()
    results.append(out, [record | around for record in found])
    print(results.table(found, COLUMNS))
    worst = max((record["gap"] for record in found), default=0.0)
    print(f"the worst pick is {100 * worst:.2f} points below the optimum on fresh queries; written to {out}")
    return found


def measure(path: str, budgets: list[float], rows: int, k: int, out: str) -> list[dict[str, Any]]:
    dataset = datasets.load(path)
    order = np.random.default_rng(1).permutation(len(dataset.train))[: min(rows + 1_000, len(dataset.train))]
    sample = take_sample(Metric(dataset.metric), dataset.train[np.sort(order)], k)
    options = default_options(dataset.dim)
    kernels = get_kernels()
    advice = advise(sample, options, kernels, progress=lambda spec, done, total: contest.say(f"{done}/{total} {spec}"))
    fresh_sample = sample.asked(dataset.test)
    fresh = {
        format_index(option.spec): recall_of(option, fresh_sample, kernels)
        for option in options
        if format_index(option.spec) not in advice.left_out
    }
    records = []
    for budget in budgets:
        again = choose_again(advice, budget_bytes=budget)
        if again.pick is None:
            continue
        fitting = [one.spec for one in advice.points if one.bytes_per_vector <= budget]
        best = max(fitting, key=lambda spec: fresh[spec])
        pick = again.pick
        records.append({
            "bench": "advise", "dataset": dataset.name, "rows": len(sample.rows), "k": k, "budget_bytes": budget,
            "options": len(advice.points), "pick": pick.spec, "bytes_per_vector": pick.bytes_per_vector,
            "told": pick.recall, "low": pick.low, "high": pick.high, "fresh": round(fresh[pick.spec], 5),
            "best": best, "best_fresh": round(fresh[best], 5), "gap": round(fresh[best] - fresh[pick.spec], 5),
        })  # fmt: skip
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_png(advice, Path(out).with_name(f"{Path(out).stem}-{dataset.name}.png"))
    return records


def recall_of(option: Option, sample: Any, kernels: Any) -> float:
    try:
        return float(Built(sample, option, kernels).measure(option).recalls.mean())
    except VecstoreError as error:
        contest.say(f"  {format_index(option.spec)} is left out: {error}")
        return 0.0
