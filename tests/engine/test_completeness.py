"""If k points match a filter, k come back, whatever the index, the filter and the settings; a small part of
`python -m bench completeness`, whose code it is."""

from __future__ import annotations

import numpy as np
import pytest

from bench import completeness
from bench.index_cases import KINDS, IndexData
from vecstore.config import Storage
from vecstore.engine import scan
from vecstore.index import costs
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.tokens import TokenRows

FILTERS = 60
ROWS, DIM = 900, 32
STORAGE = Storage(seal_rows=10_000, index_rows_min=100, in_place_rows=100_000, disk_reserve_bytes=0)


def made_up(kind: VectorKind, rng: np.random.Generator) -> IndexData:
    """Clustered rows, so that what a filter allows may be far from a query, and queries of which half are unlike
    rows."""
    centres = rng.normal(size=(12, DIM))
    near = [centres[rng.integers(12, size=n)] + rng.normal(scale=0.3, size=(n, DIM)) for n in (ROWS, 30)]
    near[1][::2] += rng.normal(size=(15, DIM))
    rows, queries = (one.astype(np.float32) for one in near)
    if kind is VectorKind.DENSE:
        return IndexData("dense", VectorField(kind, DIM, Metric.COSINE), rows, None, queries)
    if kind is VectorKind.BINARY:
        packed = [np.packbits(one > 0, axis=1) for one in (rows, queries)]
        return IndexData("bits", VectorField(kind, DIM, Metric.HAMMING), packed[0], None, packed[1])
    if kind is VectorKind.MULTI:
        field = VectorField(kind, DIM, Metric.MAXSIM, DataType.FLOAT16)
        return IndexData("tokens", field, *(tokens(one, rng) for one in (rows,)), None, tokens(queries, rng))
    return IndexData("terms", VectorField(kind, 0, Metric.DOT), terms(rng, ROWS), None, terms(rng, 30))


def tokens(rows: np.ndarray, rng: np.random.Generator) -> TokenRows:
    offsets = np.concatenate(([0], np.cumsum(rng.integers(1, 6, size=len(rows))))).astype(np.int64)
    spread = np.repeat(rows, np.diff(offsets), axis=0) + rng.normal(scale=0.2, size=(offsets[-1], DIM))
    return TokenRows(offsets, spread.astype(np.float32))


def terms(rng: np.random.Generator, count: int) -> SparseRows:
    held = [np.sort(rng.choice(200, rng.integers(1, 12), replace=False)) for _ in range(count)]
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in held]))).astype(np.int64)
    values = rng.uniform(0.1, 1, offsets[-1]).astype(np.float32)
    return SparseRows(offsets, np.concatenate(held).astype(np.uint32), values)


@pytest.mark.parametrize(("kind", "text"), [
    (kind, text.replace("96, 192", "8, 16")) for kind, texts in KINDS.items() for text in texts
])  # fmt: skip
def test_k_matches_are_k_answers(kind: VectorKind, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "FEW_ROWS", 5)  # or every filter of so few rows would be scanned
    monkeypatch.setattr(scan, "FEW_SHARE", 10_000)
    monkeypatch.setattr(costs, "EXACT_FIXED", 1e12)
    monkeypatch.setattr(costs, "SPARSE_FIXED", 1e15)
    monkeypatch.setattr(completeness, "SHARES", (0.002, 0.9))
    seed = int(np.random.SeedSequence().entropy or 0) % (1 << 32)
    print("seed", seed)
    data = made_up(kind, np.random.default_rng(seed))
    if text.startswith("muvera"):
        text = text.replace("muvera(", "muvera(repetitions=2, k_sim=2, projection=8, ").replace(", )", ")")
        text = "muvera(repetitions=2, k_sim=2, projection=8)" if text == "muvera" else text
    db, values = completeness.loaded(data, text, seed, STORAGE)
    with db:
        assert db.stats("c")["vectors"]["v"]["rows_indexed"] == ROWS
        found = completeness.probe(db, data, values, FILTERS, seed)
    assert (found["short"], found["wrong"], found["raised"]) == (0, 0, 0), found
