"""`python -m bench graph-churn`: an indexed collection under churn, beside one that was built afresh.

Each round deletes a random half of the points, asks the queries (no deleted id may come back), inserts the same points
again and compacts. Then, at constant settings: recall and rate, the fresh collection asked in turn, and `lost`: points
that a search for their own vector at a wide ef does not find among ten, nor ten others that are as near.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, datasets, results
from bench.graph_ours import BATCH, COMPACT_S, OurCollection

SHARE = 0.5
WIDE = 512
AS_NEAR = 2e-3  # of similarity: what float16 rows leave of two equal vectors
COLUMNS = ["round", "recall", "fresh_recall", "qps", "fresh_qps", "of_fresh", "half_recall", "deleted_returned", "lost",
           "compact_s"]  # fmt: skip


def graph_churn(
    data: str, spec: str, churns: int, ef: int, rounds: int, k: int, rows: int | None, clock: str, folder: str | None,
    out: str,
) -> list[dict[str, Any]]:  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
        records = contest.alone(measure, data, spec, churns, ef, rounds, k, rows, clock, Path(own), threads=2)
    around = results.surroundings()
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    return records


def measure(
    path: str, spec: str, churns: int, ef: int, rounds: int, k: int, rows: int | None, clock_name: str, place: Path
) -> list[dict[str, Any]]:
    data = contest.load(path, k, None, rows)
    clock = contest.CLOCKS[clock_name]
    fresh, churned = OurCollection(spec), OurCollection(spec)
    for library, name in ((fresh, "fresh"), (churned, "churned")):
        contest.say(f"{name} ...")
        library.build(data.rows, 1, place / name)
    settings = {churned.knob: ef} if ef else {}
    records, rng = [], np.random.default_rng(1)
    shared = {"bench": "graph_churn", "dataset": data.name, "rows": len(data.rows), "spec": spec, "k": k, "ef": ef}
    for number in range(churns + 1):
        record: dict[str, Any] = {"round": number}
        if number:
            contest.say(f"round {number} ...")
            record |= churn(churned, data, rng, k, settings)
        record |= compared(churned, fresh, data, k, settings, rounds, clock)
        records.append(shared | record | {"lost": lost(churned, data.rows)})
    for library in (fresh, churned):
        library.close()
    return records


def churn(
    library: OurCollection, data: contest.Data, rng: np.random.Generator, k: int, settings: dict[str, Any]
) -> dict[str, Any]:
    count = len(data.rows)
    gone = np.sort(rng.choice(count, int(count * SHARE), replace=False))
    for low in range(0, len(gone), BATCH):
        library.collection.delete(gone[low : low + BATCH])
    kept = np.ones(count, bool)
    kept[gone] = False
    answers = library.rows_of(library.batch(data.queries, k, **settings))
    nearest = datasets.nearest("dot", data.rows, data.queries, k, kept)
    recall = contest.Truth(data.rows, data.queries, nearest, k).recall(answers)
    order = rng.permutation(gone)
    for low in range(0, len(order), BATCH):
        ids = order[low : low + BATCH]
        library.collection.upsert(ids, data.rows[ids])
    began = time.perf_counter()  # others' work: indexes are built in a process of their own
    library.collection.compact(timeout_s=COMPACT_S)
    return {
        "half_recall": round(recall, 5),
        "deleted_returned": int((~kept[answers[answers >= 0]]).sum()),
        "compact_s": round(time.perf_counter() - began, 2),
    }


def compared(
    churned: OurCollection, fresh: OurCollection, data: contest.Data, k: int, settings: dict[str, Any], rounds: int,
    clock: Callable[[], float],
) -> dict[str, Any]:  # fmt: skip
    calls = [lambda one=one: one.batch(data.queries, k, **settings) for one in (churned, fresh)]
    took = contest.interleaved(calls, rounds, clock)
    recalls = [data.truth.recall(churned.rows_of(call())) for call in calls]
    return {
        "recall": round(recalls[0], 5),
        "fresh_recall": round(recalls[1], 5),
        "qps": round(len(data.queries) / took[0], 1),
        "fresh_qps": round(len(data.queries) / took[1], 1),
        "of_fresh": round(took[1] / took[0], 3),
    }


def lost(library: OurCollection, rows: np.ndarray, k: int = 10) -> int:
    """Points that a search for their own vector does not find."""
    missing = 0
    for low in range(0, len(rows), BATCH):
        part = rows[low : low + BATCH]
        found = library.rows_of(library.batch(part, k, **{library.knob: WIDE}))
        wanted = np.arange(low, low + len(part))
        found_itself = (found == wanted[:, None]).any(axis=1)
        near = np.einsum("qkd,qd->qk", rows[np.maximum(found, 0)], part)
        missing += int((~found_itself & (near.min(axis=1) < 1 - AS_NEAR)).sum())
    return missing
