"""Hybrid search on labelled collections: each field alone, the fusions tuned on one half of the queries and judged on
the other, and the default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from bench import labelled
from bench.results import append, surroundings
from vecstore import RRF, Dense, Sparse
from vecstore.query.fusion import Fusion

K, CANDIDATES = 10, 100


def hybrid(folders: list[str], out: str) -> None:
    rows = [row for folder in folders for row in _collection(Path(folder))]
    append(out, [row | surroundings() for row in rows])


def _collection(folder: Path) -> list[dict[str, Any]]:
    judged = labelled.load(folder)
    db = vecstore.connect(":memory:")
    docs, queries = _load(db, folder, judged)
    relevant: list[dict[Any, float]] = [{row: float(gain) for row, gain in gains.items()} for gains in judged.gains]
    rows = []

    def ndcg(ids: list[np.ndarray], places: np.ndarray) -> float:
        own = [labelled.ndcg(ids[place].tolist(), judged.gains[place], K) for place in places if judged.gains[place]]
        return float(np.mean(own))

    every = np.arange(len(judged.queries))
    tune_on, judge_on = every[::2], every[1::2]
    found = {name: [hits.ids for hits in docs.query_batch(asked, K, using=name)] for name, asked in queries.items()}
    best = max(ndcg(ids, judge_on) for ids in found.values())
    for name, ids in found.items():
        rows.append({"data": judged.name, "search": name, "ndcg": ndcg(ids, judge_on), "all": ndcg(ids, every)})

    def fused(fusion: Fusion) -> list[np.ndarray]:
        return [
            docs.hybrid({name: _row(asked, place) for name, asked in queries.items()}, K, fusion=fusion,
                        candidates=CANDIDATES, with_payload=False).ids
            for place in every
        ]  # fmt: skip

    part = {name: asked[tune_on] for name, asked in queries.items()}
    advice = docs.tune_fusion(part, [relevant[place] for place in tune_on], K, candidates=CANDIDATES)
    chosen = {"default RRF": RRF(), "tuned": advice.pick.fusion, "best tried": advice.tried[0].fusion}
    for label, fusion in chosen.items():
        ids = fused(fusion)
        row = {"data": judged.name, "search": label, "ndcg": ndcg(ids, judge_on), "all": ndcg(ids, every)}
        rows.append(row | {"fusion": f"{fusion.method} k={fusion.k} {list(fusion.weights)}"})
    for row in rows:
        row["gain"] = row["ndcg"] - best
        scores = f"nDCG@10 {row['ndcg']:.4f} on the held-out half ({row['gain']:+.4f}), {row['all']:.4f} on all"
        print(f"{row['data']:20} {row['search']:14} {scores}  {row.get('fusion', '')}")
    print(f"{judged.name:20} tuning on the other half: {advice.reason}")
    db.close()
    return rows


def _load(db: Any, folder: Path, judged: labelled.Labelled) -> tuple[Any, dict[str, Any]]:
    import h5py

    from bench import sparse_data

    with h5py.File(next(folder.glob("dense-*.hdf5")), "r") as file:
        dense, asked = np.asarray(file["train"], np.float32), np.asarray(file["test"], np.float32)
    sparse = sparse_data.load(next(folder.glob("*.npz")), K)
    docs = db.create_collection(
        "docs", {"dense": Dense(dense.shape[1], index="flat")}, sparse={"sparse": Sparse(index="flat")}
    )
    docs.upload(ids=np.arange(len(dense)), vectors={"dense": dense, "sparse": sparse.rows}, progress=False)
    return docs, {"dense": asked, "sparse": sparse.queries}


def _row(asked: Any, place: int) -> Any:
    return asked[place] if isinstance(asked, np.ndarray) else asked.row(place)
