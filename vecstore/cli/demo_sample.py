"""What the demonstration asks: the sample that is shipped, and kinds of queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from vecstore.hits import Hits
from vecstore.sparse import SparseRows
from vecstore.tokens import TokenRows

K = 10
PAYLOAD = ("id", "lemma", "pos", "topic", "sense_count", "frequency", "text")
VECTORS = ("dense", "sparse_indices", "sparse_values", "tokens")
HYBRID = ("dense", "terms")  # the fields that are fused
FUSED = "hybrid"
TOKENS_SCALE = 152.407944  # of the token vectors in the sample (its README)
LISTS, GRAPH, BLOCKS = "ivf | saq(bits=2) | rerank(stored)", "graph", "seismic"


@dataclass(slots=True)
class Sample:
    """Rows and queries: unit vectors (n, 384) float32, sparse rows, rows of token vectors, payloads, texts, and for
    each query the id of its right row."""

    ids: list[str]
    dense: np.ndarray
    sparse: SparseRows
    tokens: TokenRows
    payloads: list[dict[str, Any]]
    queries: np.ndarray
    sparse_queries: SparseRows
    token_queries: TokenRows
    texts: list[str]
    relevant: list[str]

    @property
    def bodies(self) -> list[str]:
        """The texts of the rows."""
        return [payload["text"] for payload in self.payloads]


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
        tokens=_tokens(rows),
        payloads=rows.select(PAYLOAD).to_pylist(),
        queries=rows_of(asked["dense"].chunk(0), "dense", folder, 0)[0],
        sparse_queries=_sparse(asked),
        token_queries=_tokens(asked),
        texts=asked["text"].to_pylist(),
        relevant=asked["relevant"].to_pylist(),
    )


def _sparse(table: Any) -> SparseRows:
    indices, values = table["sparse_indices"].chunk(0), table["sparse_values"].chunk(0)
    offsets = indices.offsets.to_numpy().astype(np.int64)
    return SparseRows(offsets, indices.flatten().to_numpy().astype(np.uint32), values.flatten().to_numpy())


def _tokens(table: Any) -> TokenRows:
    """Token vectors of unit length, but for the rounding to int8 that they were stored with."""
    column = table["tokens"].chunk(0)
    offsets = column.offsets.to_numpy().astype(np.int64)
    flat = column.flatten()
    values = flat.flatten().to_numpy().astype(np.float32) / np.float32(TOKENS_SCALE)
    return TokenRows(offsets, values.reshape(-1, flat.type.list_size))


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
        Kind("text, by BM25", "body", None, everything),
        Kind("multi-vector, by MaxSim", "tokens", None, everything),
        Kind("hybrid: dense and sparse, ranks fused", FUSED, None, everything),
        Kind("dense, by lists of codes", "dense", None, everything, index=LISTS),
        Kind("dense, by lists, pos = verb", "dense", verbs, verb, index=LISTS),
        Kind("dense, by a graph", "dense", None, everything, index=GRAPH),
        Kind("dense, by a graph, pos = verb", "dense", verbs, verb, index=GRAPH),
        Kind("sparse, by blocks", "terms", None, everything, index=BLOCKS),
        Kind("sparse, by blocks, pos = verb", "terms", verbs, verb, index=BLOCKS),
    ]


def queries_of(kind: Kind, sample: Sample) -> list[Any]:
    """What is asked, one by one; of several fields by name."""
    fields: dict[str, list[Any]] = {
        "dense": list(sample.queries),
        "bits": list(sample.queries > 0),
        "terms": list(sample.sparse_queries),
        "body": sample.texts,
        "tokens": [query.tokens for query in sample.token_queries],
    }
    if kind.using != FUSED:
        return fields[kind.using]
    return [{name: fields[name][place] for name in HYBRID} for place in range(len(sample.texts))]
