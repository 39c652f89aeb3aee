"""`python -m bench bm25`: a text field beside reference implementations of BM25, on collections with judgements.

The references take the terms that the field's own analysis makes: one computes the formula in float64, one is bm25s.
What differs is the ranking, not the words. The last line has bm25s with tokens of its own, to judge the analysis by.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, labelled, results
from bench.labelled import Labelled
from bench.payloads import stacked
from bench.sparse_data import matrix
from vecstore.config import Limits
from vecstore.given import query_batch
from vecstore.rows import TextRows
from vecstore.schema import Analysis, DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows

COLUMNS = ["dataset", "system", "ndcg", "of_reference", "score_error", "query_us", "terms"]
COLLECTION = "bench"
K = 100
BATCH = 1_000
COMPACT_S = 600.0
Rankings = tuple[np.ndarray, np.ndarray]  # rows and scores, (nq, k); -1 and 0 for none


def bm25(folders: list[str], index: str | None, rounds: int, out: str) -> list[dict[str, Any]]:
    records = []
    for folder in folders:
        data = labelled.load(folder)
        contest.say(f"{data.name}: {len(data.docs)} texts, {len(data.queries)} queries ...")
        records += contest.alone(measure, data, index, rounds)
    around = results.surroundings()
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    return records


def measure(data: Labelled, index: str | None, rounds: int) -> list[dict[str, Any]]:
    contest.one_thread()
    analysis = Analysis()
    docs, queries = terms_of(data.docs, analysis), terms_of(data.queries, analysis)
    truth = exact(docs, queries, analysis)
    reference = data.ndcg(best(truth))
    found: dict[str, tuple[Rankings, float | None]] = {"float64": (ranked(truth), None)}
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-") as folder:
        found["vecstore"] = ours(data, analysis, index, rounds, Path(folder))
    if importlib.util.find_spec("bm25s") is None:
        contest.say("bm25s: left out, it is not installed")
    else:
        found["bm25s"] = theirs(words(docs), words(queries), analysis, rounds)
        found["bm25s, its own tokens"] = theirs(*own_tokens(data), analysis, rounds)
    records = []
    for system, ((rows, scores), seconds) in found.items():
        ndcg = data.ndcg(rows)
        same = system in ("vecstore", "float64")  # bm25s leaves out a factor, and its own tokens are others
        records.append({
            "bench": "bm25",
            "dataset": data.name,
            "system": system,
            "ndcg": round(ndcg, 5),
            "of_reference": round(ndcg - reference, 5),
            "score_error": score_error(rows, scores, truth) if same else None,
            "query_us": None if seconds is None else round(seconds * 1e6, 1),
            "terms": docs.nnz,
        })  # fmt: skip
    return records


def terms_of(texts: list[str], analysis: Analysis) -> SparseRows:
    """What a text field makes of texts: terms, and how often they occur."""
    field = VectorField(VectorKind.TEXT, 0, Metric.BM25, DataType.FLOAT32, analysis=analysis)
    found = query_batch(TextRows(texts), field, Limits())
    assert isinstance(found, SparseRows)
    return found


def exact(docs: SparseRows, queries: SparseRows, analysis: Analysis) -> np.ndarray:
    """Scores (nq, n) in float64: sum of times asked * idf * (k1 + 1) * tf / (tf + k1 * (1 - b + b * length / mean)),
    idf = ln(1 + (N - df + 0.5) / (df + 0.5))."""
    known, places = np.unique(np.concatenate([docs.indices, queries.indices]), return_inverse=True)
    counts = matrix(SparseRows(docs.offsets, places[: docs.nnz], docs.values), len(known))
    asked = matrix(SparseRows(queries.offsets, places[docs.nnz :], queries.values), len(known))
    lengths = np.asarray(counts.sum(axis=1)).reshape(-1)
    frequency = np.bincount(counts.indices, minlength=len(known))
    idf = np.log1p((len(docs) - frequency + 0.5) / (frequency + 0.5))
    norms = analysis.k1 * (1 - analysis.b + analysis.b * lengths / lengths.mean())
    owner = np.repeat(np.arange(len(docs)), np.diff(counts.indptr))
    counts.data = (analysis.k1 + 1) * counts.data / (counts.data + norms[owner])
    asked.data = asked.data * idf[asked.indices]
    return np.asarray((asked @ counts.T).toarray())


def best(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def ranked(scores: np.ndarray) -> Rankings:
    rows = best(scores)
    return rows, np.take_along_axis(scores, rows, axis=1)


def score_error(rows: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> float:
    """The largest difference to the true scores, relative to the largest of the query."""
    true = np.take_along_axis(truth, np.maximum(rows, 0), axis=1)
    differences = np.where(rows >= 0, np.abs(scores - true), 0.0) / np.maximum(truth.max(axis=1, keepdims=True), 1e-30)
    return float(differences.max())


def ours(
    data: Labelled, analysis: Analysis, index: str | None, rounds: int, folder: Path
) -> tuple[Rankings, float | None]:
    """The embedded database, sealed, asked in words."""
    import vecstore
    from vecstore.config import Search, Settings

    with vecstore.connect(folder, settings=Settings(search=Search(threads=1))) as client:
        spec = {"analysis": {"language": analysis.language, "k1": analysis.k1, "b": analysis.b}, "index": index}
        collection = client.create_collection(COLLECTION, text={"body": spec})
        for low in range(0, len(data.docs), BATCH):
            part = data.docs[low : low + BATCH]
            collection.upsert(np.arange(low, low + len(part)), part)
        collection.compact(timeout_s=COMPACT_S)
        seconds = timed(lambda text: collection.query(text, K, with_payload=False), data.queries, rounds)
        answers = [collection.query(text, K, with_payload=False) for text in data.queries]
    rows = stacked([[hit.id for hit in hits] for hits in answers], K)
    scores = np.zeros(rows.shape)
    for row, hits in zip(scores, answers, strict=True):
        row[: len(hits)] = [hit.score for hit in hits]
    return (rows, scores), seconds


def theirs(
    docs: list[list[str]], queries: list[list[str]], analysis: Analysis, rounds: int
) -> tuple[Rankings, float | None]:
    """bm25s in Lucene's form, which is ours without the factor k1 + 1."""
    import bm25s

    index = bm25s.BM25(method="lucene", k1=analysis.k1, b=analysis.b)
    index.index(docs, show_progress=False)
    k = min(K, len(docs))

    def ask(words: list[str]) -> Any:
        return index.retrieve([words], k=k, show_progress=False, n_threads=1)

    seconds = timed(ask, queries, rounds)
    answers = [ask(one) for one in queries]
    return (np.concatenate([rows for rows, _ in answers]), np.concatenate([scores for _, scores in answers])), seconds


def own_tokens(data: Labelled) -> tuple[list[list[str]], list[list[str]]]:
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    docs, queries = (
        bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)
        for texts in (data.docs, data.queries)
    )
    return docs, queries


def words(rows: SparseRows) -> list[list[str]]:
    """Terms as words, each as often as it occurs."""
    return [np.repeat(row.indices, row.values.astype(np.int64)).astype(str).tolist() for row in rows]


def timed(ask: Callable[[Any], Any], queries: list[Any], rounds: int) -> float:
    """Median CPU seconds of a query."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        for query in queries:
            ask(query)
        took.append((time.process_time() - began) / len(queries))
    return float(np.median(took))
