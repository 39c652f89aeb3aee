"""`python -m bench sparse-exact`: what exact search of sparse rows costs, by k, by what a filter allows, through the
lists of sealed and of growing segments and by a scan of the rows, on every backend; and for text, by how far the mean
length of its collection has moved since its lists were made."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, labelled, results, sparse_data
from bench.bm25 import terms_of
from vecstore.index.inverted import InvertedIndex
from vecstore.index.inverted_growing import GrowingInverted
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.index.terms import TermQueries
from vecstore.index_spec import Inverted
from vecstore.kernels.select import available_backends, load_backend
from vecstore.schema import Analysis, DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows

COLUMNS = ["what", "k", "us", "postings_read", "rows_scored", "same"]
KS = (1, 10, 100, 1000)
ALLOWED = (0.5, 0.1, 0.01, 0.001)
DRIFTS = (1.01, 1.1, 1.5)
BATCH = 100  # rows that a growing segment gets at once
SLOW_QUERIES = 20  # by the backends written in Python
SEED = 20261127
SPARSE = VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT16)
TEXT = VectorField(VectorKind.TEXT, 0, Metric.BM25, analysis=Analysis())


def sparse_exact(data: str, queries: int | None, rounds: int, out: str) -> list[dict[str, Any]]:
    contest.one_thread()
    path = Path(data)
    records = _text(path, rounds) if labelled.is_labelled(path) else _sparse(data, queries, rounds)
    around = results.surroundings() | {"bench": "sparse-exact", "data": path.name}
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    return records


def _sparse(data: str, queries: int | None, rounds: int) -> list[dict[str, Any]]:
    loaded = sparse_data.load(data, 10, queries)
    rows, asked = loaded.rows.astype(np.float16), [loaded.queries.row(q) for q in range(len(loaded.queries))]
    kernels = load_backend("native" if "native" in available_backends() else available_backends()[0])
    kernels.set_threads(1)
    flat = SparseFlatIndex(SPARSE, rows)
    index, build_s = _timed(lambda: InvertedIndex.build(SPARSE, Inverted(), rows, None, kernels, lambda *_: None))
    contest.say(f"built in {build_s:.2f} s of CPU, {index.code_bytes * len(rows) / rows.nnz:.2f} bytes an entry")
    growing, grown = GrowingInverted(SPARSE, kernels), []
    for n in [*range(BATCH, len(rows), BATCH), len(rows)]:
        part = rows[:n]
        grown.append(_timed(lambda part=part: growing.extend(part))[1])
    worst, usual = max(grown), float(np.mean(grown))
    contest.say(f"growing: {usual * 1e6:.0f} us for {BATCH} rows, {worst * 1e3:.0f} ms at most")

    def measured(what: str, one: Any, k: int, allowed: np.ndarray | None = None, backend: Any = kernels) -> Any:
        few = asked if backend is kernels and one is not flat else asked[:SLOW_QUERIES]
        return _record(
            what, few, k, rounds,
            lambda query: one.search(backend, query, k, allowed),
            lambda query: flat.search(kernels, query, k, allowed),
        )  # fmt: skip

    records = [measured("lists", index, k) for k in KS]
    records.append(measured("growing", growing.at(rows), 10))
    records.append(measured("scan", flat, 10))
    rng = np.random.default_rng(SEED)
    for share in ALLOWED:
        mask = np.zeros(-(-len(rows) // 64) * 64, np.uint8)
        mask[: len(rows)] = rng.random(len(rows)) < share
        allowed = np.packbits(mask, bitorder="little").view(np.uint64)
        records.append(measured(f"lists, {share:.1%} allowed", index, 10, allowed))
    for name in available_backends():
        other = load_backend(name)
        if other.name != kernels.name:
            other.set_threads(1)
            records.append(measured(f"lists, {name}", index, 10, backend=other))
    return records


def _text(folder: Path, rounds: int) -> list[dict[str, Any]]:
    data = labelled.load(folder)
    analysis = TEXT.analysis or Analysis()
    rows, terms = terms_of(data.docs, analysis), terms_of(data.queries, analysis)
    kernels = load_backend(available_backends()[0])
    flat = SparseFlatIndex(TEXT, rows)
    index = InvertedIndex.build(TEXT, Inverted(), rows, None, kernels, lambda *_: None)
    wanted, places = np.unique(terms.indices, return_inverse=True)
    counts, df_s = _timed(lambda: index.document_frequency(kernels, wanted, None))
    contest.say(
        f"{index.code_bytes * len(rows) / rows.nnz:.2f} bytes an entry; {df_s * 1e6:.0f} us for df of {len(wanted)}"
    )
    idf = np.log1p((len(rows) - counts + 0.5) / (counts + 0.5))
    weights = SparseRows(terms.offsets, terms.indices, (terms.values * idf[places]).astype(np.float32))
    mean = float(index.lengths.mean(dtype=np.float64))
    records = []
    for drift in (1.0, *DRIFTS):
        asked = [TermQueries(weights.row(q), mean * drift) for q in range(len(weights))]
        for what, one in (("lists", index), ("scan", flat))[: 2 if drift == 1 else 1]:
            records.append(
                _record(
                    f"{what}, mean length x {drift}", asked, 10, rounds,
                    lambda query, one=one: one.search(kernels, query, 10, None),
                    lambda query: flat.search(kernels, query, 10, None),
                )
            )  # fmt: skip
    return records


def _record(
    what: str, asked: list[Any], k: int, rounds: int, ask: Callable[[Any], Any], truth: Callable[[Any], Any]
) -> dict[str, Any]:
    """The best of some rounds over all queries, one call each, and whether rows and bits are those of a scan."""
    found = [ask(query) for query in asked]
    best = min(_timed(lambda: [ask(query) for query in asked])[1] for _ in range(rounds))
    some = range(min(len(asked), 50))
    same = all((truth(asked[q]).distances == found[q].distances).all() for q in some) and all(
        (truth(asked[q]).rows == found[q].rows).all() for q in some
    )
    counters = [answer.counters for answer in found]
    record: dict[str, Any] = {"what": what, "k": k, "us": round(best / len(asked) * 1e6, 1), "same": same}
    for name in ("postings_read", "rows_scored"):
        if name in counters[0]:
            record[name] = round(sum(one[name] for one in counters) / len(asked), 1)
    return record


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    found = call()
    return found, time.process_time() - began
