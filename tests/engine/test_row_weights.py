"""Multi-vectors of many tokens count as several rows where few rows are scanned exactly."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from engine_support import settle
from waiting import wait_until

from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.estimating import EstimateRequest
from vecstore.index.base import SearchParams
from vecstore.index_spec import Auto, Index, Plaid
from vecstore.schema import WEIGHED_TOKENS, WEIGHT_MAX, Metric, Schema, VectorField, VectorKind
from vecstore.tokens import TokenRows
from vecstore.types import PointBatch, QueryRequest, UpsertRequest, VectorBatch

DIM = 16
PAGES, PER_PAGE = 40, 10 * WEIGHED_TOKENS  # which count as 400 rows
STORAGE = Storage(
    in_place_rows=100_000, index_rows_min=300, auto_index_rows_min=300, seal_idle_s=1 << 20, disk_reserve_bytes=0
)


def _open(reopen: Callable[..., Database], index: Index | None, **storage: object) -> Database:
    db = reopen(Settings(storage=msgspec.structs.replace(STORAGE, **storage)))
    db.create_collection("c", Schema({"t": VectorField(VectorKind.MULTI, DIM, Metric.MAXSIM, index=index)}))
    return db


def _put(db: Database, rows: int, tokens: int) -> None:
    made = np.random.default_rng(0).standard_normal((rows, tokens, DIM)).astype(np.float32)
    batch = PointBatch(list(range(rows)), {"t": VectorBatch(TokenRows.of(list(made), DIM, np.float32))}, None)
    db.write(UpsertRequest("c", batch))


def _query(db: Database, params: SearchParams = SearchParams()) -> str:  # noqa: B008
    query = np.random.default_rng(1).standard_normal((4, DIM)).astype(np.float32)
    hits = db.query(QueryRequest("c", TokenRows.of([query], DIM, np.float32), using="t", k=3, params=params))
    return hits.quality.strategy if hits.quality.complete else "waits"


def _served_by(db: Database) -> list[str]:
    return list(db.stats("c")["vectors"]["t"]["served_by"])


@pytest.mark.parametrize("index", [Auto(), Plaid()], ids=["left to the engine", "asked for"])
@pytest.mark.parametrize(("tokens", "served"), [(PER_PAGE, "plaid"), (PER_PAGE // 2, "flat")])
def test_few_rows_of_many_tokens_are_indexed(
    reopen: Callable[..., Database], index: Index, tokens: int, served: str
) -> None:
    db = _open(reopen, index)
    _put(db, PAGES, tokens)
    settle(db, db.compact("c"))
    assert _served_by(db) == [served]
    if isinstance(index, Auto) and served == "flat":
        why = db.stats("c")["segments"][0]["chosen"]["t"]["why"]
        assert why == "fewer than 300 rows, or 2,400 tokens, are scanned exactly"


def test_very_few_rows_are_not_however_long(reopen: Callable[..., Database]) -> None:
    db = _open(reopen, Plaid())
    rows = 300 // WEIGHT_MAX
    _put(db, rows, 100 * WEIGHED_TOKENS)
    settle(db, db.compact("c"))
    assert _served_by(db) == ["flat"]
    _put(db, rows + 1, 100 * WEIGHED_TOKENS)
    settle(db, db.compact("c"))
    assert _served_by(db) == ["plaid"]


def test_a_growing_segment_of_many_tokens_is_sealed_for_its_index(reopen: Callable[..., Database]) -> None:
    db = _open(reopen, Auto(), seal_idle_s=0.05)
    _put(db, PAGES, PER_PAGE)
    wait_until(lambda: _served_by(db) == ["plaid"])


def test_one_that_waits_for_its_index_is_left_out(reopen: Callable[..., Database]) -> None:
    db = _open(reopen, Plaid(), index_rows_min=1 << 30)
    _put(db, PAGES, PER_PAGE)
    settle(db, db.compact("c"))
    waits = SearchParams(indexed_only=True)
    assert _query(db, waits) == "exact_scan"
    db = reopen(Settings(storage=Storage(index_rows_min=300, disk_reserve_bytes=0, maintenance=False)))
    assert _query(db, waits) == "waits"


def test_estimates_count_tokens(reopen: Callable[..., Database]) -> None:
    db = _open(reopen, Auto())
    schema = Schema({"t": VectorField(VectorKind.MULTI, DIM, Metric.MAXSIM)})
    for tokens, index in ((PER_PAGE, "plaid"), (PER_PAGE // 2, "flat")):
        found = db.estimate(EstimateRequest(schema=schema, points=PAGES, entries={"t": tokens}))
        assert found["vectors"]["t"]["index"] == index
