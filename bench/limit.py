"""`python -m bench limit`: a collection on LIMIT, where one vector a text fails and words do not: BM25, random vectors
of words, summed to one or kept as many, and their fusions. What is measured is retrieval, so all search is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import vecstore
from bench import results
from bench.bm25 import exact, terms_of
from bench.limit_data import Limit, generate, read
from vecstore import RRF, Dense, Multi, Text
from vecstore.query.fusion import Fusion
from vecstore.schema import Analysis
from vecstore.text.tokenize import tokens

COLUMNS = ["data", "search", "R@2", "R@10", "R@20", "R@100", "fusion"]
DEPTHS = (2, 10, 20, 100)
K = 100
K1, B = 0.9, 0.4
BATCH = 500


def limit(
    folder: str | None,
    docs: int,
    things: int,
    dim: int,
    token_dim: int,
    queries: int,
    tuned_on: int,
    seed: int,
    language: str,
    out: str,
) -> list[dict[str, Any]]:
    """`queries` of the 1,000 are judged, others, `tuned_on` of them, choose the fusion."""
    data = generate(docs, things, seed) if folder is None else read(Path(folder))
    chosen = np.random.default_rng(seed).permutation(len(data.queries))
    tune_on, judge_on = chosen[:tuned_on], chosen[tuned_on:][:queries]
    legs = Legs(data, (dim, token_dim), seed, language)
    found: dict[str, list[np.ndarray]] = {"BM25, float64": reference(data, judge_on)}
    with vecstore.connect(":memory:") as db:
        made = legs.load(db)
        asked = {name: legs.of(name, judge_on) for name in legs.fields}
        for name, rows in asked.items():
            found[name] = [hits.ids for hits in made.query_batch(rows, K, using=name, with_payload=False)]
        relevant: list[dict[Any, float]] = [dict.fromkeys(data.relevant[place], 1.0) for place in tune_on]
        fusions: dict[str, Fusion | None] = {}
        for other in ("words", "tokens"):
            names = ("text", other)
            advice = made.tune_fusion({name: legs.of(name, tune_on) for name in names}, relevant, 10, candidates=K)
            for label, fusion in (("rrf", RRF()), ("tuned", advice.pick.fusion)):
                key = f"{' + '.join(names)}, {label}"
                fusions[key] = fusion
                found[key] = [
                    made.hybrid({name: asked[name][i] for name in names}, K, fusion=fusion, with_payload=False).ids
                    for i in range(len(judge_on))
                ]
    records = []
    for name, ids in found.items():
        record: dict[str, Any] = {"data": data.name, "search": name, "queries": len(judge_on)}
        record |= {f"R@{depth}": recall(ids, data, judge_on, depth) for depth in DEPTHS}
        fusion = fusions.get(name)
        record["fusion"] = None if fusion is None else f"{fusion.method} k={fusion.k} {list(fusion.weights)}"
        records.append(record | {"dims": [dim, token_dim], "seed": seed, "language": language})
    results.append(out, [record | results.surroundings() for record in records])
    print(results.table(records, COLUMNS))
    return records


def recall(ids: Sequence[np.ndarray], data: Limit, places: np.ndarray, depth: int) -> float:
    """The mean share of the two right documents among the first `depth`."""
    shares = [
        len(set(one[:depth].tolist()) & set(data.relevant[place])) / len(data.relevant[place])
        for one, place in zip(ids, places, strict=True)
    ]
    return float(np.mean(shares))


def reference(data: Limit, places: np.ndarray) -> list[np.ndarray]:
    """The rows that BM25 ranks first when it is computed in float64, words taken as they are."""
    analysis = Analysis(language="none", k1=K1, b=B)
    docs = terms_of(data.docs, analysis)
    found: list[np.ndarray] = []
    for low in range(0, len(places), BATCH // 2):
        texts = [data.queries[place] for place in places[low : low + BATCH // 2]]
        scores = exact(docs, terms_of(texts, analysis), analysis)
        found += list(np.argsort(-scores, axis=1, kind="stable")[:, :K])
    return found


class Legs:
    """A text field, and two that know only which words are the same: each word has a fixed random direction. `words` is
    their sum over a text, `tokens` one for each of its words."""

    fields = ("text", "words", "tokens")

    def __init__(self, data: Limit, dims: tuple[int, int], seed: int, language: str) -> None:
        self.data, self.language = data, language
        self.numbers: dict[str, int] = {}
        docs = [self._numbered(text) for text in data.docs]
        self.docs, self.queries = docs, [self._numbered(text) for text in data.queries]
        rng = np.random.default_rng(seed)
        self.directions = _unit(rng.standard_normal((len(self.numbers), dims[0]), np.float32))
        self.token_directions = _unit(rng.standard_normal((len(self.numbers), dims[1]), np.float32))

    def load(self, db: Any) -> Any:
        made = db.create_collection(
            "limit", {"words": Dense(self.directions.shape[1], datatype="float16", index="flat")},
            text={"text": Text(self.language, k1=K1, b=B, index="flat")},
            multi={"tokens": Multi(self.token_directions.shape[1], datatype="float16", index="flat")},
        )  # fmt: skip
        for low in range(0, len(self.docs), BATCH):
            part = self.docs[low : low + BATCH]
            made.upsert(
                np.arange(low, low + len(part)),
                {"text": self.data.docs[low : low + BATCH], "words": self._sums(part), "tokens": self._tokens(part)},
            )
        made.compact()
        return made

    def of(self, name: str, places: np.ndarray) -> Any:
        """Queries of one field."""
        if name == "text":
            return [self.data.queries[place] for place in places]
        own = [self.queries[place] for place in places]
        return self._sums(own) if name == "words" else self._tokens(own)

    def _numbered(self, text: str) -> list[int]:
        return [self.numbers.setdefault(token, len(self.numbers)) for token in tokens(text)]

    def _sums(self, texts: list[list[int]]) -> np.ndarray:
        """float32 (len(texts), dim), not of unit length."""
        ends = np.cumsum([0, *map(len, texts)])
        counts = sp.csr_matrix(
            (np.ones(ends[-1], np.float32), np.concatenate(texts), ends), (len(texts), len(self.numbers))
        )
        return np.asarray(counts @ self.directions)

    def _tokens(self, texts: list[list[int]]) -> list[np.ndarray]:
        return [self.token_directions[np.unique(text)] for text in texts]


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
