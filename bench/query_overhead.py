"""What a collection adds to its index: `query` and `query_batch` beside the index object's own search.

    python -m bench.query_overhead DATA.hdf5 [--index "ivf | saq(bits=4)"] [--recall 0.95] [--rounds 9]
    python -m bench.query_overhead DATA.npz --index seismic [--recall 0.95]

One process, one thread, one sealed segment. The index object is taken out of the collection, so that both sides search
the same mapped arrays with the same parameters; sides take turns, query by query or batch by batch. Time is the
thread's CPU time, which on a busy machine leaves out the turns of other processes. What the collection adds to one
query is the difference of the medians; to a query of a batch, the difference of the batches' medians, divided.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecstore.sparse import SparseRows

BATCH = 5_000  # points of a write
BATCH_QUERIES = 256  # of a query_batch: what one request holds by default
VECTOR = "v"


def load(db: Any, rows: np.ndarray | SparseRows, index: str) -> Any:
    """A collection of one sealed, indexed segment with a small payload a point."""
    import vecstore

    field: Any = vecstore.Sparse(datatype="float16", index=index)
    if isinstance(rows, np.ndarray):
        field = vecstore.Dense(rows.shape[1], metric="cosine", index=index)
    collection = db.create_collection("bench", {VECTOR: field})
    for low in range(0, len(rows), BATCH):
        part = rows[low : low + BATCH]
        numbers = range(low, low + len(part))
        collection.upsert(list(numbers), part, [{"n": number, "kind": f"k{number % 7}"} for number in numbers])
    collection.compact(timeout_s=7_200)
    return collection


def turns(sides: dict[str, Callable[[Any], object]], asked: Sequence[Any]) -> dict[str, float]:
    """Median seconds of each side. Who comes first with a query, and finds its lists less warm, changes."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides.items())
    for vectors in asked:
        for name, call in order:
            start = time.thread_time()
            call(vectors)
            seen[name].append(time.thread_time() - start)
        order = [*order[1:], order[0]]
    return {name: statistics.median(times) for name, times in seen.items()}


def overheads(
    collection: Any,
    search: Callable[[Any, int], Any],
    queries: np.ndarray | SparseRows,
    k: int,
    ask: dict[str, Any],
    rounds: int,
) -> list[dict[str, Any]]:
    ids = {**ask, "with_payload": False}
    singles: dict[str, Callable[[Any], object]] = {
        "index": lambda query: search(query[None] if isinstance(query, np.ndarray) else query, k),
        "payloads": lambda query: collection.query(query, k, **ask),
        "ids": lambda query: collection.query(query, k, **ids),
        "ids, as arrays": lambda query: collection.query(query, k, **ids).ids,
    }
    batches: dict[str, Callable[[Any], object]] = {
        "index": lambda rows: search(rows, k),
        "payloads": lambda rows: collection.query_batch(rows, k, **ask),
        "ids": lambda rows: collection.query_batch(rows, k, **ids),
        "ids, as arrays": lambda rows: [hits.ids for hits in collection.query_batch(rows, k, **ids)],
    }
    turns(singles, list(queries[:200]))  # warms up
    lines = []
    for kind, sides, asked, count in (
        ("single", singles, list(queries) * max(1, rounds // 2), 1),
        ("batch", batches, [queries[:BATCH_QUERIES]] * rounds * 5, BATCH_QUERIES),
    ):
        times = turns(sides, asked)
        index_us = 1e6 * times.pop("index") / count
        lines += [
            {
                "kind": kind,
                "case": case,
                "index_us": round(index_us, 2),
                "added_us": round(1e6 * took / count - index_us, 2),
            }
            for case, took in times.items()
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a file in ann-benchmarks' format, angular, or a .npz file of sparse rows")
    parser.add_argument("--index", default="ivf | saq(bits=4)")
    parser.add_argument("--rows", type=int, help="only the first so many")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--recall", type=float, help="default: the index's own choice")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="keep the directory here and use it again")
    options = parser.parse_args()

    import vecstore
    from bench import contest, sparse_data
    from vecstore.config import Search, Settings
    from vecstore.index.base import DEFAULT_PARAMS, SearchParams
    from vecstore.kernels.select import get_kernels

    load_data = sparse_data.load if options.data.endswith(".npz") else contest.load
    data = load_data(options.data, options.k, options.queries, options.rows)
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-") as own:
        folder = options.folder or Path(own) / "db"
        with vecstore.connect(folder, settings=Settings(search=Search(threads=1))) as db:
            there = db.has_collection("bench")
            collection = db.get_collection("bench") if there else load(db, data.rows, options.index)
            engine = db._transport.collection("bench")
            (segment,) = engine.sealed.values()
            index, kernels = segment.index(VECTOR), get_kernels()
            params = DEFAULT_PARAMS if options.recall is None else SearchParams(recall_target=options.recall)
            ask = {} if options.recall is None else {"recall": options.recall}
            lines = overheads(
                collection, lambda queries, k: index.search(kernels, queries, k, None, params), data.queries,
                options.k, ask, options.rounds,
            )  # fmt: skip
    for line in lines:
        print(json.dumps({"bench": "query_overhead", "dataset": data.name, "index": options.index, "k": options.k,
                          "recall": options.recall, **line}))  # fmt: skip


if __name__ == "__main__":
    main()
