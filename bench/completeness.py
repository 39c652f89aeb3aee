"""`python -m bench completeness`: does every index keep its promise under any filter?

Random filters of 0.01 to 90 % of the rows over every kind of index in a collection: where at least k points match, k
must come back, all of them matching, each once; where fewer do, all of them. Of sparse rows only those count that share
an index with the query. An exception is a miss, too. A third of the queries each take the way that the engine
chooses, no exact scan, and neither that nor a scan of codes (walks and lists, whatever that costs); `ways` says what
answered, and `nets` how often too few were found and an exact scan took the place.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import msgspec
import numpy as np

from bench import contest, index_cases, results
from bench.index_cases import IndexData
from vecstore.config import Settings, Storage
from vecstore.engine import scan
from vecstore.engine.database import Database
from vecstore.index import costs
from vecstore.index.base import SearchParams
from vecstore.index_text import parse_index
from vecstore.query.builder import F
from vecstore.rows import Rows
from vecstore.schema import FieldKind, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.types import PointBatch, QueryRequest, UpsertRequest, VectorBatch

COLUMNS = ["data", "rows", "index", "filters", "short", "wrong", "raised", "us", "nets", "ways"]
SHARES = (1e-4, 0.9)
KS = (1, 10, 100)
BATCH = 5_000
NO_EXACT = ((scan, "FEW_ROWS", 0), (scan, "FEW_SHARE", 1 << 40), (costs, "EXACT_FIXED", 1e15),
            (costs, "SPARSE_FIXED", 1e15))  # fmt: skip
PUSHED: tuple[tuple[tuple[Any, str, float], ...], ...] = (
    (), NO_EXACT, (*NO_EXACT, (costs, "CODES_FIXED", 1e15)),
)  # fmt: skip
NETS = ("queries_topped_up", "queries_rescanned")
PARAMS = (
    SearchParams(), SearchParams(recall_target=0.8), SearchParams(recall_target=0.99),
    SearchParams(nprobe=1), SearchParams(ef=10), SearchParams(rescore=False),
)  # fmt: skip


def loaded(
    data: IndexData, text: str | None, seed: int, settings: Storage | None = None
) -> tuple[Database, np.ndarray]:
    """The rows as points with an indexed integer `n`, a permutation, that filters take a range of."""
    storage = settings or Storage(seal_rows=1 << 30, seal_bytes=1 << 40, index_rows_min=100, in_place_rows=1 << 30,
                                  disk_reserve_bytes=0)  # fmt: skip
    db = Database.open(None, Settings(storage=storage))
    field = data.field if text is None else with_index(data.field, text)
    db.create_collection("c", Schema({"v": field}, {"n": FieldKind.INTEGER}))
    values = np.random.default_rng(seed).permutation(len(data.rows))
    for low in range(0, len(data.rows), BATCH):
        part = slice(low, min(low + BATCH, len(data.rows)))
        payloads: list[bytes | None] = [b'{"n":%d}' % value for value in values[part].tolist()]
        rows: Any = data.rows[part]
        if isinstance(rows, np.ndarray) or rows is None:
            given = rows
        else:
            given = rows.astype(np.float32)
        db.write(
            UpsertRequest("c", PointBatch(list(range(part.start, part.stop)), {"v": VectorBatch(given)}, payloads))
        )
    operation = db.wait_operation(db.compact("c").id, 3_600)
    assert operation.error is None, operation.error
    return db, values


def with_index(field: VectorField, text: str) -> VectorField:
    return msgspec.structs.replace(field, index=parse_index(text))


def matching(data: IndexData, query: Rows, allowed: np.ndarray) -> int:
    """How many allowed rows can answer a query."""
    if data.field.kind is not VectorKind.SPARSE:
        return int(allowed.sum())
    rows: SparseRows = data.rows
    assert isinstance(query, SparseRows)
    held = np.zeros(int(max(rows.indices.max(initial=0), query.indices.max(initial=0))) + 1, bool)
    held[query.indices] = True
    shares = np.add.reduceat(np.append(held[rows.indices], 0), rows.offsets[:-1]) > 0
    return int((shares & (np.diff(rows.offsets) > 0) & allowed).sum())


@contextmanager
def pushed(changes: tuple[tuple[Any, str, float], ...]) -> Any:
    """The constants that ways are chosen by, changed."""
    with ExitStack() as stack:
        for module, name, value in changes:
            stack.enter_context(mock.patch.object(module, name, value))
        yield


def probe(db: Database, data: IndexData, values: np.ndarray, filters: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    n, short, wrong, raised = len(data.rows), 0, 0, []
    ways: Counter[str] = Counter()
    nets = 0
    began = time.thread_time()
    for place in range(filters):
        share = float(np.exp(rng.uniform(np.log(SHARES[0]), np.log(SHARES[1]))))
        count = max(1, round(share * n))
        low = int(rng.integers(0, n - count + 1))
        at, k, params = int(rng.integers(len(data.queries))), int(rng.choice(KS)), PARAMS[rng.integers(len(PARAMS))]
        query: Any = data.queries[at] if isinstance(data.queries, np.ndarray) else data.queries[at : at + 1]
        where = F("n").between(low, low + count - 1)
        allowed = (values >= low) & (values < low + count)
        try:
            with pushed(PUSHED[place % len(PUSHED)]):
                found = db.query(QueryRequest("c", query, k=k, filter=where, params=params, explain=True))
            ids = found.ids.astype(np.int64)
        except Exception as error:  # that is what is counted
            raised.append(f"share {share:.4%}, k {k}, {params}: {error!r}")
            continue
        for segment in found.explain["segments"] if found.explain else ():
            ways[segment["strategy"]] += 1
            nets += sum(segment["counters"].get(name, 0) for name in NETS)
        short += len(ids) < min(k, matching(data, query, allowed))
        wrong += len(np.unique(ids)) < len(ids) or not allowed[ids].all()
    return {
        "filters": filters, "short": short, "wrong": wrong, "raised": len(raised), "first_error": raised[:1],
        "nets": nets, "ways": " ".join(f"{name} {count}" for name, count in ways.most_common()),
        "us": round((time.thread_time() - began) / filters * 1e6),
    }  # fmt: skip


def completeness(
    folder: str, only: str, kinds: list[str], rows: int | None, filters: int, seed: int | None, out: str
) -> list[dict[str, Any]]:
    seed = int(np.random.SeedSequence().entropy or 0) % (1 << 32) if seed is None else seed
    contest.say(f"seed {seed}")
    around, records = results.surroundings(), []
    for path in index_cases.files(folder):
        if only and only not in str(path):
            continue
        data = index_cases.load(path, rows)
        for text in data.kinds:
            if kinds and text not in kinds:
                continue
            contest.say(f"{data.name}: {text} ...")
            db, values = loaded(data, text, seed)
            with db:
                found = probe(db, data, values, filters, seed)
            record = {"bench": "completeness", "data": data.name, "rows": len(data.rows), "index": text, "seed": seed}
            records.append(record | found)
            results.append(out, [records[-1] | around])
    print(results.table(records, COLUMNS))
    return records
