"""Sparse vectors that come late and go: the accuracy of a collection that lived, before and after it is compacted,
beside one that was built of the same points at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from bench import sparse_data
from bench.results import append, surroundings
from vecstore import Sparse

SEED = 20261127
SHARE = 0.3  # of the points that are deleted, and as many again that come late
RECALLS = (None, 0.9, 0.95, 0.99)


def sparse_churn(data: str, index: str, k: int, out: str) -> None:
    loaded = sparse_data.load(data, k)
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(loaded.rows))
    late = np.sort(order[: int(SHARE * len(order))])
    early = np.sort(order[len(late) :])
    gone = np.sort(rng.choice(order, int(SHARE * len(order)), replace=False))
    kept = np.setdiff1d(np.arange(len(loaded.rows)), gone)
    db = vecstore.connect(":memory:")
    lived, fresh = (db.create_collection(name, sparse={"v": Sparse(index=index)}) for name in ("lived", "fresh"))
    _put(lived, early, loaded)
    lived.compact()
    _put(lived, late, loaded)
    for part in np.array_split(gone, 1 + len(gone) // 5_000):
        lived.delete(part.tolist())
    _put(fresh, kept, loaded)
    fresh.compact()
    truth = fresh.query_batch(loaded.queries, k, exact=True, with_payload=False)
    rows = [_row("fresh", fresh, loaded, truth, gone, k), _row("lived", lived, loaded, truth, gone, k)]
    lived.compact()
    rows.append(_row("lived, compacted", lived, loaded, truth, gone, k))
    for row in rows:
        found = ", ".join(f"{row[f'recall={recall}']:.4f}" for recall in RECALLS)
        print(
            f"{row['state']:18} accuracy@{k} by default and at recall .9, .95, .99: {found}; {row['dead']} deleted ids"
        )
    append(out, [row | {"data": Path(data).name, "index": index} | surroundings() for row in rows])
    db.close()


def _put(docs: Any, rows: np.ndarray, loaded: sparse_data.SparseData) -> None:
    docs.upload(ids=rows, vectors={"v": loaded.rows[rows]}, progress=False)


def _row(state: str, docs: Any, loaded: Any, truth: Sequence[Any], gone: np.ndarray, k: int) -> dict[str, Any]:
    row: dict[str, Any] = {"state": state, "dead": 0, "points": docs.count()}
    dead = set(gone.tolist())
    for recall in RECALLS:
        answers = docs.query_batch(loaded.queries, k, recall=recall, with_payload=False)
        row[f"recall={recall}"] = float(
            np.mean([_accuracy(one, true) for one, true in zip(answers, truth, strict=True)])
        )
        row["dead"] += sum(one in dead for hits in answers for one in hits.ids.tolist())
    return row


def _accuracy(found: Any, true: Any) -> float:
    """The share of answers that score no less than the true k-th."""
    if not len(true):
        return 1.0
    return float(np.count_nonzero(found.scores >= true.scores[-1] - 1e-3) / len(true))
