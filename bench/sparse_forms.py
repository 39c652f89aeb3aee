"""`python -m bench sparse-forms`: what the forms of sparse rows take and cost, in pairs of one run: stored rows plain
and packed, and copies in the seismic index as float16 and fixed point, with whole places and with gaps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench import contest, labelled, results, sparse_data
from vecstore.index.base import SearchParams
from vecstore.index.seismic import SeismicIndex
from vecstore.index.seismic_forward import forward_arrays, forward_copy
from vecstore.index.seismic_terms import count_terms
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.index_spec import Seismic
from vecstore.index_text import format_index
from vecstore.kernels.base import Kernels
from vecstore.kernels.select import available_backends, load_backend
from vecstore.packed_sparse import StoredRows, packed
from vecstore.schema import DataType, Metric, VectorField, VectorKind

COLUMNS = ["what", "row_bytes", "index_mib", "target", "accuracy", "us", "batch_us", "mrr"]
TARGETS = (0.9, 0.95, 0.99)
HALF = VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT16)
COPIES = (
    Seismic(values="float16", components="plain"),
    Seismic(values="float16", components="delta8"),
    Seismic(values="fixed8", components="plain"),
    Seismic(values="fixed8", components="delta8"),
)
K = 10


def sparse_forms(data: str, queries: int | None, rounds: int, out: str) -> list[dict[str, Any]]:
    contest.one_thread()
    loaded = sparse_data.load(data, K, queries)
    rows, asked = loaded.rows.astype(np.float16), loaded.queries
    kernels = load_backend("native" if "native" in available_backends() else available_backends()[0])
    kernels.set_threads(1)
    stored = packed(rows)
    built = SeismicIndex.build(HALF, Seismic(), rows, None, kernels, lambda *_: None)
    contest.say("built")
    contestants = [("stored plain", rows, built), ("stored packed", stored, _over(stored, built, Seismic(), kernels))]
    contestants += [(format_index(spec), stored, _over(stored, built, spec, kernels)) for spec in COPIES]
    flat = SparseFlatIndex(HALF, rows)
    limit = flat.search(kernels, asked, K, None).distances[:, -1:]
    ways = [(what, own, one, True) for what, own, one in contestants]
    ways += [(f"{what}, rescore=False", own, one, False) for what, own, one in contestants[1:]]
    records = [_scan(kernels, what, own, asked, rounds) for what, own in (("plain", rows), ("packed", stored))]
    for target in TARGETS:
        least = {what: [np.inf, np.inf] for what, *_ in ways}
        for _ in range(rounds):
            for what, _, one, rescored in ways:
                params = SearchParams(recall_target=target, rescore=rescored)
                spent = _spent(kernels, one, asked, params)
                least[what] = [min(a, b) for a, b in zip(least[what], spent, strict=True)]
        for what, own, one, rescored in ways:
            params = SearchParams(recall_target=target, rescore=rescored)
            found = one.search(kernels, asked, K, None, params).rows
            right = float((flat.rerank(kernels, asked, found) <= limit).mean())
            records.append({
                "what": what, "row_bytes": own.nbytes / len(own), "index_mib": one.code_bytes * len(own) / 2**20,
                "target": target, "accuracy": right, "us": least[what][0] * 1e6, "batch_us": least[what][1] * 1e6,
            })  # fmt: skip
    records += _judged(kernels, loaded, stored)
    around = results.surroundings() | {"bench": "sparse-forms", "data": Path(data).name}
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    return records


def _over(rows: StoredRows, built: SeismicIndex, spec: Seismic, kernels: Kernels) -> SeismicIndex:
    """The same blocks, calibrated with this copy of the rows."""
    copy = forward_copy(rows, count_terms(rows)[0], spec)
    header = msgspec.structs.replace(built.header, spec=spec, step=1.0 if copy is None else copy.step)
    encoded = np.frombuffer(msgspec.json.encode(header), np.uint8)
    arrays = built.arrays() | forward_arrays(copy) | {"header": encoded}
    return SeismicIndex.from_arrays(HALF, rows, arrays).tuned(None, kernels)


def _judged(kernels: Kernels, loaded: sparse_data.SparseData, stored: StoredRows) -> list[dict[str, Any]]:
    """MRR@10 of all rows ranked by the stored ones and by a copy in fixed point, where there are judgements."""
    copy = forward_copy(stored, count_terms(stored)[0], Seismic(values="fixed8"))
    if loaded.labels is None or copy is None:
        return []
    judged, every = labelled.load(loaded.labels, len(loaded.queries)), np.arange(len(stored))[None]
    records = []
    for what, rows in (("all rows as stored", stored), ("all rows by fixed8", copy)):
        ranked, distances = [], np.empty((1, len(stored)), np.float32)
        for query in loaded.queries:
            kernels.sparse_rerank(query, rows, None, every, distances)
            ranked.append(np.argsort(distances[0], kind="stable")[:K])
        records.append({"what": what, "row_bytes": rows.nbytes / len(rows), "mrr": judged.mrr(ranked)})
    return records


def _spent(kernels: Kernels, index: SeismicIndex, asked: Any, params: SearchParams) -> tuple[float, float]:
    """Seconds of a query alone and in a batch."""
    singles = [asked.row(q) for q in range(len(asked))]
    started = time.thread_time()
    for one in singles:
        index.search(kernels, one, K, None, params)
    between = time.thread_time()
    index.search(kernels, asked, K, None, params)
    return (between - started) / len(asked), (time.thread_time() - between) / len(asked)


def _scan(kernels: Kernels, form: str, rows: StoredRows, asked: Any, rounds: int) -> dict[str, Any]:
    flat, few = SparseFlatIndex(HALF, rows), [asked.row(q) for q in range(min(10, len(asked)))]
    least = np.inf
    for _ in range(rounds):
        started = time.thread_time()
        for one in few:
            flat.search(kernels, one, K, None)
        least = min(least, (time.thread_time() - started) / len(few))
    return {"what": f"scan, stored {form}", "row_bytes": rows.nbytes / len(rows), "us": least * 1e6}
