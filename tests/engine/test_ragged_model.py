"""Sparse, text and multi-vector fields against dictionaries: writes, seals, merges, index changes and restarts.

Weights are small integers, so inner products are exact and answers must be equal; BM25 scores must be close.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from model_runs import follow

from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.index_spec import Auto, Flat, Inverted, Muvera, Plaid, Seismic
from vecstore.query.builder import F
from vecstore.rows import TextRows
from vecstore.schema import Analysis, DataType, FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector, sparse_rows
from vecstore.tokens import TokenRows
from vecstore.types import (
    DeleteRequest,
    GetRequest,
    OperationState,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    QueryRequest,
    Selection,
    UpsertRequest,
    VectorBatch,
    VectorIndexRequest,
)

MEMORY = "/dev/shm"


ANALYSIS = Analysis(language="none", k1=1.5, b=0.6)
SCHEMA = Schema(
    {
        "terms": VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT16),
        "tokens": VectorField(VectorKind.MULTI, 2, Metric.MAXSIM, DataType.FLOAT16),
        "body": VectorField(VectorKind.TEXT, 0, Metric.BM25, analysis=ANALYSIS),
    },
    {"n": FieldKind.INTEGER},
)
SPECS = [
    ("terms", Flat()), ("terms", Inverted()), ("terms", Seismic()), ("terms", Seismic(postings=3, summary="max")),
    ("terms", Auto()), ("body", Flat()), ("body", Inverted()), ("body", Auto()),
    ("tokens", Flat()), ("tokens", Plaid()), ("tokens", Auto()),
    ("tokens", Muvera(k_sim=2, repetitions=2, projection=0)),
]  # fmt: skip
REACHED: Counter[str] = Counter()
INDICES = [0, 1, 2, 7, 100, 70_000, (1 << 32) - 1]
WORDS = ["red", "green", "blue", "fox", "Über", "x1"]

ids = st.integers(0, 40)
sparse = st.dictionaries(st.sampled_from(INDICES), st.integers(1, 4), max_size=5)
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
tokens = st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), max_size=3)
points = st.lists(
    st.tuples(ids, st.none() | sparse, st.none() | texts, st.integers(0, 3), st.none() | tokens),
    min_size=1,
    max_size=12,
)


def as_rows(vectors: list[dict[int, int]]) -> SparseRows:
    return sparse_rows([SparseVector(np.array(list(one), np.uint32), np.array(list(one.values()))) for one in vectors])


def as_tokens(vectors: list[list[tuple[int, int]]]) -> TokenRows:
    return TokenRows.of([np.array(one, np.float32).reshape(-1, 2) for one in vectors], 2, np.float32)


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


class SparseMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="vecstore-model-", dir=MEMORY if os.path.isdir(MEMORY) else None)
        self.model: dict[int, dict[str, Any]] = {}
        storage = Storage(
            seal_rows=16, merge_factor=3, in_place_rows=1_000_000, disk_reserve_bytes=0, index_rows_min=1,
            auto_index_rows_min=1,
        )  # fmt: skip
        self.settings = Settings(storage=storage)
        self.db = Database.open(self.directory, self.settings)
        self.db.create_collection("c", SCHEMA)

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.directory)

    @rule(batch=points)
    def put(self, batch: list[tuple[int, Any, Any, int, Any]]) -> None:
        names = [point_id for point_id, *_ in batch]
        has_terms = np.array([terms is not None for _, terms, *_ in batch])
        has_body = np.array([body is not None for _, _, body, *_ in batch])
        has_tokens = np.array([tokens is not None for *_, tokens in batch])
        vectors = {
            "terms": VectorBatch(as_rows([terms or {} for _, terms, *_ in batch]), has_terms),
            "tokens": VectorBatch(as_tokens([tokens or [] for *_, tokens in batch]), has_tokens),
            "body": VectorBatch(TextRows([body or "" for _, _, body, *_ in batch]), has_body),
        }
        payloads: list[bytes | None] = [msgspec.json.encode({"n": n}) for _, _, _, n, _ in batch]
        self.db.write(UpsertRequest("c", PointBatch(names, vectors, payloads)))
        for point_id, terms, body, n, tokens in batch:
            self.model[point_id] = {"terms": terms, "body": body, "n": n, "tokens": tokens}
        REACHED["put"] += 1

    @rule(batch=points)
    def put_more(self, batch: list[tuple[int, Any, Any, int, Any]]) -> None:
        self.put(batch)

    @rule(chosen=st.lists(ids, min_size=1, max_size=8))
    def delete(self, chosen: list[int]) -> None:
        self.db.write(DeleteRequest("c", ids=chosen))
        for point_id in chosen:
            REACHED["deleted"] += self.model.pop(point_id, None) is not None

    @rule(chosen=st.lists(ids, min_size=1, max_size=4), n=st.integers(0, 3))
    def set_payload(self, chosen: list[int], n: int) -> None:
        self.db.write(PayloadRequest("c", PayloadOp.SET, chosen, payload=msgspec.json.encode({"n": n})))
        for point_id in chosen:
            if point_id in self.model:
                self.model[point_id]["n"] = n

    @rule(choice=st.sampled_from(SPECS))
    def index(self, choice: tuple[str, Any]) -> None:
        operation = self.db.update_index(VectorIndexRequest("c", *choice))
        assert self.db.wait_operation(operation.id, 60).state is OperationState.DONE
        REACHED["index"] += 1

    @rule()
    def compact(self) -> None:
        operation = self.db.compact("c")
        assert self.db.wait_operation(operation.id, 60).state is OperationState.DONE
        REACHED["compact"] += 1

    @rule()
    def restart(self) -> None:
        self.db.close()
        self.db = Database.open(self.directory, self.settings)
        REACHED["restart"] += 1

    @rule(query=sparse, k=st.integers(1, 30), low=st.none() | st.integers(0, 3), exact=st.booleans())
    def query_terms(self, query: dict[int, int], k: int, low: int | None, exact: bool) -> None:
        where = None if low is None else F("n").gte(low)
        request = QueryRequest("c", as_rows([query]), using="terms", filter=where, k=k)
        hits = self.db.query(request)
        expected = sorted(
            (-sum(weight * query.get(index, 0) for index, weight in point["terms"].items()), point_id)
            for point_id, point in self.model.items()
            if point["terms"] and query.keys() & point["terms"].keys() and (low is None or point["n"] >= low)
        )[:k]
        assert [(-hit.score, hit.id) for hit in hits] == expected
        REACHED["query terms"] += bool(expected)

    @rule(query=tokens, k=st.integers(1, 30), low=st.none() | st.integers(0, 3))
    def query_tokens(self, query: list[tuple[int, int]], k: int, low: int | None) -> None:
        if not query:
            return
        where = None if low is None else F("n").gte(low)
        hits = self.db.query(QueryRequest("c", as_tokens([query]), using="tokens", filter=where, k=k))
        expected = sorted(
            (-sum(max(a * x + b * y for x, y in point["tokens"]) for a, b in query), point_id)
            for point_id, point in self.model.items()
            if point["tokens"] and (low is None or point["n"] >= low)
        )[:k]
        assert [(-hit.score, hit.id) for hit in hits] == expected
        REACHED["query tokens"] += bool(expected)

    @rule(query=texts, k=st.integers(1, 30), low=st.none() | st.integers(0, 3))
    def query_body(self, query: str, k: int, low: int | None) -> None:
        where = None if low is None else F("n").gte(low)
        hits = self.db.query(QueryRequest("c", TextRows([query]), using="body", filter=where, k=k))
        scores = self.bm25(words(query))
        expected = {i: score for i, score in scores.items() if low is None or self.model[i]["n"] >= low}
        assert len(hits) == min(k, len(expected))
        np.testing.assert_allclose([hit.score for hit in hits], sorted(expected.values(), reverse=True)[:k], rtol=1e-5)
        np.testing.assert_allclose([hit.score for hit in hits], [expected[hit.id] for hit in hits], rtol=1e-5)
        REACHED["query body"] += bool(expected)

    def bm25(self, query: Counter[str]) -> dict[int, float]:
        """Scores of the points that share a word with the query (Lucene's form of idf)."""
        docs = {i: words(point["body"]) for i, point in self.model.items() if point["body"] is not None}
        mean = sum(sum(doc.values()) for doc in docs.values()) / max(1, len(docs))
        scores: dict[int, float] = {}
        for word, times in query.items():
            df = sum(word in doc for doc in docs.values())
            idf = math.log(1 + (len(docs) - df + 0.5) / (df + 0.5))
            for i, doc in docs.items():
                if word in doc:
                    norm = ANALYSIS.k1 * (1 - ANALYSIS.b + ANALYSIS.b * sum(doc.values()) / mean)
                    weight = doc[word] * (ANALYSIS.k1 + 1) / (doc[word] + norm)
                    scores[i] = scores.get(i, 0.0) + times * idf * weight
        return scores

    @rule(chosen=st.lists(ids, min_size=1, max_size=8, unique=True))
    def get(self, chosen: list[int]) -> None:
        found, _ = self.db.get(GetRequest("c", chosen, Selection(True, True)))
        assert [point.id for point in found] == [i for i in chosen if i in self.model]
        for point in found:
            expected = self.model[point.id]
            assert point.vectors is not None
            assert set(point.vectors) == {name for name in SCHEMA.vectors if expected[name] is not None}
            if expected["terms"] is not None:
                terms = point.vectors["terms"]
                assert isinstance(terms, SparseVector)
                assert dict(zip(terms.indices.tolist(), terms.values.tolist(), strict=True)) == expected["terms"]
                assert terms.indices.tolist() == sorted(expected["terms"])
            if expected["tokens"] is not None:
                stored = point.vectors["tokens"]
                assert isinstance(stored, np.ndarray)
                assert [tuple(token) for token in stored.tolist()] == expected["tokens"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fields_of_rows_of_any_length_equal_the_model() -> None:
    expected = ["put", "deleted", "index", "compact", "restart", "query terms", "query tokens", "query body"]
    follow(SparseMachine, 20, 40, REACHED, expected)
