"""`python -m bench advise`: the advisor's picks judged on queries it has not seen, against the exhaustive optimum.

The advisor gets a sample of the file's rows and holds out queries of its own; then every option that fits the budget is
asked the file's own queries over the same rows, and the pick's recall is set beside the best.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from bench import contest, datasets, results
from vecstore.advise import default_options, take_sample
from vecstore.advise.advisor import choose_again, conclude, measure_all
from vecstore.advise.report import write_png
from vecstore.index_text import format_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

HELD_OUT = 1_000
COLUMNS = [
    "budget_bytes",
    "codes_only",
    "pick",
    "bytes_per_vector",
    "told",
    "low",
    "high",
    "fresh",
    "best_fresh",
    "gap",
    "best",
]


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
    order = np.random.default_rng(1).permutation(len(dataset.train))[: min(rows + HELD_OUT, len(dataset.train))]
    sample = take_sample(Metric(dataset.metric), dataset.train[np.sort(order)], k, held_out=HELD_OUT)
    own = len(sample.queries)
    both = sample.asked(np.concatenate([sample.queries, dataset.test]))  # every option is built once and asked both
    measured, left_out = measure_all(both, default_options(dataset.dim), get_kernels(), progress)
    told = [(option, replace(one, recalls=one.recalls[:own])) for option, one in measured]
    fresh = {format_index(option.spec): float(one.recalls[own:].mean()) for option, one in measured}
    advice = conclude(sample, told, left_out)
    codes_only = structs.replace(advice, points=[one for one in advice.points if not one.reads_stored])
    records = []
    for offered, budget in ((offered, budget) for offered in (advice, codes_only) for budget in budgets):
        again = choose_again(offered, budget_bytes=budget)
        if again.pick is None:
            continue
        fitting = [one.spec for one in offered.points if one.bytes_per_vector <= budget]
        best = max(fitting, key=lambda spec: fresh[spec])
        pick = again.pick
        records.append({
            "bench": "advise", "dataset": dataset.name, "rows": len(sample.rows), "k": k, "budget_bytes": budget,
            "codes_only": offered is codes_only, "options": len(offered.points), "pick": pick.spec,
            "bytes_per_vector": pick.bytes_per_vector, "told": pick.recall, "low": pick.low, "high": pick.high,
            "fresh": round(fresh[pick.spec], 5), "best": best, "best_fresh": round(fresh[best], 5),
            "gap": round(fresh[best] - fresh[pick.spec], 5),
        })  # fmt: skip
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_png(advice, Path(out).with_name(f"{Path(out).stem}-{dataset.name}.png"))
    return records


def progress(spec: str, done: int, total: int) -> None:
    contest.say(f"{done}/{total} {spec}")
