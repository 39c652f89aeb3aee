"""What the demonstration asks: the sample that is shipped, kinds of queries, and numpy's answers to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from vecstore.hits import Hits
from vecstore.sparse import SparseRows

K = 10
PAYLOAD = ("id", "lemma", "pos", "topic", "sense_count", "frequency", "text")
VECTORS = ("dense", "sparse_indices", "sparse_values")
LISTS, GRAPH, BLOCKS = "ivf | saq(bits=2) | rerank(stored)", "graph", "seismic"


@dataclass(slots=True)
class Sample:
    """Rows and queries: unit vectors (n, 384) float32, sparse rows, payloads, texts, and for each query the id of its
    right row."""

    ids: list[str]
    dense: np.ndarray
    sparse: SparseRows
    payloads: list[dict[str, Any]]
    queries: np.ndarray
    sparse_queries: SparseRows
    texts: list[str]
    relevant: list[str]


@dataclass(slots=True)
class Kind:
    """One way of asking. `allowed` (bool, by row) says in numpy what `filter` says to the server; answers by an
    `index` come from codes and a rerank."""

    name: str
    using: str
    filter: dict[str, Any] | None
    allowed: np.ndarray
    index: str = ""
    answers: list[Hits] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def load_sample() -> Sample:
    """The sample that is shipped in the package."""
    import pyarrow.parquet as pq

    from vecstore.io.arrow_columns import rows_of

    folder = Path(str(resources.files("vecstore") / "data"))
    rows = pq.read_table(folder / "wordnet-4k.parquet", columns=[*PAYLOAD, *VECTORS]).combine_chunks()
    asked = pq.read_table(folder / "wordnet-4k-queries.parquet", columns=["text", "relevant", *VECTORS])
    asked = asked.combine_chunks()
    return Sample(
        ids=rows["id"].to_pylist(),
        dense=rows_of(rows["dense"].chunk(0), "dense", folder, 0)[0],
        sparse=_sparse(rows),
        payloads=rows.select(PAYLOAD).to_pylist(),
        queries=rows_of(asked["dense"].chunk(0), "dense", folder, 0)[0],
        sparse_queries=_sparse(asked),
        texts=asked["text"].to_pylist(),
        relevant=asked["relevant"].to_pylist(),
    )


def _sparse(table: Any) -> SparseRows:
    indices, values = table["sparse_indices"].chunk(0), table["sparse_values"].chunk(0)
    offsets = indices.offsets.to_numpy().astype(np.int64)
    return SparseRows(offsets, indices.flatten().to_numpy().astype(np.uint32), values.flatten().to_numpy())


def kinds_of(sample: Sample) -> list[Kind]:
    everything = np.ones(len(sample.ids), dtype=bool)
    noun = np.array([payload["pos"] == "noun" for payload in sample.payloads])
    frequent = np.array([payload["frequency"] >= 10 for payload in sample.payloads])
    frequent_nouns = {"must": [{"key": "pos", "match": {"value": "noun"}}, {"key": "frequency", "range": {"gte": 10}}]}
    verbs = {"must": [{"key": "pos", "match": {"value": "verb"}}]}
    verb = np.array([payload["pos"] == "verb" for payload in sample.payloads])
    return [
        Kind("dense", "dense", None, everything),
        Kind("dense, pos = noun and frequency >= 10", "dense", frequent_nouns, noun & frequent),
        Kind("binary", "bits", None, everything),
        Kind("binary, pos = verb", "bits", verbs, verb),
        Kind("sparse", "terms", None, everything),
        Kind("sparse, pos = verb", "terms", verbs, verb),
        Kind("dense, by lists of codes", "dense", None, everything, index=LISTS),
        Kind("dense, by lists, pos = verb", "dense", verbs, verb, index=LISTS),
        Kind("dense, by a graph", "dense", None, everything, index=GRAPH),
        Kind("dense, by a graph, pos = verb", "dense", verbs, verb, index=GRAPH),
        Kind("sparse, by blocks", "terms", None, everything, index=BLOCKS),
        Kind("sparse, by blocks, pos = verb", "terms", verbs, verb, index=BLOCKS),
    ]


def queries_of(kind: Kind, sample: Sample) -> list[Any]:
    if kind.using == "terms":
        return list(sample.sparse_queries)
    return list(sample.queries if kind.using == "dense" else sample.queries > 0)


def exact_distances(kind: Kind, sample: Sample) -> np.ndarray:
    """(queries, rows) by numpy in float64: 1 - cosine, differing bits, or minus the inner product; infinite where the
    filter does not match, or two sparse vectors have no index in common."""
    if kind.using == "terms":
        distances = np.stack([_inner_products(query, sample.sparse) for query in sample.sparse_queries])
    elif kind.using == "dense":
        rows, queries = (side.astype(np.float64) for side in (sample.dense, sample.queries))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        distances = 1.0 - queries @ rows.T
    else:
        rows, queries = (np.where(side > 0, 1.0, -1.0) for side in (sample.dense, sample.queries))
        distances = (rows.shape[1] - queries @ rows.T) / 2
    return np.where(kind.allowed, distances, np.inf)


def _inner_products(query: SparseRows, rows: SparseRows) -> np.ndarray:
    weights = np.zeros(int(max(rows.indices.max(), query.indices.max(initial=0))) + 1)
    weights[query.indices] = query.values
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    shared = np.bincount(row_of, weights[rows.indices] != 0, len(rows)) > 0
    return np.where(shared, -np.bincount(row_of, weights[rows.indices] * rows.values, len(rows)), np.inf)


def recall(kind: Kind, sample: Sample) -> float:
    """Share of the exact K best that came back, by distance, so that ties count for either."""
    places = {one: row for row, one in enumerate(sample.ids)}
    found = wanted = 0
    for row, hits in zip(exact_distances(kind, sample), kind.answers, strict=True):
        count = min(K, int(np.isfinite(row).sum()))
        worst = np.partition(row, count - 1)[count - 1]
        found += sum(bool(row[places[str(hit.id)]] <= worst + 1e-6 * max(1.0, abs(worst))) for hit in hits)
        wanted += count
    return found / wanted
