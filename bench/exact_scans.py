"""`python -m bench exact-scans`: the k nearest rows, all of them compared: time of a query alone and in a batch.

Ours twice, by the stored vectors and by their bytes first (which are made once and kept, as `exact_cache_bytes` lets
the engine), beside faiss's IndexFlatIP and a product by BLAS. Everybody finds the same rows; it is checked. One thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench import contest, results
from vecstore.kernels.row_bytes import RowBytes
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

COLUMNS = ["what", "k", "batch", "ms", "gb_s", "ratio", "against"]
BATCHES = (1, 8, 100)
SAME = 0.999  # of the answers; near-equal distances may come in another order

Search = Callable[[np.ndarray, int], np.ndarray]  # (queries, k) -> rows


def exact_scans(
    data: str, ks: list[int], rounds: int, queries: int | None, rows: int | None, clock: str, peers: bool, out: str
) -> list[dict[str, Any]]:
    records = contest.alone(measure, data, ks, rounds, queries, rows, clock, peers)
    around = results.surroundings()
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    print(f"written to {out}")
    return list(records)


def measure(
    path: str, ks: list[int], rounds: int, queries: int | None, rows: int | None, clock_name: str, peers: bool
) -> list[dict[str, Any]]:
    data = contest.load(path, max(ks), queries, rows)
    clock, kernels = contest.CLOCKS[clock_name], get_kernels()
    contest.one_thread()
    kernels.set_threads(1)
    began = clock()
    row_bytes = kernels.round_rows(Metric.DOT, data.rows, None)
    made = clock() - began
    sides: dict[str, Search] = {"vectors": partial(scanned, data.rows, None)}
    read = {"vectors": data.rows.nbytes}
    if row_bytes is not None:
        sides["bytes first"] = partial(scanned, data.rows, row_bytes)
        read["bytes first"] = row_bytes.nbytes
    if peers:
        sides |= {name: search for name, search in others(data.rows).items() if search is not None}
    records: list[dict[str, Any]] = []
    for k in ks:
        law = sides["vectors"](data.queries, k)
        for name, search in sides.items():
            same = np.mean([len(np.intersect1d(*pair)) / k for pair in zip(law, search(data.queries, k), strict=True)])
            if same < SAME:
                raise ValueError(f"{name} found {same:.4f} of the {k} nearest rows")
        for batch in BATCHES:
            contest.say(f"k={k}, {batch} queries at a time ...")
            records += timed(sides, read, data.queries, k, batch, rounds, clock)
    shared = {"bench": "exact_scans", "dataset": data.name, "rows": len(data.rows), "dim": data.rows.shape[1],
              "rounds": rounds, "clock": clock_name, "isa": kernels.isa, "made_s": round(made, 4)}  # fmt: skip
    return [record | shared for record in records]


def timed(
    sides: dict[str, Search], read: dict[str, int], queries: np.ndarray, k: int, batch: int, rounds: int, clock: Any
) -> list[dict[str, Any]]:
    """Everybody in turns."""
    parts = [queries[low : low + batch] for low in range(0, min(len(queries), max(batch, 20)), batch)]
    calls = [lambda search=search: [search(part, k) for part in parts] for search in sides.values()]
    contest.interleaved(calls, 1, clock)
    took = contest.interleaved(calls, rounds, clock)
    each = {name: seconds / sum(map(len, parts)) for name, seconds in zip(sides, took, strict=True)}
    theirs = {name: seconds for name, seconds in each.items() if name not in read}
    best = min(theirs, key=theirs.__getitem__) if theirs else "vectors"
    records = []
    for name, seconds in each.items():
        record: dict[str, Any] = {"what": name, "k": k, "batch": batch, "ms": round(seconds * 1e3, 4)}
        if name in read:
            record |= {"ratio": round(each[best] / seconds, 2), "against": best}
            if batch == 1:
                record["gb_s"] = round(read[name] / seconds / 1e9, 1)
        records.append(record)
    return records


def scanned(rows: np.ndarray, row_bytes: RowBytes | None, queries: np.ndarray, k: int) -> np.ndarray:
    found, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    get_kernels().scan(Metric.DOT, queries, rows, None, None, found, distances, row_bytes)
    return found


def others(rows: np.ndarray) -> dict[str, Search | None]:
    return {"faiss IndexFlatIP": flat_faiss(rows), "numpy (BLAS)": partial(by_blas, rows)}


def flat_faiss(rows: np.ndarray) -> Search | None:
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return lambda queries, k: index.search(queries, k)[1]  # type: ignore[no-any-return]


def by_blas(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    return np.argpartition(queries @ rows.T, len(rows) - k, axis=1)[:, -k:]
